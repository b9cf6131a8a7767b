package server

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

var linkAttribute = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

// foreignLinks are those of a page that lead to other sites.
func (h *harness) foreignLinks(page answer) []string {
	h.t.Helper()
	links := linkAttribute.FindAllStringSubmatch(page.body, -1)
	require.NotEmpty(h.t, links)
	var foreign []string
	for _, link := range links {
		to := html.UnescapeString(link[1])
		if own := strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") || strings.HasPrefix(to, h.url+"/"); !own {
			foreign = append(foreign, to)
		}
	}
	return foreign
}

var pageRules = []rule{
	{section: "RFC 6749 10.12", level: "MUST", demand: "consent cannot be forged by another site", check: func(h *harness) {
		victim, _ := h.newPerson()
		attacker, _ := h.newPerson()
		start := h.url + authorizePath + "?" + gptRequest().Encode()
		form := hidden(victim.get(start).body)
		form.Set("decision", "allow")

		stolen := hidden(attacker.get(start).body)
		stolen.Set("decision", "allow")
		require.Equal(h.t, http.StatusForbidden, victim.post(h.url+consentPath, stolen).StatusCode, "a token of another browser")
		none := url.Values{"request": form["request"], "decision": {"allow"}}
		require.Equal(h.t, http.StatusForbidden, victim.post(h.url+consentPath, none).StatusCode, "no token")
		altered := url.Values{"request": {gptRequest("scope", "jobs:read").Encode()}, "token": form["token"], "decision": {"allow"}}
		require.Equal(h.t, http.StatusForbidden, victim.post(h.url+consentPath, altered).StatusCode, "another request than was shown")
		require.Equal(h.t, http.StatusForbidden, h.browser().post(h.url+consentPath, form).StatusCode, "a browser without the cookie")

		r := formRequest(h.t, h.url+consentPath, form)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		require.Equal(h.t, http.StatusForbidden, victim.do(r).StatusCode, "sent by another site")
		require.NotEmpty(h.t, victim.location(victim.post(h.url+consentPath, form)).Query().Get("code"))
	}},
	{section: "RFC 6749 10.2", level: "SHOULD NOT", demand: "a repeated request is asked again", check: func(h *harness) {
		b, _ := h.newPerson()
		for range 2 {
			require.NotEmpty(h.t, b.decide(gptStart(h), "allow").Query().Get("code")) // which expects the page
		}
	}},
	{section: "RFC 6749 10.13", level: "SHOULD", demand: "no page can be framed", check: func(h *harness) {
		b, _ := h.newPerson()
		for _, path := range []string{authorizePath + "?" + gptRequest().Encode(), authorizePath, appsPath, devSignInPath, devCallbackPath} {
			header := b.get(h.url + path).Header
			policy := header.Get("Content-Security-Policy")
			require.Contains(h.t, policy, "frame-ancestors 'none'", path)
			require.Contains(h.t, policy, "default-src 'none'", path)
			require.NotContains(h.t, policy, "unsafe")
			require.Equal(h.t, "DENY", header.Get("X-Frame-Options"), path)
		}
	}},
	{section: "RFC 6749 10.15", level: "SHOULD NOT", demand: "the sign-in is no open redirector", check: func(h *harness) {
		for _, to := range []string{"https://evil.example.com/", "//evil.example.com", h.url + ".evil.example.com/", h.url + "@evil.example.com/", ""} {
			b := h.browser()
			page := b.get(h.url + devSignInPath + "?" + url.Values{"return_to": {to}}.Encode())
			form := hidden(page.body)
			form.Set("person", "Ada")
			require.Equal(h.t, h.url+appsPath, b.location(b.post(h.url+devSignInPath, form)).String())
		}
	}},
	{section: "RFC 9700 4.2.4", level: "SHOULD", demand: "no page and no redirect gives a referrer", check: func(h *harness) {
		b, _ := h.newPerson()
		page := b.get(h.url + authorizePath + "?" + gptRequest().Encode())
		require.Equal(h.t, "no-referrer", page.Header.Get("Referrer-Policy"))
		form := hidden(page.body)
		form.Set("decision", "allow")
		require.Equal(h.t, "no-referrer", b.post(h.url+consentPath, form).Header.Get("Referrer-Policy"))
	}},
	{section: "RFC 9700 4.2.4", level: "SHOULD NOT", demand: "the pages link to no other site but the sign-in", check: func(h *harness) {
		b, _ := h.newPerson()
		for _, path := range []string{authorizePath + "?" + gptRequest().Encode(), authorizePath, appsPath, devSignInPath, devCallbackPath} {
			require.Empty(h.t, h.foreignLinks(b.get(h.url+path)), path)
		}
		// With Clerk the sign-in is a page of the operator's, and one page leads there, with the request and nothing secret.
		f := newFakeClerk(h.t)
		production := newHarness(h.t, withClerk(f))
		b = production.browser().as(f.session(h.t, "user_1", nil))
		page := b.get(gptStart(production))
		require.Empty(h.t, production.foreignLinks(page))
		form := hidden(page.body)
		form.Set("decision", "allow")
		again := b.as(f.expired(h.t, "user_1")).post(production.url+consentPath, form)
		require.Equal(h.t, gptStart(production), requireSignIn(h.t, again, "redirect_url"))
		to := strings.TrimPrefix(again.Header.Get("Refresh"), "0; url=")
		require.True(h.t, strings.HasPrefix(to, production.config.Clerk.SignInURL), to)
		require.Equal(h.t, []string{to}, production.foreignLinks(again))
	}},
	{section: "RFC 9700 4.16", level: "MUST", demand: "the answer may go to the client's hosts only", check: func(h *harness) {
		policy := h.ask(gptRequest()).Header.Get("Content-Security-Policy")
		require.Contains(h.t, policy, "form-action 'self' https://chatgpt.com https://chat.openai.com")
	}},
}

var mcpRules = []rule{
	{section: "MCP Authorization Server Location", level: "MUST", demand: "the protected resource names its authorization server", check: func(h *harness) {
		for _, path := range []string{resourceMetaPath + mcpPath, resourceMetaPath} {
			fields := h.metadataFields(path)
			require.Equal(h.t, h.url+mcpPath, fields["resource"])
			require.Equal(h.t, []any{h.url}, fields["authorization_servers"])
			require.NotEmpty(h.t, fields["scopes_supported"])
		}
	}},
	{section: "MCP Protected Resource Metadata Discovery", level: "MUST", demand: "the challenge says where the metadata are", check: func(h *harness) {
		require.Contains(h.t, h.initialize("").Header.Get("WWW-Authenticate"), `resource_metadata="`+h.url+resourceMetaPath+mcpPath+`"`)
	}},
	{section: "MCP Authorization Code Protection", level: "MUST", demand: "the metadata say that PKCE is supported", check: func(h *harness) {
		require.Equal(h.t, []any{"S256"}, h.metadataFields("/.well-known/oauth-authorization-server")["code_challenge_methods_supported"])
	}},
	{section: "MCP Token Handling", level: "MUST", demand: "tokens for other audiences are refused", check: func(h *harness) {
		h.refusedToken(h.consent(publicID, "resource", "https://api.example.com").exchange().Access)
	}},
	{section: "MCP Token Theft", level: "SHOULD", demand: "access tokens are short-lived", check: func(h *harness) {
		require.LessOrEqual(h.t, h.consent(publicID).exchange().Expires, 600)
	}},
	{section: "MCP Scope Selection Strategy", level: "SHOULD", demand: "the challenge names the scopes", check: func(h *harness) {
		require.Contains(h.t, h.initialize("").Header.Get("WWW-Authenticate"), `scope="jobs:read resume:read"`)
	}},
	{section: "MCP Client ID Metadata Document Security", level: "MUST", demand: "the page says where the answer goes", check: func(h *harness) {
		require.Contains(h.t, h.ask(gptRequest()).body, "You will be sent on to <strong>chatgpt.com</strong>")
		require.Contains(h.t, h.ask(appRequest()).body, "an app on this device (127.0.0.1)")
	}},
	{section: "MCP Refresh Tokens", level: "SHOULD NOT", demand: "offline_access is no scope of the resource", check: func(h *harness) {
		require.Equal(h.t, []any{"jobs:read", "resume:read"}, h.metadataFields(resourceMetaPath)["scopes_supported"])
		require.Contains(h.t, h.metadataFields("/.well-known/oauth-authorization-server")["scopes_supported"], "offline_access")
		require.NotContains(h.t, h.initialize("").Header.Get("WWW-Authenticate"), "offline_access")
	}},
	{section: "MCP Refresh Tokens", level: "MUST", demand: "refresh tokens come with and without offline_access", check: func(h *harness) {
		h.consent(publicID, "scope", "jobs:read").exchange() // which expects a refresh token
		require.Equal(h.t, "jobs:read offline_access", h.consent(publicID, "scope", "jobs:read offline_access").exchange().Scope)
	}},
}
