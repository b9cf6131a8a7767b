package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

// ask sends an authorization request for a person who is signed in, and expects the consent page.
func (h *harness) ask(form url.Values) answer {
	h.t.Helper()
	b, _ := h.newPerson()
	page := b.get(h.url + authorizePath + "?" + form.Encode())
	require.Equal(h.t, http.StatusOK, page.StatusCode, page.Header.Get("Location"))
	require.Contains(h.t, page.body, `value="allow"`)
	return page
}

// refusedTo expects that the client is told an error, with state and iss.
func (h *harness) refusedTo(form url.Values, code string) url.Values {
	h.t.Helper()
	b, _ := h.newPerson()
	to := b.location(b.get(h.url + authorizePath + "?" + form.Encode()))
	query := to.Query()
	require.Equal(h.t, code, query.Get("error"), to)
	require.Equal(h.t, form.Get("state"), query.Get("state"))
	require.Equal(h.t, h.url, query.Get("iss"))
	require.Empty(h.t, query.Get("code"))
	return query
}

// refusedHere expects that the person is told, and no one else.
func (h *harness) refusedHere(form url.Values) {
	h.t.Helper()
	b, _ := h.newPerson()
	page := b.get(h.url + authorizePath + "?" + form.Encode())
	require.Equal(h.t, http.StatusBadRequest, page.StatusCode)
	require.Empty(h.t, page.Header.Get("Location"))
}

func gptRequest(pairs ...string) url.Values { return request(gptID, gptRedirect, "", pairs...) }

func appRequest(pairs ...string) url.Values {
	return request(publicID, "http://127.0.0.1:4711/callback", repotest.NewVerifier(), pairs...)
}

var authorizeRules = []rule{
	{section: "RFC 6749 3.1", level: "MUST", demand: "the person is authenticated first", check: func(h *harness) {
		to := h.browser().location(h.browser().get(h.url + authorizePath + "?" + gptRequest().Encode()))
		require.Equal(h.t, devSignInPath, to.Path)
		require.Contains(h.t, to.Query().Get("return_to"), "client_id="+gptID)
	}},
	{section: "RFC 6749 3.1", level: "MAY", demand: "the request may be a form", check: func(h *harness) {
		b, _ := h.newPerson()
		require.Contains(h.t, b.post(h.url+authorizePath, gptRequest()).body, `value="allow"`)
	}},
	{section: "RFC 6749 3.1", level: "MUST", demand: "an empty parameter counts as left out", check: func(h *harness) {
		form := gptRequest()
		form.Set("scope", "")
		form.Set("code_challenge", "")
		require.Contains(h.t, h.ask(form).body, "Read your resume")
	}},
	{section: "RFC 6749 3.1", level: "MUST", demand: "unknown parameters are ignored", check: func(h *harness) {
		h.ask(gptRequest("prompt", "consent", "nonce", "n", "x", "y"))
	}},
	{section: "RFC 6749 3.1", level: "MUST NOT", demand: "no parameter comes twice", check: func(h *harness) {
		for _, name := range []string{"scope", "state", "response_type"} {
			form := gptRequest("scope", "jobs:read")
			form.Add(name, form.Get(name))
			h.refusedTo(form, "invalid_request")
		}
		for _, name := range []string{"client_id", "redirect_uri"} {
			form := gptRequest()
			form.Add(name, form.Get(name))
			h.refusedHere(form)
		}
	}},
	{section: "RFC 6749 3.1.1", level: "MUST", demand: "response_type is checked", check: func(h *harness) {
		h.refusedTo(gptRequest("response_type", ""), "invalid_request")
		h.refusedTo(gptRequest("response_type", "token"), "unsupported_response_type")
		h.refusedTo(gptRequest("response_type", "code id_token"), "unsupported_response_type")
	}},
	{section: "RFC 6749 3.1.2", level: "MUST", demand: "a query of the redirect URI is kept", check: func(h *harness) {
		g := h.consent(otherGPTID)
		require.Equal(h.t, "1", g.back.Query().Get("tenant"))
		require.NotEmpty(h.t, g.code)
	}},
	{section: "RFC 6749 3.1.2", level: "MUST NOT", demand: "no redirect URI has a fragment", check: func(h *harness) {
		require.Error(h.t, checkRedirectURI("https://example.com/cb#x"))
		require.Error(h.t, checkRedirectURI("/cb"))
	}},
	{section: "RFC 6749 3.1.2.3", level: "MUST", demand: "one of several redirect URIs is named", check: func(h *harness) {
		h.refusedHere(gptRequest("redirect_uri", ""))
		h.refusedHere(request(gptID, "", repotest.NewVerifier()))
	}},
	{section: "RFC 6749 3.1.2.3", level: "MUST", demand: "the only redirect URI is used if none is named", check: func(h *harness) {
		b, _ := h.newPerson()
		back := b.decide(h.url+authorizePath+"?"+request(otherGPTID, "", repotest.NewVerifier()).Encode(), "allow")
		require.Equal(h.t, "other.example.com", back.Host)
	}},
	{section: "RFC 6749 3.1.2.4", level: "MUST NOT", demand: "no one is sent to an unregistered URI", check: func(h *harness) {
		for _, uri := range []string{
			gptRedirect + "/", gptRedirect + "?x=1", strings.ToUpper(gptRedirect), "https://evil.example.com/", gptRedirect + "%2e",
			"https://chatgpt.com/aip/g-2/oauth/callback", "https://chatgpt.com@evil.example.com/aip/g-1/oauth/callback", "//chatgpt.com",
			"https://chatgpt.com/aip/x/../g-1/oauth/callback", "javascript:alert(1)", gptRedirect + "#f", "http://chatgpt.com/aip/g-1/oauth/callback",
		} {
			h.refusedHere(gptRequest("redirect_uri", uri))
		}
		h.refusedHere(gptRequest("client_id", "nobody"))
	}},
	{section: "RFC 6749 3.3", level: "MUST", demand: "a scope that is not the client's is refused", check: func(h *harness) {
		h.refusedTo(gptRequest("scope", "jobs:read admin"), "invalid_scope")
		h.refusedTo(gptRequest("scope", "jobs:read  resume:read"), "invalid_scope")
	}},
	{section: "RFC 6749 4.1.2", level: "MUST", demand: "state comes back exactly", check: func(h *harness) {
		g := h.consent(gptID, "state", "ü &=+%20/?#\\\"'<>")
		require.Equal(h.t, "ü &=+%20/?#\\\"'<>", g.back.Query().Get("state"))
		require.False(h.t, h.consent(gptID, "state", "").back.Query().Has("state"))
	}},
	{section: "RFC 6749 4.1.2.1", level: "MUST", demand: "a refusal is access_denied", check: func(h *harness) {
		b, _ := h.newPerson()
		to := b.decide(h.url+authorizePath+"?"+gptRequest().Encode(), "deny")
		require.Equal(h.t, "access_denied", to.Query().Get("error"))
		require.Equal(h.t, "a state&=%", to.Query().Get("state"))
	}},
	{section: "RFC 7636 4.3", level: "MUST", demand: "an absent method means plain", check: func(h *harness) {
		require.Contains(h.t, h.refusedTo(appRequest("code_challenge_method", ""), "invalid_request").Get("error_description"),
			"transform algorithm not supported")
	}},
	{section: "RFC 7636 4.4.1", level: "MUST", demand: "a missing challenge is invalid_request", check: func(h *harness) {
		query := h.refusedTo(appRequest("code_challenge", "", "code_challenge_method", ""), "invalid_request")
		require.Equal(h.t, "code challenge required", query.Get("error_description"))
	}},
	{section: "RFC 7636 4.4.1", level: "MUST", demand: "an unknown method is invalid_request", check: func(h *harness) {
		for _, method := range []string{"plain", "S512", "s256"} {
			h.refusedTo(appRequest("code_challenge_method", method), "invalid_request")
		}
	}},
	{section: "RFC 7636 4.2", level: "MUST", demand: "a malformed challenge gives no code", check: func(h *harness) {
		for _, challenge := range []string{"short", strings.Repeat("A", 44), strings.Repeat("*", 43)} {
			b, _ := h.newPerson()
			to := b.decide(h.url+authorizePath+"?"+appRequest("code_challenge", challenge).Encode(), "allow")
			require.Equal(h.t, "invalid_request", to.Query().Get("error"))
		}
	}},
	{section: "RFC 8707 2", level: "SHOULD", demand: "an unknown resource is invalid_target", check: func(h *harness) {
		h.refusedTo(gptRequest("resource", "https://unknown.example.com"), "invalid_target")
		h.refusedTo(gptRequest("resource", h.url+mcpPath+"#f"), "invalid_target")
		h.refusedTo(gptRequest("resource", "mcp"), "invalid_target")
	}},
	{section: "RFC 9207 2", level: "MUST", demand: "iss comes with codes and errors", check: func(h *harness) {
		require.Equal(h.t, h.url, h.consent(gptID).back.Query().Get("iss"))
		h.refusedTo(gptRequest("scope", "admin"), "invalid_scope") // which looks at iss
	}},
	{section: "RFC 9700 2.1", level: "MUST", demand: "only the port of a loopback URI may vary", check: func(h *harness) {
		for _, uri := range []string{appRedirect, "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"} {
			h.ask(appRequest("redirect_uri", uri))
		}
		for _, uri := range []string{
			"http://127.0.0.2:1/callback", "https://127.0.0.1:1/callback", "http://127.0.0.1:1/callback/x", "http://127.0.0.1:1/callback?x",
			"http://localhost:1/callback", "http://u@127.0.0.1:1/callback", "http://127.0.0.1:1@evil.example.com/callback",
		} {
			h.refusedHere(appRequest("redirect_uri", uri))
		}
	}},
	{section: "RFC 9700 2.1.1", level: "MUST", demand: "public clients use PKCE", check: func(h *harness) {
		client := Client{ID: "x", PKCE: pkceOptional, RedirectURIs: []string{appRedirect}}
		require.ErrorContains(h.t, client.check(nil), "pkce can be optional only for a client with a secret")
	}},
	{section: "RFC 9700 2.1.2", level: "SHOULD NOT", demand: "there is no implicit grant", check: func(h *harness) {
		h.refusedTo(gptRequest("response_type", "token"), "unsupported_response_type")
	}},
	{section: "RFC 9700 2.6", level: "MUST", demand: "no redirect URI is in the clear over a network", check: func(h *harness) {
		require.Error(h.t, checkRedirectURI("http://example.com/cb"))
		require.NoError(h.t, checkRedirectURI("com.example.app:/cb"))
	}},
	{section: "RFC 9700 2.6", level: "MUST NOT", demand: "the authorization endpoint has no CORS", check: func(h *harness) {
		require.Empty(h.t, h.ask(gptRequest()).Header.Get("Access-Control-Allow-Origin"))
	}},
	{section: "RFC 9700 4.11.2", level: "MUST", demand: "no one is sent on before signing in", check: func(h *harness) {
		for _, form := range []url.Values{gptRequest("scope", "admin"), gptRequest("response_type", "token"), gptRequest()} {
			b := h.browser()
			require.Equal(h.t, devSignInPath, b.location(b.get(h.url+authorizePath+"?"+form.Encode())).Path)
		}
	}},
	{section: "RFC 9700 4.12", level: "MUST", demand: "redirects after a form are 303", check: func(h *harness) {
		h.consent(gptID) // which expects 303
	}},
}
