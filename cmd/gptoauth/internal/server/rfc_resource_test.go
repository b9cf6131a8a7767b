package server

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
)

// introspection asks as the resource server.
func (h *harness) introspection(token string) map[string]any {
	h.t.Helper()
	return h.introspectionAs(resourceID, token)
}

func (h *harness) introspectionAs(clientID, token string) map[string]any {
	h.t.Helper()
	answer := h.post(introspectPath, grantee{id: clientID}.tokenForm(token))
	require.Equal(h.t, http.StatusOK, answer.StatusCode, answer.body)
	require.Equal(h.t, "no-store", answer.Header.Get("Cache-Control"))
	return answer.json(h.t)
}

// forge signs claims with the server's own key: what a bug could issue, /mcp must still refuse.
func (h *harness) forge(typ string, change func(*mcpClaims)) string {
	h.t.Helper()
	session, err := h.store.Sessions.Get(h.t.Context(), h.claims(h.consent(publicID).exchange().Access).SessionID)
	require.NoError(h.t, err)
	claims := mcpClaims{
		Issuer: h.url, Subject: session.ClerkUserID, Audience: jwt.Audience{h.url + mcpPath}, ClientID: publicID, SessionID: session.ID,
		ID: "1", IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}
	change(&claims)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: h.keys.signingKey}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	require.NoError(h.t, err)
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(h.t, err)
	return token
}

func (h *harness) refusedToken(token string) {
	h.t.Helper()
	answer := h.initialize(token)
	require.Equal(h.t, http.StatusUnauthorized, answer.StatusCode)
	require.Contains(h.t, answer.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
}

func (h *harness) metadataFields(path string) map[string]any {
	h.t.Helper()
	answer := h.browser().get(h.url + path)
	require.Equal(h.t, http.StatusOK, answer.StatusCode)
	require.Equal(h.t, "application/json", answer.Header.Get("Content-Type"))
	return answer.json(h.t)
}

var resourceRules = []rule{
	{section: "RFC 6750 2.1", level: "MUST", demand: "the Authorization header carries the token", check: func(h *harness) {
		require.Equal(h.t, http.StatusOK, h.initialize(h.forge("at+jwt", func(*mcpClaims) {})).StatusCode)
	}},
	{section: "RFC 6750 2.3", level: "SHOULD NOT", demand: "a token in the query does not count", check: func(h *harness) {
		require.Equal(h.t, http.StatusUnauthorized, h.initialize("", "access_token", h.forge("at+jwt", func(*mcpClaims) {})).StatusCode)
	}},
	{section: "RFC 6750 3", level: "MUST", demand: "without a token there is a challenge, and no error code", check: func(h *harness) {
		answer := h.initialize("")
		require.Equal(h.t, http.StatusUnauthorized, answer.StatusCode)
		challenge := answer.Header.Get("WWW-Authenticate")
		require.True(h.t, strings.HasPrefix(challenge, "Bearer "))
		require.NotContains(h.t, challenge, "error=")
	}},
	{section: "RFC 6750 3", level: "MUST NOT", demand: "no attribute of the challenge comes twice", check: func(h *harness) {
		for _, token := range []string{"", "garbage", "two words"} {
			challenge := h.initialize(token).Header.Values("WWW-Authenticate")
			require.Len(h.t, challenge, 1)
			attributes := regexp.MustCompile(`(\w+)="([\x20-\x21\x23-\x5b\x5d-\x7e]*)"`).FindAllStringSubmatch(challenge[0], -1)
			names := map[string]bool{}
			rest := strings.TrimPrefix(challenge[0], "Bearer ")
			for _, attribute := range attributes {
				require.False(h.t, names[attribute[1]], challenge[0])
				names[attribute[1]] = true
				rest = strings.Replace(rest, attribute[0], "", 1)
			}
			require.Empty(h.t, strings.Trim(rest, ", "), "there is nothing else in it")
		}
	}},
	{section: "RFC 6750 3.1", level: "SHOULD", demand: "a malformed header is invalid_request", check: func(h *harness) {
		answer := h.initialize("two words")
		require.Equal(h.t, http.StatusBadRequest, answer.StatusCode)
		require.Contains(h.t, answer.Header.Get("WWW-Authenticate"), `error="invalid_request"`)
	}},
	{section: "RFC 6750 3.1", level: "SHOULD", demand: "a bad token is invalid_token", check: func(h *harness) { h.refusedToken("garbage") }},
	{section: "RFC 6750 5.3", level: "SHOULD", demand: "tokens live an hour at most", check: func(h *harness) {
		_, err := Config{Issuer: h.url, AccessTokenTTL: 2 * time.Hour}.withDefaults(true)
		require.ErrorContains(h.t, err, "access_token_ttl")
	}},
	{section: "RFC 7009 2.1", level: "MUST", demand: "a client revokes only its own tokens", check: func(h *harness) {
		g := h.consent(gptID)
		got := g.exchange()
		for _, token := range []string{got.Refresh, got.Access} {
			h.post(revokePath, g.tokenForm(token, "client_id", otherGPTID)).requireError(h.t, http.StatusBadRequest, "invalid_grant")
			h.post(revokePath, g.tokenForm(token, "client_secret", "wrong")).requireError(h.t, http.StatusUnauthorized, "invalid_client")
		}
		require.True(h.t, h.alive(got.Access))
	}},
	{section: "RFC 7009 2.1", level: "SHOULD", demand: "revoking a refresh token ends its access tokens, whatever the hint", check: func(h *harness) {
		g := h.consent(publicID)
		got := g.exchange()
		answer := h.post(revokePath, g.tokenForm(got.Refresh, "token_type_hint", "access_token"))
		require.Equal(h.t, http.StatusOK, answer.StatusCode)
		h.refusedToken(got.Access)
		h.refusedGrant(g.refreshForm(got.Refresh))
	}},
	{section: "RFC 7009 2.1", level: "MAY", demand: "revoking an access token ends its refresh token", check: func(h *harness) {
		g := h.consent(gptID)
		got := g.exchange()
		require.Equal(h.t, http.StatusOK, h.post(revokePath, g.tokenForm(got.Access, "token_type_hint", "refresh_token")).StatusCode)
		h.refusedGrant(g.refreshForm(got.Refresh))
	}},
	{section: "RFC 7009 2.2", level: "MUST", demand: "revoking what is no token succeeds", check: func(h *harness) {
		g := h.consent(publicID)
		got := g.exchange()
		for _, token := range []string{"garbage", got.Refresh, got.Refresh, got.Access} {
			require.Equal(h.t, http.StatusOK, h.post(revokePath, g.tokenForm(token)).StatusCode)
		}
		h.post(revokePath, g.tokenForm("")).requireError(h.t, http.StatusBadRequest, "invalid_request")
	}},
	{section: "RFC 7662 2.1", level: "MUST", demand: "introspection is for clients that authenticate", check: func(h *harness) {
		got := h.consent(gptID).exchange()
		h.post(introspectPath, grantee{id: publicID}.tokenForm(got.Access)).requireError(h.t, http.StatusUnauthorized, "invalid_client")
		h.post(introspectPath, grantee{id: resourceID}.tokenForm(got.Access, "client_secret", "")).requireError(h.t, http.StatusUnauthorized, "invalid_client")
		require.Equal(h.t, http.StatusMethodNotAllowed, h.browser().get(h.url+introspectPath+"?token="+got.Access).StatusCode)
	}},
	{section: "RFC 7662 2.1", level: "MUST", demand: "the hint does not matter", check: func(h *harness) {
		g := h.consent(gptID)
		got := g.exchange()
		for _, token := range []string{got.Access, got.Refresh} {
			for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
				require.Equal(h.t, true, h.post(introspectPath, g.tokenForm(token, "token_type_hint", hint)).json(h.t)["active"])
			}
		}
	}},
	{section: "RFC 7662 2.2", level: "MUST", demand: "an active token is described", check: func(h *harness) {
		g := h.consent(gptID, "scope", "jobs:read")
		got := g.exchange()
		access, refresh := h.introspection(got.Access), h.introspectionAs(gptID, got.Refresh)
		require.Equal(h.t, map[string]any{"active": false}, h.introspection(got.Refresh), "it is no access token")
		for _, fields := range []map[string]any{access, refresh} {
			require.Equal(h.t, true, fields["active"])
			require.Equal(h.t, gptID, fields["client_id"])
			require.Equal(h.t, g.user, fields["sub"])
			require.Equal(h.t, "jobs:read", fields["scope"])
			require.Equal(h.t, h.url, fields["iss"])
			require.Greater(h.t, fields["exp"], fields["iat"])
		}
		require.Equal(h.t, "Bearer", access["token_type"])
	}},
	{section: "RFC 7662 2.2", level: "MUST", demand: "an inactive token is not described", check: func(h *harness) {
		g := h.consent(gptID)
		got := g.exchange()
		next := h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
		inactive := map[string]any{"active": false}
		require.Equal(h.t, inactive, h.introspectionAs(gptID, got.Refresh), "rotated")
		require.Equal(h.t, inactive, h.introspection("garbage"))
		require.Equal(h.t, inactive, h.introspection(next.Access[:len(next.Access)-8]), "its signature is not ours")
		require.Equal(h.t, inactive, h.introspection(h.forge("at+jwt", func(c *mcpClaims) { c.Issuer = "https://other.example.com" })))
		require.Equal(h.t, inactive, h.introspection(h.forge("at+jwt", func(c *mcpClaims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Second)) })))
		_, err := h.store.Sessions.End(h.t.Context(), repo.EndParams{SessionID: h.claims(got.Access).SessionID, Reason: "test"})
		require.NoError(h.t, err)
		require.Equal(h.t, inactive, h.introspectionAs(gptID, next.Refresh))
		require.Equal(h.t, inactive, h.introspection(next.Access))
	}},
	{section: "RFC 7662 4", level: "MUST", demand: "a client that is no resource server learns nothing of other clients' tokens", check: func(h *harness) {
		got := h.consent(gptID).exchange()
		for _, token := range []string{got.Access, got.Refresh} {
			answer := h.post(introspectPath, grantee{id: otherGPTID}.tokenForm(token))
			require.Equal(h.t, map[string]any{"active": false}, answer.json(h.t))
		}
	}},
	{section: "RFC 7662 4", level: "MUST", demand: "a token for another resource is inactive to a resource server", check: func(h *harness) {
		inactive := map[string]any{"active": false}
		mine, other := h.consent(gptID, "resource", apiResource).exchange(), h.consent(gptID, "resource", h.url+mcpPath).exchange()
		require.Equal(h.t, true, h.introspectionAs(apiID, mine.Access)["active"])
		require.Equal(h.t, inactive, h.introspectionAs(apiID, other.Access))
		require.Equal(h.t, true, h.introspectionAs(resourceID, other.Access)["active"], "which serves them all")
		elsewhere := h.forge("at+jwt", func(c *mcpClaims) { c.Audience = jwt.Audience{"https://gone.example.com"} })
		require.Equal(h.t, inactive, h.introspectionAs(resourceID, elsewhere))
	}},
	{section: "RFC 8414 2", level: "MUST", demand: "the issuer is https without query and fragment", check: func(h *harness) {
		for _, issuer := range []string{"http://auth.example.com", "https://auth.example.com?x", "https://auth.example.com#x", "https://u@auth.example.com", "auth.example.com", ""} {
			require.Error(h.t, checkIssuer(issuer), issuer)
		}
		require.NoError(h.t, checkIssuer("https://auth.example.com"))
	}},
	{section: "RFC 8414 3", level: "MUST", demand: "the metadata name issuer and endpoints", check: func(h *harness) {
		fields := h.metadataFields("/.well-known/oauth-authorization-server")
		require.Equal(h.t, h.url, fields["issuer"])
		for name, path := range map[string]string{
			"authorization_endpoint": authorizePath, "token_endpoint": tokenPath, "revocation_endpoint": revokePath,
			"introspection_endpoint": introspectPath, "jwks_uri": jwksPath,
		} {
			require.Equal(h.t, h.url+path, fields[name])
		}
		require.Equal(h.t, []any{"code"}, fields["response_types_supported"])
		require.Equal(h.t, fields, h.metadataFields("/.well-known/openid-configuration"))
	}},
	{section: "RFC 8414 3.2", level: "MUST", demand: "claims without elements are left out", check: func(h *harness) {
		require.NotEmpty(h.t, h.metadataFields("/.well-known/oauth-authorization-server")["scopes_supported"])
		recorder := httptest.NewRecorder()
		(&Server{config: Config{Issuer: h.url}}).metadata(recorder, nil)
		require.NotContains(h.t, recorder.Body.String(), "scopes_supported")
		require.NotContains(h.t, recorder.Body.String(), "[]")
	}},
	{section: "RFC 9068 2.1", level: "MUST", demand: "access tokens are signed and of type at+jwt", check: func(h *harness) {
		head, _, _ := strings.Cut(h.consent(gptID).exchange().Access, ".")
		text, err := base64.RawURLEncoding.DecodeString(head)
		require.NoError(h.t, err)
		var header map[string]string
		require.NoError(h.t, json.Unmarshal(text, &header))
		require.Equal(h.t, map[string]string{"alg": "EdDSA", "typ": "at+jwt", "kid": h.keys.public.Keys[0].KeyID}, header)
	}},
	{section: "RFC 9068 2.2", level: "MUST", demand: "access tokens have all required claims", check: func(h *harness) {
		g := h.consent(gptID)
		first, again := g.exchange(), h.consent(gptID).exchange()
		claims := h.claims(first.Access)
		require.Equal(h.t, h.url, claims.Issuer)
		require.Equal(h.t, g.user, claims.Subject)
		require.Equal(h.t, gptID, claims.ClientID)
		require.Equal(h.t, "jobs:read resume:read", claims.Scope)
		require.NotEqual(h.t, uuid.Nil, claims.SessionID)
		require.Equal(h.t, 10*time.Minute, claims.ExpiresAt.Time().Sub(claims.IssuedAt.Time()))
		require.NotEqual(h.t, claims.ID, h.claims(again.Access).ID)
	}},
	{section: "RFC 9068 3", level: "MUST", demand: "without a resource the audience is the default", check: func(h *harness) {
		require.Equal(h.t, []string{h.url + mcpPath}, []string(h.claims(h.consent(gptID).exchange().Access).Audience))
	}},
	{section: "RFC 9068 4", level: "MUST", demand: "a resource server checks type, issuer, audience, signature and expiry", check: func(h *harness) {
		h.refusedToken(h.forge("JWT", func(*mcpClaims) {}))
		h.refusedToken(h.forge("at+jwt", func(c *mcpClaims) { c.Issuer = "https://other.example.com" }))
		h.refusedToken(h.forge("at+jwt", func(c *mcpClaims) { c.Audience = jwt.Audience{"https://api.example.com"} }))
		h.refusedToken(h.forge("at+jwt", func(c *mcpClaims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Minute)) }))
		h.refusedToken(h.forge("at+jwt", func(c *mcpClaims) { c.ExpiresAt = nil }))
		h.refusedToken(h.forge("at+jwt", func(c *mcpClaims) { c.SessionID = uuid.New() }))
		good := h.forge("at+jwt", func(*mcpClaims) {})
		h.refusedToken(good[:len(good)-8])
		parts := strings.Split(good, ".")
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`))
		h.refusedToken(none + "." + parts[1] + ".")
	}},
	{section: "RFC 9207 3", level: "MUST", demand: "the metadata say that iss is sent", check: func(h *harness) {
		require.Equal(h.t, true, h.metadataFields("/.well-known/oauth-authorization-server")["authorization_response_iss_parameter_supported"])
	}},
}
