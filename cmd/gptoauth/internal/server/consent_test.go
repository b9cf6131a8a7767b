package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// consentForm opens the consent page and reads its form, with Allow pressed.
func (b *browser) consentForm(start string) url.Values {
	b.h.t.Helper()
	page := b.get(start)
	require.Equal(b.h.t, http.StatusOK, page.StatusCode, page.body)
	require.Contains(b.h.t, page.body, `value="allow"`)
	form := hidden(page.body)
	form.Set("decision", "allow")
	return form
}

// set sets a cookie of the server; empty removes it.
func (b *browser) set(name, value string) {
	b.h.t.Helper()
	u, err := url.Parse(b.h.url)
	require.NoError(b.h.t, err)
	cookie := &http.Cookie{Name: name, Value: value, Path: "/"}
	if value == "" {
		cookie.MaxAge = -1
	}
	b.client.Jar.SetCookies(u, []*http.Cookie{cookie})
}

func (b *browser) cookie(name string) string {
	b.h.t.Helper()
	u, err := url.Parse(b.h.url)
	require.NoError(b.h.t, err)
	for _, cookie := range b.client.Jar.Cookies(u) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// signedAt is forms.sign at another time.
func signedAt(t *testing.T, f *forms, purpose string, person person, browser, content string, at time.Time) string {
	t.Helper()
	payload, err := json.Marshal(signed{person, at.Unix()})
	require.NoError(t, err)
	return encode(payload) + "." + encode(f.mac(purpose, browser, content, payload))
}

// requireSignIn expects a page that leads to signing in, and returns where that leads back to.
func requireSignIn(t *testing.T, page answer, parameter string) string {
	t.Helper()
	require.Equal(t, http.StatusOK, page.StatusCode, page.body)
	require.Empty(t, page.Header.Get("Location"))
	address, ok := strings.CutPrefix(page.Header.Get("Refresh"), "0; url=")
	require.True(t, ok, page.Header)
	to, err := url.Parse(address)
	require.NoError(t, err)
	require.NotContains(t, address, "token")
	return to.Query().Get(parameter)
}

// expired is a session of Clerk's whose minute is over.
func (f *fakeClerk) expired(t *testing.T, user string) string {
	t.Helper()
	return f.session(t, user, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
}

func gptStart(h *harness, pairs ...string) string {
	return h.url + authorizePath + "?" + gptRequest(pairs...).Encode()
}

// TestConsentIsNotGivenBySomeoneWhoHasSignedOut since the page was shown, or whom Clerk has deleted.
func TestConsentIsNotGivenBySomeoneWhoHasSignedOut(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	production, development := newHarness(t, withClerk(f)), newHarness(t)
	for _, c := range []struct {
		h         *harness
		user      string
		cookie    string
		parameter string // of the sign-in page
		was, is   string // cookies
	}{
		{production, "user_out", clerkCookie, "redirect_url", f.session(t, "user_out", nil), ""},
		{production, "user_late", clerkCookie, "redirect_url", f.session(t, "user_late", nil), f.expired(t, "user_late")},
		{development, "user_dev", devCookie, "return_to", development.forms.sign(cookieDev, person{ID: "user_dev"}, "", ""), ""},
	} {
		b := c.h.in(t).browser()
		b.set(c.cookie, c.was)
		form := b.consentForm(gptStart(c.h))
		b.set(c.cookie, c.is)
		back := requireSignIn(t, b.post(c.h.url+consentPath, form), c.parameter)
		require.Equal(t, gptStart(c.h), back)
		require.Empty(t, c.h.in(t).eventsOf(c.user, repo.EventAuthorize), "nothing is issued")
		require.NotContains(t, b.get(back).body, `value="allow"`, "nor shown again, before they have signed in")
	}
}

// TestConsentOutlivesClerksMinute: the person reads the consent page for longer than Clerk's token lives, presses Allow, is
// sent through sign-in, which renews it, and need not press again.
func TestConsentOutlivesClerksMinute(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	b := h.browser().as(f.session(t, "user_1", nil))
	form := b.consentForm(gptStart(h))
	back := requireSignIn(t, b.as(f.expired(t, "user_1")).post(h.url+consentPath, form), "redirect_url")

	to := b.as(f.session(t, "user_1", nil)).location(b.get(back))
	require.Equal(t, "a state&=%", to.Query().Get("state"))
	got := grantee{h: h, id: gptID, redirect: gptRedirect, code: to.Query().Get("code")}.exchange()
	require.Equal(t, "user_1", h.claims(got.Access).Subject)
	require.Contains(t, b.get(back).body, `value="allow"`, "it is good once")
}

// TestConsentIsAskedAgain of everyone but the person who has pressed, for that request, in that browser, a moment ago.
func TestConsentIsAskedAgain(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	pressed := func() *browser {
		b := h.browser().as(f.session(t, "user_1", nil))
		form := b.consentForm(gptStart(h))
		requireSignIn(t, b.as(f.expired(t, "user_1")).post(h.url+consentPath, form), "redirect_url")
		return b
	}
	asked := func(b *browser, user, start string) {
		t.Helper()
		page := b.as(f.session(t, user, nil)).get(start)
		require.Equal(t, http.StatusOK, page.StatusCode)
		require.Contains(t, page.body, `value="allow"`)
		require.Contains(t, page.body, user)
	}
	asked(pressed(), "user_2", gptStart(h))
	asked(pressed(), "user_1", gptStart(h, "scope", "jobs:read"))
	asked(pressed(), "user_1", gptStart(h, "state", "another"))

	thief := h.browser().as(f.session(t, "user_1", nil))
	thief.consentForm(gptStart(h)) // so that the server knows this browser too
	thief.set(h.allowedCookie(), pressed().cookie(h.allowedCookie()))
	asked(thief, "user_1", gptStart(h))

	late := pressed()
	query := gptRequest().Encode()
	token := signedAt(t, h.forms, cookieAllowed, person{ID: "user_1"}, late.cookie(h.forms.cookieName()), query, time.Now().Add(-allowedAge-2*time.Second))
	late.set(h.allowedCookie(), token)
	asked(late, "user_1", gptStart(h))
	// The same token a little younger is good, so that it is the age that was looked at.
	token = signedAt(t, h.forms, cookieAllowed, person{ID: "user_1"}, late.cookie(h.forms.cookieName()), query, time.Now())
	late.set(h.allowedCookie(), token)
	require.NotEmpty(t, late.location(late.get(gptStart(h))).Query().Get("code"))
}

// TestConsentIsAskedAgainAfterAnotherAnswer: whoever has pressed Allow while signed out, and then presses something else,
// has not allowed the request the next time that it comes, however that turned out.
func TestConsentIsAskedAgainAfterAnotherAnswer(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	for name, c := range map[string]struct {
		user   string // who is signed in when they press again; empty for no one
		pairs  []string
		status int
	}{
		"Cancel":                  {"", []string{"decision", "deny"}, http.StatusSeeOther},
		"Cancel, signed in":       {"user_1", []string{"decision", "deny"}, http.StatusSeeOther},
		"Allow, signed in":        {"user_1", nil, http.StatusSeeOther},
		"Allow, as someone else":  {"user_2", nil, http.StatusForbidden},
		"a form that was altered": {"user_1", []string{"token", "x.y"}, http.StatusForbidden},
		"a form of nothing":       {"user_1", []string{"token", "", "request", ""}, http.StatusForbidden},
	} {
		b := h.browser().as(f.session(t, "user_1", nil))
		form := b.consentForm(gptStart(h))
		b.as(f.expired(t, "user_1"))
		for range 2 { // the second press is as good as the first
			again := b.post(h.url+consentPath, form)
			requireSignIn(t, again, "redirect_url")
			require.Len(t, again.Cookies(), 1, name)
			require.NotEmpty(t, b.cookie(h.allowedCookie()), name)
		}
		if c.user != "" {
			b.as(f.session(t, c.user, nil))
		}
		require.Equal(t, c.status, b.post(h.url+consentPath, with(form, c.pairs...)).StatusCode, name)
		require.Empty(t, b.cookie(h.allowedCookie()), name)
		b.as(f.session(t, "user_1", nil)).consentForm(gptStart(h)) // which expects the page
	}
}

func TestConsentCanBeRefusedByWhoeverWasShownThePage(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	b := h.browser().as(f.session(t, "user_1", nil))
	form := b.consentForm(gptStart(h))
	form.Set("decision", "deny")
	b.as(f.expired(t, "user_1"))
	require.Equal(t, "access_denied", b.location(b.post(h.url+consentPath, form)).Query().Get("error"))
}

func TestConsentIsNotGivenForSomeoneElse(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	b := h.browser().as(f.session(t, "user_1", nil))
	form := b.consentForm(gptStart(h))
	require.Equal(t, http.StatusForbidden, b.as(f.session(t, "user_2", nil)).post(h.url+consentPath, form).StatusCode)
}

// TestConsentWaitsWhileClerkCannotBeReached: a page of ours is not too old because of it.
func TestConsentWaitsWhileClerkCannotBeReached(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	b := h.browser().as(f.session(t, "user_1", nil))
	form, apps := b.consentForm(gptStart(h)), hidden(b.get(h.url+appsPath).body)
	f.rotate(t, "ins_2") // a key that is not known yet
	f.down.Store(true)
	h.people.(*clerkPeople).keys.(*mcpauthRemoteKeys).MinInterval = time.Nanosecond
	b.as(f.session(t, "user_1", nil))
	require.Equal(t, http.StatusServiceUnavailable, b.post(h.url+consentPath, form).StatusCode)
	apps.Set("session", "all")
	require.Equal(t, http.StatusServiceUnavailable, b.post(h.url+appsEndPath, apps).StatusCode)
	f.down.Store(false)
	require.NotEmpty(t, b.location(b.post(h.url+consentPath, form)).Query().Get("code"))
}

// TestConsentSaysHowLongItLasts (RFC 6749 10.2), which is what the store does by default.
func TestConsentSaysHowLongItLasts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(gptID)
	found, err := h.store.RefreshTokens.Lookup(t.Context(), g.exchange().Refresh)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(30*24*time.Hour), found.Token.ExpiresAt, time.Minute)
	require.WithinDuration(t, time.Now().Add(365*24*time.Hour), found.Session.ExpiresAt, time.Minute)
	development := developmentHarness(t)
	page := development.ask(request(devMCPClientID, appRedirect, repotest.NewVerifier())).body
	require.Contains(t, page, "The connection ends by itself when MCP client has not")
	require.Contains(t, page, "Stay connected while you are away")
	require.NotContains(t, page, "until you end it", "it would be said not to end by itself")
	require.Contains(t, h.ask(gptRequest()).body, "The connection ends by itself when Career Coach has not used it for 30 days, and after a year")
}
