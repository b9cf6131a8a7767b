package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// ProtectOptions says what [Verifier.Protect] asks for and tells.
type ProtectOptions struct {
	MetadataURL string   // of this resource (RFC 9728), told to those without a token
	Scopes      []string // that a token needs, all of them

	// Challenge are the scopes that those without a good token are told to ask for, if some requests need more than
	// Scopes. Defaults to Scopes.
	Challenge []string
}

// Protect lets requests with a good bearer token through to next, where auth.TokenInfoFromContext finds what it says, as
// do the handlers of the MCP SDK. The others are answered as RFC 6750 3 says: 401 with a challenge, and invalid_token if
// there was a token; 400 invalid_request for a header that is malformed; 403 insufficient_scope; and, beyond the SDK's
// own middleware, 503 if the store cannot answer, because a client that is told 401 throws its token away.
func (v *Verifier) Protect(next http.Handler, options ProtectOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := bearerToken(r)
		if !ok {
			options.refuse(w, http.StatusBadRequest, "invalid_request")
			return
		}
		if token == "" {
			options.refuse(w, http.StatusUnauthorized, "")
			return
		}
		info, err := v.Verify(r.Context(), token, r)
		switch {
		case errors.Is(err, auth.ErrInvalidToken):
			options.refuse(w, http.StatusUnauthorized, "invalid_token")
		case err != nil:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "temporarily unavailable", http.StatusServiceUnavailable)
		case !containsAll(info.Scopes, options.Scopes):
			options.refuse(w, http.StatusForbidden, "insufficient_scope")
		default:
			// Only the SDK can put the result into the context.
			verified := func(context.Context, string, *http.Request) (*auth.TokenInfo, error) { return info, nil }
			auth.RequireBearerToken(verified, nil)(next).ServeHTTP(w, r)
		}
	})
}

// bearerToken reads the Authorization header (RFC 6750 2.1), the only place where a token is accepted: none if there is no
// header or another scheme; false if it comes twice, or is Bearer with anything but one token.
func bearerToken(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", true
	}
	fields := strings.Fields(values[0])
	switch {
	case len(values) > 1:
		return "", false
	case len(fields) == 0 || !strings.EqualFold(fields[0], "Bearer"):
		return "", true
	case len(fields) != 2:
		return "", false
	default:
		return fields[1], true
	}
}

func (o ProtectOptions) refuse(w http.ResponseWriter, status int, code string) {
	var params []string
	if code != "" {
		params = append(params, fmt.Sprintf("error=%q", code))
	}
	if o.MetadataURL != "" {
		params = append(params, fmt.Sprintf("resource_metadata=%q", o.MetadataURL))
	}
	scopes := o.Scopes
	if status == http.StatusUnauthorized && len(o.Challenge) > 0 {
		scopes = o.Challenge
	}
	if len(scopes) > 0 {
		params = append(params, fmt.Sprintf("scope=%q", strings.Join(scopes, " ")))
	}
	if len(params) == 0 {
		params = []string{`realm="mcp"`} // RFC 6750 3: there must be one
	}
	w.Header().Set("WWW-Authenticate", strings.TrimSpace("Bearer "+strings.Join(params, ", ")))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

func containsAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}
