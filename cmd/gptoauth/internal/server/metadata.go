package server

import (
	"maps"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	authorizePath  = "/oauth/authorize"
	tokenPath      = "/oauth/token" //nolint:gosec // a path
	revokePath     = "/oauth/revoke"
	introspectPath = "/oauth/introspect"
	jwksPath       = "/.well-known/jwks.json"
)

// metadata answers RFC 8414 3. Clients that look only where OpenID Connect keeps it find the same there, although this is
// no OpenID provider: there are no ID tokens.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	secret := []string{"client_secret_basic", "client_secret_post"}
	issuer := s.config.Issuer
	w.Header().Set("Cache-Control", "public, max-age=300")
	writeJSON(w, http.StatusOK, oauthex.AuthServerMeta{
		Issuer:                                     issuer,
		AuthorizationEndpoint:                      issuer + authorizePath,
		TokenEndpoint:                              issuer + tokenPath,
		RevocationEndpoint:                         issuer + revokePath,
		IntrospectionEndpoint:                      issuer + introspectPath,
		JWKSURI:                                    issuer + jwksPath,
		ScopesSupported:                            s.scopes(),
		ResponseTypesSupported:                     []string{"code"},
		ResponseModesSupported:                     []string{"query"},
		GrantTypesSupported:                        []string{"authorization_code", "refresh_token"},
		TokenEndpointAuthMethodsSupported:          append(secret, "none"),
		RevocationEndpointAuthMethodsSupported:     append(secret, "none"),
		IntrospectionEndpointAuthMethodsSupported:  secret,
		CodeChallengeMethodsSupported:              []string{repo.S256},
		AuthorizationResponseIssParameterSupported: true,
	})
}

func (s *Server) scopes() []string { return slices.Sorted(maps.Keys(s.config.Scopes)) }
