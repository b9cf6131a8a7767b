package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	clerkjwt "github.com/clerk/clerk-sdk-go/v2/jwt"

	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

const (
	clerkCookie = "__session"
	clerkLeeway = 5 * time.Second
)

// ClerkConfig says whom to ask who the people are.
type ClerkConfig struct {
	// Issuer is the URL of Clerk's Frontend API, https://clerk.example.com, as in the tokens' iss.
	Issuer string `yaml:"issuer"`
	// JWKSURL defaults to the issuer's /.well-known/jwks.json, which is public.
	JWKSURL string `yaml:"jwks_url"`
	// AuthorizedParties are the origins whose sessions count, as in the tokens' azp.
	AuthorizedParties []string `yaml:"authorized_parties"`
	// SignInURL is the page of the host's own where Clerk signs people in. It must be on this server's host, because
	// Clerk's session cookie is that host's only, and is sent people with redirect_url.
	SignInURL string `yaml:"sign_in_url"`
	// WebhookSecret (whsec_...) checks Clerk's webhooks; better in CLERK_WEBHOOK_SECRET. Empty: there is no webhook.
	WebhookSecret string `yaml:"webhook_secret"`
}

func (c *ClerkConfig) check() error {
	if c.Issuer == "" || c.SignInURL == "" || len(c.AuthorizedParties) == 0 {
		return errors.New("config: clerk needs issuer, sign_in_url and authorized_parties (CLERK_ISSUER, CLERK_SIGN_IN_URL, CLERK_AUTHORIZED_PARTIES), unless --dev replaces it")
	}
	for _, address := range []string{c.Issuer, c.SignInURL, c.jwksURL()} {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" && !isLoopback(u.Hostname()) {
			return errors.New("config: the URLs of clerk must be https")
		}
	}
	return nil
}

func (c *ClerkConfig) jwksURL() string {
	if c.JWKSURL != "" {
		return c.JWKSURL
	}
	return c.Issuer + "/.well-known/jwks.json"
}

// clerkPeople knows people by the session tokens of Clerk: in the cookie that Clerk's frontend keeps fresh, or as a
// bearer token. They live for a minute.
type clerkPeople struct {
	config ClerkConfig
	keys   mcpauth.KeySource
}

func newClerkPeople(config ClerkConfig) *clerkPeople {
	return &clerkPeople{config: config, keys: &mcpauth.RemoteKeys{URL: config.jwksURL()}}
}

// clerkProfile is read if the host has added it to its session tokens.
type clerkProfile struct {
	Name   string `json:"name"`
	Email  string `json:"email"`
	Status string `json:"sts"` // of the session
}

// statusPending is of a session in which Clerk still asks something of the person.
const statusPending = "pending"

func (c *clerkPeople) signedIn(r *http.Request) (person, bool, error) {
	for _, token := range presentedTokens(r) {
		who, ok, err := c.verify(r.Context(), token)
		if ok || err != nil {
			return who, ok, err
		}
	}
	return person{}, false, nil
}

// presentedTokens are those of the cookies and of the header; Clerk's cookie may come once for each domain.
func presentedTokens(r *http.Request) []string {
	var tokens []string
	for _, cookie := range r.CookiesNamed(clerkCookie) {
		tokens = append(tokens, cookie.Value)
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		tokens = append(tokens, token)
	}
	return tokens
}

// verify leaves signature, expiry, clock skew, issuer and authorized party to Clerk's library. An error says that its keys
// cannot be had; a bad token is merely no one.
func (c *clerkPeople) verify(ctx context.Context, token string) (person, bool, error) {
	decoded, err := clerkjwt.Decode(ctx, &clerkjwt.DecodeParams{Token: token})
	if err != nil {
		return person{}, false, nil //nolint:nilerr // not a JWT
	}
	key, err := c.keys.Key(ctx, decoded.KeyID)
	if errors.Is(err, mcpauth.ErrUnknownKey) {
		return person{}, false, nil
	}
	if err != nil {
		return person{}, false, err
	}
	profile := &clerkProfile{}
	claims, err := clerkjwt.Verify(ctx, &clerkjwt.VerifyParams{
		Token:    token,
		JWK:      &clerk.JSONWebKey{Key: key.Key, KeyID: key.KeyID, Algorithm: key.Algorithm},
		Leeway:   clerkLeeway,
		ProxyURL: &c.config.Issuer, // what the library calls the issuer if it must be exactly this
		AuthorizedPartyHandler: func(azp string) bool {
			return slices.Contains(c.config.AuthorizedParties, azp)
		},
		CustomClaimsConstructor: func(context.Context) any { return profile },
	})
	// Without an expiry the library would let a token live for ever. Without sid it is a token made from a template, for
	// someone else; with act, support staff stand in the person's place.
	if err != nil || claims.Expiry == nil || claims.Subject == "" || claims.SessionID == "" || len(claims.Actor) > 0 ||
		profile.Status == statusPending {
		return person{}, false, nil //nolint:nilerr // whatever is wrong with it, no one is signed in
	}
	name := profile.Name
	if name == "" {
		name = profile.Email
	}
	return person{ID: claims.Subject, Name: name}, true, nil
}

func (c *clerkPeople) signInURL(returnTo string) string {
	separator := "?"
	if strings.Contains(c.config.SignInURL, "?") {
		separator = "&"
	}
	return c.config.SignInURL + separator + url.Values{"redirect_url": {returnTo}}.Encode()
}

// switchURL: people change their account where they sign in, and Clerk may allow several at once.
func (c *clerkPeople) switchURL(string) string { return "" }
