package server

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// age makes what belongs to a person older.
func (h *harness) age(user string, d time.Duration) {
	h.t.Helper()
	for _, table := range []string{"gpt_authorization_codes", "gpt_refresh_tokens"} {
		_, err := h.store.DB().ExecContext(h.t.Context(), "UPDATE public."+table+
			" SET expires_at = expires_at - ? * interval '1 second', created_at = created_at - ? * interval '1 second' WHERE clerk_user_id = ?",
			d.Seconds(), d.Seconds(), user)
		require.NoError(h.t, err)
	}
}

func (h *harness) refusedGrant(form url.Values) {
	h.t.Helper()
	answer := h.post(tokenPath, form)
	answer.requireError(h.t, http.StatusBadRequest, "invalid_grant")
	require.Len(h.t, answer.json(h.t), 1, "nothing more is told")
}

var tokenRules = []rule{
	{section: "RFC 6749 2.3", level: "MUST NOT", demand: "there is one authentication a request", check: func(h *harness) {
		r := formRequest(h.t, h.url+tokenPath, h.consent(gptID).exchangeForm())
		r.SetBasicAuth(gptID, url.QueryEscape(secret))
		h.browser().do(r).requireError(h.t, http.StatusBadRequest, "invalid_request")
	}},
	{section: "RFC 6749 2.3.1", level: "MUST", demand: "HTTP Basic works, form-encoded", check: func(h *harness) {
		form := h.consent(gptID).exchangeForm("client_id", "", "client_secret", "")
		r := formRequest(h.t, h.url+tokenPath, form)
		r.SetBasicAuth(url.QueryEscape(gptID), url.QueryEscape(secret))
		h.requireTokens(h.browser().do(r))
	}},
	{section: "RFC 6749 2.3.1", level: "MUST NOT", demand: "credentials in the URI do not count", check: func(h *harness) {
		form := h.consent(gptID).exchangeForm("client_id", "", "client_secret", "")
		address := h.url + tokenPath + "?" + url.Values{"client_id": {gptID}, "client_secret": {secret}}.Encode()
		h.browser().post(address, form).requireError(h.t, http.StatusUnauthorized, "invalid_client")
	}},
	{section: "RFC 6749 3.2", level: "MUST", demand: "the token endpoint takes POST only", check: func(h *harness) {
		require.Equal(h.t, http.StatusMethodNotAllowed, h.browser().get(h.url+tokenPath).StatusCode)
	}},
	{section: "RFC 6749 3.2", level: "MUST NOT", demand: "no parameter comes twice", check: func(h *harness) {
		g := h.consent(gptID)
		form := g.exchangeForm()
		form.Add("code", g.code)
		h.post(tokenPath, form).requireError(h.t, http.StatusBadRequest, "invalid_request")
	}},
	{section: "RFC 6749 3.2", level: "MUST", demand: "unknown and empty parameters are ignored", check: func(h *harness) {
		g := h.consent(gptID)
		form := g.exchangeForm("audience", "x")
		form["code_verifier"] = []string{""}
		h.requireTokens(h.post(tokenPath, form))
	}},
	{section: "RFC 6749 3.2.1", level: "MUST", demand: "confidential clients authenticate", check: func(h *harness) {
		g := h.consent(gptID)
		for _, wrong := range []string{"", "wrong", secret + "x"} {
			h.post(tokenPath, g.exchangeForm("client_secret", wrong)).requireError(h.t, http.StatusUnauthorized, "invalid_client")
		}
		h.requireTokens(h.post(tokenPath, g.exchangeForm()))
	}},
	{section: "RFC 6749 3.3", level: "MUST", demand: "the answer names the scope", check: func(h *harness) {
		require.Equal(h.t, "jobs:read", h.consent(gptID, "scope", "jobs:read").exchange().Scope)
		require.Equal(h.t, "jobs:read resume:read", h.consent(gptID).exchange().Scope)
	}},
	{section: "RFC 6749 4.1.2", level: "MUST", demand: "a code expires within ten minutes", check: func(h *harness) {
		g := h.consent(gptID)
		h.age(g.user, 10*time.Minute)
		h.refusedGrant(g.exchangeForm())
	}},
	{section: "RFC 6749 4.1.2", level: "MUST NOT", demand: "a code is used once, and its tokens are revoked after that", check: func(h *harness) {
		g := h.consent(gptID)
		got := g.exchange()
		h.refusedGrant(g.exchangeForm())
		require.False(h.t, h.alive(got.Access))
		h.refusedGrant(g.refreshForm(got.Refresh))
	}},
	{section: "RFC 6749 4.1.3", level: "MUST", demand: "a code is the client's that it was issued to", check: func(h *harness) {
		g := h.consent(gptID)
		h.refusedGrant(g.exchangeForm("client_id", otherGPTID))
		h.requireTokens(h.post(tokenPath, g.exchangeForm()))
	}},
	{section: "RFC 6749 4.1.3", level: "MUST", demand: "the redirect URI is the same", check: func(h *harness) {
		g := h.consent(gptID)
		h.refusedGrant(g.exchangeForm("redirect_uri", "https://chat.openai.com/aip/g-1/oauth/callback"))
		h.refusedGrant(g.exchangeForm("redirect_uri", ""))
	}},
	{section: "RFC 6749 5.1", level: "MUST", demand: "token answers are JSON that no one stores", check: func(h *harness) {
		answer := h.post(tokenPath, h.consent(gptID).exchangeForm())
		require.Equal(h.t, "application/json", answer.Header.Get("Content-Type"))
		require.Equal(h.t, "no-store", answer.Header.Get("Cache-Control"))
		require.Equal(h.t, "no-cache", answer.Header.Get("Pragma"))
		got := h.requireTokens(answer)
		require.Equal(h.t, "Bearer", got.Type)
		require.Contains(h.t, []int{599, 600}, got.Expires)
	}},
	{section: "RFC 6749 5.2", level: "MUST", demand: "invalid_client is 401, with a challenge for the header", check: func(h *harness) {
		r := formRequest(h.t, h.url+tokenPath, url.Values{"grant_type": {"refresh_token"}})
		r.SetBasicAuth(gptID, "wrong")
		answer := h.browser().do(r)
		answer.requireError(h.t, http.StatusUnauthorized, "invalid_client")
		require.True(h.t, strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Basic "))
	}},
	{section: "RFC 6749 5.2", level: "MUST", demand: "requests that are not understood are told so", check: func(h *harness) {
		g := h.consent(gptID)
		h.post(tokenPath, g.exchangeForm("grant_type", "")).requireError(h.t, http.StatusBadRequest, "invalid_request")
		h.post(tokenPath, g.exchangeForm("code", "")).requireError(h.t, http.StatusBadRequest, "invalid_request")
		h.post(tokenPath, g.refreshForm("")).requireError(h.t, http.StatusBadRequest, "invalid_request")
		h.post(tokenPath, g.exchangeForm("grant_type", "client_credentials")).requireError(h.t, http.StatusBadRequest, "unsupported_grant_type")
		r := formRequest(h.t, h.url+tokenPath, g.exchangeForm())
		r.Header.Set("Content-Type", "application/json")
		h.browser().do(r).requireError(h.t, http.StatusBadRequest, "invalid_request")
	}},
	{section: "RFC 6749 5.2", level: "MUST NOT", demand: "a description has no character that is not allowed", check: func(h *harness) {
		require.Equal(h.t, "a 'b' c' d'e", badRequest("invalid_request", "a \"b\" c\\ d\ne").description)
		allowed := regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]+$`)
		for _, pairs := range [][]string{{"code", ""}, {"grant_type", ""}, {"grant_type", "ü\"\\"}, {"scope", "ü\"\\"}} {
			fields := h.post(tokenPath, h.consent(gptID).exchangeForm(pairs...)).json(h.t)
			for _, name := range []string{"error", "error_description"} {
				if text, ok := fields[name].(string); ok {
					require.Regexp(h.t, allowed, text)
				}
			}
		}
		for _, name := range []string{"state", "code_challenge", "response_mode"} {
			query := h.refusedTo(appRequest(name, "x", "response_mode", "ü\"\\"), "invalid_request")
			require.Regexp(h.t, allowed, query.Get("error_description"))
		}
	}},
	{section: "RFC 6749 6", level: "MUST", demand: "a refresh token is the client's", check: func(h *harness) {
		g := h.consent(gptID)
		got := g.exchange()
		h.refusedGrant(g.refreshForm(got.Refresh, "client_id", otherGPTID))
		require.True(h.t, h.alive(got.Access))
	}},
	{section: "RFC 6749 6", level: "MUST NOT", demand: "a refresh asks for no more scope than was granted, and may for less", check: func(h *harness) {
		g := h.consent(gptID, "scope", "jobs:read")
		got := g.exchange()
		h.post(tokenPath, g.refreshForm(got.Refresh, "scope", "jobs:read resume:read")).requireError(h.t, http.StatusBadRequest, "invalid_scope")

		g = h.consent(gptID)
		got = h.requireTokens(h.post(tokenPath, g.refreshForm(g.exchange().Refresh, "scope", "resume:read")))
		require.Equal(h.t, "resume:read", got.Scope)
		require.Equal(h.t, "resume:read", h.claims(got.Access).Scope)
		got = h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
		require.Equal(h.t, "jobs:read resume:read", got.Scope, "the new refresh token has the scope of the old one")
	}},
	{section: "RFC 6749 10.4", level: "MUST", demand: "tokens are confidential in storage", check: func(h *harness) {
		g := h.consent(publicID)
		got := g.exchange()
		for _, table := range []string{"gpt_authorization_codes", "gpt_refresh_tokens", "gpt_sessions", "gpt_oauth_events"} {
			for _, text := range []string{g.code, got.Refresh, g.verifier} {
				n, err := h.store.DB().NewSelect().TableExpr("public."+table+" AS r").Where("r::text LIKE ?", "%"+text+"%").Count(h.t.Context())
				require.NoError(h.t, err)
				require.Zero(h.t, n, table)
			}
		}
	}},
	{section: "RFC 6749 10.10", level: "MUST", demand: "codes and tokens cannot be guessed", check: func(h *harness) {
		g := h.consent(publicID)
		for _, text := range []string{g.code, g.exchange().Refresh} {
			require.Len(h.t, text, 57, "which holds 256 random bits, and the README says so") // see TestSecret of package repo
		}
	}},
	{section: "RFC 7636 4.6", level: "MUST", demand: "the verifier is verified", check: func(h *harness) {
		g := h.consent(publicID)
		h.refusedGrant(g.exchangeForm("code_verifier", repotest.NewVerifier()))
		h.refusedGrant(g.exchangeForm("code_verifier", ""))
		h.refusedGrant(g.exchangeForm("code_verifier", repotest.Challenge(g.verifier)))
		h.refusedGrant(g.exchangeForm("code_verifier", "short"))
		g.exchange()
	}},
	{section: "RFC 8707 2.2", level: "SHOULD", demand: "the token is for the resource named, of those granted", check: func(h *harness) {
		b, user := h.newPerson()
		g := grantee{h: h, user: user, id: publicID, redirect: appRedirect, verifier: repotest.NewVerifier()}
		form := request(publicID, appRedirect, g.verifier)
		form["resource"] = []string{h.url + mcpPath, "https://api.example.com"}
		g.code = b.decide(h.url+authorizePath+"?"+form.Encode(), "allow").Query().Get("code")
		got := g.exchange("resource", "https://api.example.com")
		require.Equal(h.t, []string{"https://api.example.com"}, []string(h.claims(got.Access).Audience))
		got = h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh, "resource", h.url+mcpPath)))
		require.Equal(h.t, []string{h.url + mcpPath}, []string(h.claims(got.Access).Audience))
		got = h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
		require.Len(h.t, h.claims(got.Access).Audience, 2)
		h.post(tokenPath, g.refreshForm(got.Refresh, "resource", "https://unknown.example.com")).requireError(h.t, http.StatusBadRequest, "invalid_target")
	}},
	{section: "RFC 9700 2.2.2", level: "MUST", demand: "refresh tokens of public clients rotate", check: func(h *harness) {
		g := h.consent(publicID)
		got := g.exchange()
		require.NotEqual(h.t, got.Refresh, h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh))).Refresh)
	}},
	{section: "RFC 9700 2.4", level: "MUST NOT", demand: "there is no password grant", check: func(h *harness) {
		form := url.Values{"grant_type": {"password"}, "username": {"a"}, "password": {"b"}, "client_id": {publicID}}
		h.post(tokenPath, form).requireError(h.t, http.StatusBadRequest, "unsupported_grant_type")
	}},
	{section: "RFC 9700 4.8.2", level: "MUST", demand: "a verifier for a code without a challenge is refused", check: func(h *harness) {
		g := h.consent(gptID)
		h.refusedGrant(g.exchangeForm("code_verifier", repotest.NewVerifier()))
	}},
	{section: "RFC 9700 4.14.2", level: "MUST", demand: "reuse of a refresh token revokes the active one", check: func(h *harness) {
		g := h.consent(publicID)
		first := g.exchange()
		second := h.requireTokens(h.post(tokenPath, g.refreshForm(first.Refresh)))
		third := h.requireTokens(h.post(tokenPath, g.refreshForm(second.Refresh)))
		h.refusedGrant(g.refreshForm(first.Refresh))
		h.refusedGrant(g.refreshForm(third.Refresh))
		require.Len(h.t, h.eventsOf(g.user, repo.EventTokenReuse), 1)
	}},
	{section: "RFC 9700 4.14.2", level: "SHOULD", demand: "refresh tokens expire when they are not used", check: func(h *harness) {
		g := h.consent(publicID)
		got := g.exchange()
		h.age(g.user, 30*24*time.Hour)
		h.refusedGrant(g.refreshForm(got.Refresh))
	}},
}
