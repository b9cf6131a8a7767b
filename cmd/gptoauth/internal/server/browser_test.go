package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	cdp "github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/browsertest"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// developmentHarness is a server as serve --dev makes it.
func developmentHarness(t *testing.T) *harness {
	t.Helper()
	return newHarness(t, func(p *Params) {
		issuer := p.Config.Issuer
		p.Config, _ = DevConfig(Config{Limits: p.Config.Limits}, issuer, "g-1")
	})
}

var codeInCommand = regexp.MustCompile(`-d code=(gptc_[A-Za-z0-9_-]+)`)

func TestBrowserSignsInConsentsAndEndsTheSession(t *testing.T) {
	t.Parallel()
	ctx := browsertest.Start(t)
	h := developmentHarness(t)
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(h.dev.authorizeURL()),
		chromedp.Click(`button[value="Ada"]`),
		chromedp.WaitVisible(`button[value="allow"]`),
	))
	title, err := chromedp.Run(ctx, chromedp.Title())
	require.NoError(t, err)
	require.Equal(t, "Allow Example app?", title)
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible(`pre`)))
	command, err := chromedp.Run(ctx, chromedp.Text(`pre`))
	require.NoError(t, err)
	code := codeInCommand.FindStringSubmatch(command)
	require.Len(t, code, 2, command)

	g := grantee{h: h, id: DevClientID, redirect: h.dev.redirectURI(), verifier: h.dev.verifier, code: code[1]}
	form := g.exchangeForm()
	form.Del("client_secret")
	got := h.requireTokens(h.post(tokenPath, form))
	require.Equal(t, http.StatusOK, h.initialize(got.Access).StatusCode)

	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(h.url+appsPath), chromedp.Click(`.apps button`), chromedp.WaitVisible(`.empty`)))
	text, err := chromedp.Run(ctx, chromedp.Text(`main`))
	require.NoError(t, err)
	require.Contains(t, text, "The connection has been ended.")
	refused := h.initialize(got.Access)
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode, "the access token is refused at once")
	require.Contains(t, refused.Header.Get("WWW-Authenticate"), "invalid_token")
}

func TestBrowserCancelTellsTheAppAndNothingIsStored(t *testing.T) {
	t.Parallel()
	ctx := browsertest.Start(t)
	h := developmentHarness(t)
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(h.dev.authorizeURL()),
		chromedp.SendKeys(`#person`, "Mary Shelley\r"),
		chromedp.WaitVisible(`button[value="deny"]`),
		chromedp.Click(`button[value="deny"]`),
		chromedp.WaitVisible(`main > p > code`),
	))
	text, err := chromedp.Run(ctx, chromedp.Text(`main`))
	require.NoError(t, err)
	require.Contains(t, text, "error=access_denied")
	require.Empty(t, h.eventsOf("user_mary_shelley", repo.EventAuthorize))
}

// TestBrowserFollowsTheConsentFormToAnotherOrigin: browsers hold redirects after a form to the page's form-action.
func TestBrowserFollowsTheConsentFormToAnotherOrigin(t *testing.T) {
	t.Parallel()
	ctx := browsertest.Start(t)
	h := developmentHarness(t)
	callback, arrived := appServer(t)
	form := request(devMCPClientID, callback, repotest.NewVerifier())
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(h.url+authorizePath+"?"+form.Encode()),
		chromedp.Click(`button[value="Grace"]`), chromedp.WaitVisible(`button[value="allow"]`),
		chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible(`#app`),
	))
	query := <-arrived
	require.NotEmpty(t, query.Get("code"))
	require.Equal(t, "a state&=%", query.Get("state"))
}

// appServer is a client's redirect URI on an origin of its own, and what arrives there.
func appServer(t *testing.T) (callback string, arrived chan url.Values) {
	t.Helper()
	arrived = make(chan url.Values, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			arrived <- r.URL.Query()
		}
		_, _ = w.Write([]byte(`<p id="app">here</p>`))
	}))
	t.Cleanup(app.Close)
	return app.URL + "/callback", arrived
}

// TestBrowserAllowAfterSigningOutGoesThroughSignIn, and then the app gets its answer, or whoever signed in is asked.
func TestBrowserAllowAfterSigningOutGoesThroughSignIn(t *testing.T) {
	t.Parallel()
	ctx := browsertest.Start(t)
	h := developmentHarness(t)
	callback, arrived := appServer(t)
	start := h.url + authorizePath + "?" + request(devMCPClientID, callback, repotest.NewVerifier()).Encode()
	signOut := func() {
		_, err := chromedp.Call(ctx, cdp.DeleteCookies, cdp.DeleteCookiesParams{Name: devCookie, URL: h.url})
		require.NoError(t, err)
	}
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(start), chromedp.Click(`button[value="Ada"]`), chromedp.WaitVisible(`button[value="allow"]`)))
	signOut()
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible(`#person`)))
	require.Empty(t, h.eventsOf("user_ada", repo.EventAuthorize))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`button[value="Grace"]`), chromedp.WaitVisible(`button[value="allow"]`)))
	text, err := chromedp.Run(ctx, chromedp.Text(`main`))
	require.NoError(t, err)
	require.Contains(t, text, "Grace", "someone else has not allowed anything")
	require.Empty(t, arrived)

	signOut()
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible(`#person`), chromedp.Click(`button[value="Grace"]`), chromedp.WaitVisible(`#app`)))
	require.NotEmpty(t, (<-arrived).Get("code"))
	require.Len(t, h.eventsOf("user_grace", repo.EventAuthorize), 1)
}

// TestBrowserReadsForLongerThanClerksMinute: like the page of a host that uses Clerk, the one here passes through another
// origin, renews the session's cookie by a script and goes back.
func TestBrowserReadsForLongerThanClerksMinute(t *testing.T) {
	t.Parallel()
	ctx := browsertest.Start(t)
	f := newFakeClerk(t)
	renews := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: clerkCookie, Value: f.session(t, "user_1", nil), Path: "/"})
		_, _ = w.Write([]byte(`<!doctype html><script>location = new URLSearchParams(location.search).get("redirect_url")</script>`))
	}))
	t.Cleanup(renews.Close)
	signIn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, renews.URL+"/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(signIn.Close)
	callback, arrived := appServer(t)
	h := newHarness(t, withClerk(f), func(p *Params) {
		p.Config.Clerk.SignInURL = signIn.URL + "/sign-in"
		p.Config.Clients = append(p.Config.Clients, Client{ID: "app", RedirectURIs: []string{callback}}) // and no other port
	})
	start := h.url + authorizePath + "?" + request("app", callback, repotest.NewVerifier()).Encode()
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(start), chromedp.WaitVisible(`button[value="allow"]`)))
	_, err := chromedp.Call(ctx, cdp.SetCookie, cdp.SetCookieParams{Name: clerkCookie, Value: f.expired(t, "user_1"), URL: h.url, Path: "/"})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible(`#app`)))
	require.NotEmpty(t, (<-arrived).Get("code"))
	require.Len(t, h.eventsOf("user_1", repo.EventAuthorize), 1)
}

// TestBrowserPagesFitEveryScreen looks at every page in both colour schemes and at two widths: nothing may be wider than
// the screen, and no rule of the policy may be broken. With GPTOAUTH_SCREENSHOTS set it takes pictures, for people.
func TestBrowserPagesFitEveryScreen(t *testing.T) {
	t.Parallel()
	ctx := browsertest.Start(t)
	h := developmentHarness(t)
	b := h.browser()
	b.signIn("user_Ada")
	long := newDevFlow(h.url)
	again := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // without its refresh
		if r.URL.Path == stylePath {
			h.style(w, r)
			return
		}
		h.show(w, r, http.StatusOK, "again", againPage{Client: "Example app", To: h.dev.authorizeURL()})
	}))
	t.Cleanup(again.Close)
	for range 3 {
		b.h = h
		repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: "user_ada", ClientID: DevClientID, Scope: "jobs:read resume:read"}, 0)
	}
	repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: "user_ada", ClientID: "https://a-client-with-a-very-long-name.example.com/oauth/metadata.json"}, 0)

	pages := []struct {
		name string
		open steps
	}{
		{"sign-in", steps{chromedp.Navigate(h.url + devSignInPath)}},
		{"again", steps{chromedp.Navigate(again.URL)}},
		{"consent", steps{
			chromedp.Navigate(h.url + devSignInPath), chromedp.Click(`button[value="Ada"]`), chromedp.WaitVisible(`.apps, .empty`),
			chromedp.Navigate(h.dev.authorizeURL()), chromedp.WaitVisible(`button[value="allow"]`),
		}},
		{"callback", steps{chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible(`pre`)}},
		{"refused", steps{chromedp.Navigate(h.url + devCallbackPath + "?error=access_denied")}},
		{"apps", steps{chromedp.Navigate(h.url + appsPath)}},
		{"apps-ended", steps{chromedp.Click(`.apps button`), chromedp.WaitVisible(`.done`)}},
		{"apps-empty", steps{
			chromedp.Navigate(h.url + devSignInPath), chromedp.Click(`button[value="Grace"]`), chromedp.WaitVisible(`.empty`),
		}},
		{"error", steps{chromedp.Navigate(h.url + authorizePath + "?client_id=unknown&x=" + long.verifier)}},
	}
	for _, screen := range []struct {
		name   string
		width  int64
		height int64
		scheme string
	}{{"phone-light", 360, 740, "light"}, {"phone-dark", 360, 740, "dark"}, {"desktop-light", 1280, 800, "light"}, {"desktop-dark", 1280, 800, "dark"}} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(screen.width, screen.height)))
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}},
		})
		require.NoError(t, err)
		for _, page := range pages {
			require.NoError(t, chromedp.Do(ctx, page.open...), page.name)
			width, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			require.NoError(t, err)
			styled, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector("main")).borderTopStyle`))
			require.NoError(t, err)
			require.LessOrEqual(t, width, screen.width, "%s is wider than %s", page.name, screen.name)
			require.Equal(t, "solid", styled, "the style sheet of %s is blocked", page.name)
			browsertest.SavePicture(ctx, t, page.name+"-"+screen.name)
		}
	}
}

// steps are what one does in a browser.
type steps []chromedp.Action[chromedp.Void]
