package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// pkceOptional is for confidential clients that send no code challenge, such as Custom GPT Actions.
const pkceOptional = "optional"

// Client is a program that people may let act for them, registered by the operator.
type Client struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"` // shown to people; defaults to the id

	// SecretSHA256 is the lower-case hex SHA-256 of the client's secret; empty for a public client. The secret must be
	// random, 32 characters or more: a fast hash protects no password.
	SecretSHA256 string `yaml:"secret_sha256"`

	// RedirectURIs are compared character by character (RFC 9700 2.1), but for the port of an http URI on the loopback
	// address that is registered without one (RFC 8252 7.3).
	RedirectURIs []string `yaml:"redirect_uris"`

	Scopes []string `yaml:"scopes"` // it may ask for these, and is asked for all of them if it names none
	PKCE   string   `yaml:"pkce"`   // "optional", for confidential clients only; defaults to "required"

	// NoRefresh gives the client access tokens only: people sign in again when one has expired (RFC 9700 4.14.2).
	NoRefresh bool `yaml:"no_refresh"`

	// Introspects makes the client a resource server: it may introspect every client's access tokens for the resources
	// that it serves, not only its own. Resources are these; defaults to all.
	Introspects bool     `yaml:"introspects"`
	Resources   []string `yaml:"resources"`
}

func (c *Client) check(scopes map[string]string) error {
	fail := func(rule string) error { return fmt.Errorf("config: client %q: %s", c.ID, rule) }
	if c.ID == "" || strings.ContainsFunc(c.ID, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return fail("id must be printable ASCII (RFC 6749 A.1)")
	}
	if c.Name == "" {
		c.Name = c.ID
	}
	if hash, err := hex.DecodeString(c.SecretSHA256); c.isConfidential() && (err != nil || len(hash) != sha256.Size) {
		return fail("secret_sha256 must be 64 hex digits")
	}
	c.SecretSHA256 = strings.ToLower(c.SecretSHA256)
	switch {
	case c.PKCE != "" && c.PKCE != "required" && c.PKCE != pkceOptional:
		return fail("pkce must be required or optional")
	case c.PKCE == pkceOptional && !c.isConfidential():
		return fail("pkce can be optional only for a client with a secret (RFC 9700 2.1.1)")
	case c.Introspects && !c.isConfidential():
		return fail("introspects needs a secret (RFC 7662 2.1)")
	case len(c.RedirectURIs) == 0 && !c.Introspects:
		return fail("redirect_uris must not be empty")
	}
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri); err != nil {
			return fail(err.Error())
		}
	}
	for _, scope := range c.Scopes {
		if scopes[scope] == "" {
			return fail(fmt.Sprintf("scope %q is not described under scopes", scope))
		}
	}
	return nil
}

// checkResources fills what a resource server serves, of all the resources there are.
func (c *Client) checkResources(all []string) error {
	if !c.Introspects && len(c.Resources) > 0 {
		return fmt.Errorf("config: client %q: resources are for a client that introspects", c.ID)
	}
	if !isSubset(c.Resources, all) {
		return fmt.Errorf("config: client %q: resources must be listed under the server's resources too", c.ID)
	}
	if c.Introspects && len(c.Resources) == 0 {
		c.Resources = all
	}
	return nil
}

// checkRedirectURI: absolute, without a fragment (RFC 6749 3.1.2), and not in the clear over a network (RFC 9700 2.6).
func checkRedirectURI(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || !u.IsAbs() || strings.Contains(uri, "#"):
		return fmt.Errorf("redirect URI %q must be absolute and without a fragment", uri)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("redirect URI %q must be https, unless it is on the person's machine", uri)
	case slices.Contains([]string{"javascript", "data", "vbscript", "file", "about", "blob"}, u.Scheme):
		return fmt.Errorf("redirect URI %q would run in the browser", uri)
	default:
		return nil
	}
}

func (c *Client) isConfidential() bool { return c.SecretSHA256 != "" }

func (c *Client) hasSecret(secret string) bool {
	return c.isConfidential() && subtle.ConstantTimeCompare([]byte(hashSecret(secret)), []byte(c.SecretSHA256)) == 1
}

// redirects says whether the client may be answered at uri.
func (c *Client) redirects(uri string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return uri == registered || isLoopbackOf(uri, registered)
	})
}

// isLoopbackOf compares all but the port, which a native app gets from the operating system (RFC 8252 7.3).
func isLoopbackOf(uri, registered string) bool {
	r, err := url.Parse(registered)
	if err != nil || r.Scheme != "http" || r.Port() != "" || !isLoopback(r.Hostname()) {
		return false
	}
	u, err := url.Parse(uri)
	if err != nil || u.Port() == "" {
		return false
	}
	r.Host += ":" + u.Port()
	return uri == r.String()
}

// grants returns the scope of a request, all of the client's if it names none; false if it asks for more than it may.
func (c *Client) grants(scope string) (string, bool) {
	if scope == "" {
		return strings.Join(c.Scopes, " "), true
	}
	return scope, isSubset(strings.Split(scope, " "), c.Scopes)
}

// mayIntrospect: each client its own tokens, and a resource server the access tokens that can be used there (RFC 7662 4).
// One that looks at active only must not take a refresh token for an access token.
func (c *Client) mayIntrospect(token introspection) bool {
	if token.ClientID == c.ID {
		return true
	}
	serves := slices.ContainsFunc(token.Audience, func(s string) bool { return slices.Contains(c.Resources, s) })
	return c.Introspects && serves && token.TokenType != typeRefresh
}

func isSubset(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
