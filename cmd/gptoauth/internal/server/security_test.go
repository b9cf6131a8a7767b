package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestAnswersAreKeptOutOfCaches, those of the router and of libraries too; what is public says for how long.
func TestAnswersAreKeptOutOfCaches(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b, _ := h.newPerson()
	for _, path := range []string{
		"/", "/nothing-here", appsPath, devSignInPath, devCallbackPath, authorizePath, gptStart(h)[len(h.url):], tokenPath, mcpPath,
		"/healthz", "/readyz", "/metrics", resourceMetaPath,
	} {
		require.Equal(t, "no-store", b.get(h.url+path).Header.Get("Cache-Control"), path)
	}
	cross := formRequest(t, h.url+consentPath, nil)
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	require.Equal(t, "no-store", b.do(cross).Header.Get("Cache-Control"))
	rebound, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+appsPath, nil)
	require.NoError(t, err)
	rebound.Host = "rebound.example.com"
	require.Equal(t, "no-store", b.do(rebound).Header.Get("Cache-Control"))
	for _, path := range []string{"/.well-known/oauth-authorization-server", jwksPath, stylePath} {
		require.Contains(t, b.get(h.url+path).Header.Get("Cache-Control"), "public, max-age=", path)
	}
}

// TestCookiesAreSecureBehindAProxyThatSpeaksTLS: the server itself never sees TLS, it goes by its issuer.
func TestCookiesAreSecureBehindAProxyThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	params := Params{Store: repotest.CommittingStore(t, repo.Config{}, 2), Config: testConfig("https://auth.example.com"), Log: slog.New(slog.DiscardHandler)}
	withClerk(f)(&params)
	server, err := New(params)
	require.NoError(t, err)
	handler := server.Handler()
	session := &http.Cookie{Name: clerkCookie, Value: f.session(t, "user_1", nil)}

	r := httptest.NewRequest(http.MethodGet, "http://10.0.0.1"+authorizePath+"?"+gptRequest().Encode(), nil)
	r.AddCookie(session)
	page := httptest.NewRecorder()
	handler.ServeHTTP(page, r)
	require.Equal(t, http.StatusOK, page.Code)
	require.NotEmpty(t, page.Header().Get("Strict-Transport-Security"))

	// The person has signed out meanwhile, and presses Allow. As our pages give no referrer, browsers name no origin either
	// (Fetch, append a request Origin header): only Sec-Fetch-Site says that the form is ours, though the proxy rewrites Host.
	form := hidden(page.Body.String())
	form.Set("decision", "allow")
	press := func(origin, site string) *httptest.ResponseRecorder {
		r := formRequest(t, "http://10.0.0.1"+consentPath, form)
		r.Header.Set("Origin", origin)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		for _, cookie := range page.Result().Cookies() {
			r.AddCookie(cookie)
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		return answer
	}
	require.Equal(t, http.StatusForbidden, press("null", "cross-site").Code)
	require.Equal(t, http.StatusForbidden, press("null", "same-site").Code)
	require.Equal(t, http.StatusForbidden, press("null", "").Code)
	require.Equal(t, http.StatusOK, press("https://auth.example.com", "").Code, "a browser too old for both names its origin")
	again := press("null", "same-origin")
	require.Contains(t, again.Header().Get("Refresh"), "https://app.example.com/sign-in")

	cookies := append(page.Result().Cookies(), again.Result().Cookies()...)
	require.Len(t, cookies, 2)
	for _, cookie := range cookies {
		require.True(t, strings.HasPrefix(cookie.Name, "__Host-"), cookie.Name)
		require.True(t, cookie.Secure)
		require.True(t, cookie.HttpOnly)
		require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
		require.Equal(t, "/", cookie.Path)
		require.Empty(t, cookie.Domain)
	}
}

// TestNothingSentBecomesAHeaderOrALineOfTheLog.
func TestNothingSentBecomesAHeaderOrALineOfTheLog(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	evil := "x\r\nSet-Cookie: evil=1\r\ntime=2026-01-01 level=ERROR msg=forged"
	to := h.consent(gptID, "state", evil).back
	require.Equal(t, evil, to.Query().Get("state"))
	b, _ := h.newPerson()
	for _, form := range []string{
		gptRequest("state", evil, "scope", "admin").Encode(), gptRequest("client_id", evil).Encode(), gptRequest("redirect_uri", gptRedirect+evil).Encode(),
		gptRequest("resource", evil).Encode(), gptRequest("response_mode", evil).Encode(),
	} {
		answer := b.get(h.url + authorizePath + "?" + form)
		require.Empty(t, answer.Cookies())
		require.NotContains(t, answer.Header.Get("Location"), "\n")
	}
	h.post(tokenPath, with(grantee{id: gptID}.refreshForm(evil), "scope", evil, "resource", evil))
	r := formRequest(t, h.url+tokenPath, grantee{id: gptID}.refreshForm("x"))
	r.SetBasicAuth(evil, evil)
	r.Header.Set("User-Agent", "time=2026 level=ERROR msg=forged")
	r.Header.Set("X-Forwarded-For", "time=2026 level=ERROR msg=forged")
	h.browser().do(r)
	r, err := http.NewRequestWithContext(t.Context(), "FORGED"+strings.Repeat("X", 8000), h.url+tokenPath, nil)
	require.NoError(t, err)
	h.browser().do(r)
	for line := range strings.Lines(h.log.String()) {
		require.True(t, strings.HasPrefix(line, "time="), line)
		require.NotContains(t, strings.ToLower(line), "forged")
	}
}

// TestMCPRefusesWhatAnotherSiteSends, even with a good token (MCP, Transports).
func TestMCPRefusesWhatAnotherSiteSends(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	token := h.consent(publicID, "resource", h.url+mcpPath).exchange().Access
	for origin, want := range map[string]int{"": http.StatusOK, h.url: http.StatusOK, "https://evil.example.com": http.StatusForbidden, "null": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+mcpPath, strings.NewReader(initializeBody))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Authorization", "Bearer "+token)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		require.Equal(t, want, h.browser().do(r).StatusCode, origin)
	}
}

// TestMCPAsksForTheScopeThatAToolNeeds, and says so before it runs (RFC 6750 3.1), whatever the body is.
func TestMCPAsksForTheScopeThatAToolNeeds(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(publicID, "scope", "jobs:read", "resource", h.url+mcpPath)
	token := g.exchange().Access
	call := func(body io.Reader) answer {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+mcpPath, body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Authorization", "Bearer "+token)
		return h.browser().do(r)
	}
	tool := func(name, argument string) io.Reader {
		return strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","arguments":{"` + argument + `":"go"}}}`)
	}
	refused := call(tool("resume_analyze", "text"))
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	challenge := refused.Header.Get("WWW-Authenticate")
	require.Contains(t, challenge, `Bearer error="insufficient_scope", scope="resume:read", resource_metadata="`+h.url)
	require.Empty(t, h.eventsOf(g.user, eventResumeAnalyze))

	require.Equal(t, http.StatusOK, call(tool("job_search", "query")).StatusCode)
	require.Len(t, h.eventsOf(g.user, eventJobSearch), 1)
	require.Equal(t, http.StatusRequestEntityTooLarge, call(strings.NewReader(strings.Repeat(" ", maxMCPLen+1))).StatusCode)
	require.Less(t, call(strings.NewReader("not JSON")).StatusCode, http.StatusInternalServerError)
}
