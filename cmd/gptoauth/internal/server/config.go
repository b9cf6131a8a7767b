package server

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	defaultAccessTokenTTL = 10 * time.Minute
	maxAccessTokenTTL     = time.Hour
)

// Config is what an operator decides, as it stands in the YAML file.
type Config struct {
	Issuer         string            `yaml:"issuer"`           // the server's public URL, without a path
	Keys           []string          `yaml:"keys"`             // PEM files; the first key signs, the others are still accepted
	AccessTokenTTL time.Duration     `yaml:"access_token_ttl"` // at most 1 hour; defaults to 10 minutes
	Resources      []string          `yaml:"resources"`        // of RFC 8707; the first is the default; defaults to the issuer's /mcp
	Scopes         map[string]string `yaml:"scopes"`           // what each means to a person, for the consent page
	Clients        []Client          `yaml:"clients"`
	Clerk          ClerkConfig       `yaml:"clerk"`
	TrustedProxies []netip.Prefix    `yaml:"trusted_proxies"` // whose X-Forwarded-For is believed
	Limits         LimitConfig       `yaml:"limits"`
}

// LimitConfig bounds the requests to the authorize, token, revoke and introspect endpoints, in requests a second. Bursts
// of four seconds' worth pass. Defaults to 25 an address and 250 a client. A client is counted once it has authenticated,
// at the last three; a public one, which anyone can name, only by the addresses that it comes from.
type LimitConfig struct {
	PerAddress float64 `yaml:"per_address"`
	PerClient  float64 `yaml:"per_client"`
}

// ReadConfig reads the YAML file, if one is named, and then the environment: GPTOAUTH_ISSUER, GPTOAUTH_SIGNING_KEYS (file
// names), CLERK_ISSUER, CLERK_AUTHORIZED_PARTIES, CLERK_SIGN_IN_URL, CLERK_WEBHOOK_SECRET, and one client as
// GPTOAUTH_CLIENT_ID, _CLIENT_NAME, _CLIENT_SECRET_SHA256 or _CLIENT_SECRET, _REDIRECT_URIS, _SCOPES and _PKCE. Lists are
// separated by commas.
func ReadConfig(file string, getenv func(string) string) (Config, error) {
	var c Config
	if file != "" {
		text, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return Config{}, fmt.Errorf("config: %w", err)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&c); err != nil {
			return Config{}, fmt.Errorf("config: %s: %w", file, err)
		}
	}
	return c.fromEnvironment(getenv), nil
}

func (c Config) fromEnvironment(getenv func(string) string) Config {
	c.Issuer = cmp.Or(getenv("GPTOAUTH_ISSUER"), c.Issuer)
	if keys := commaList(getenv("GPTOAUTH_SIGNING_KEYS")); len(keys) > 0 {
		c.Keys = keys
	}
	c.Clerk.Issuer = cmp.Or(getenv("CLERK_ISSUER"), c.Clerk.Issuer)
	c.Clerk.SignInURL = cmp.Or(getenv("CLERK_SIGN_IN_URL"), c.Clerk.SignInURL)
	c.Clerk.WebhookSecret = cmp.Or(getenv("CLERK_WEBHOOK_SECRET"), c.Clerk.WebhookSecret)
	if parties := commaList(getenv("CLERK_AUTHORIZED_PARTIES")); len(parties) > 0 {
		c.Clerk.AuthorizedParties = parties
	}
	if id := getenv("GPTOAUTH_CLIENT_ID"); id != "" {
		client := Client{
			ID:           id,
			Name:         getenv("GPTOAUTH_CLIENT_NAME"),
			SecretSHA256: getenv("GPTOAUTH_CLIENT_SECRET_SHA256"),
			RedirectURIs: commaList(getenv("GPTOAUTH_REDIRECT_URIS")),
			Scopes:       commaList(getenv("GPTOAUTH_SCOPES")),
			PKCE:         getenv("GPTOAUTH_PKCE"),
		}
		if secret := getenv("GPTOAUTH_CLIENT_SECRET"); secret != "" {
			client.SecretSHA256 = hashSecret(secret)
		}
		c.Clients = append(c.Clients, client)
	}
	return c
}

func commaList(s string) []string {
	var values []string
	for value := range strings.SplitSeq(s, ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// withDefaults fills what is empty and checks the rest. With dev, Clerk and key files may be missing.
func (c Config) withDefaults(dev bool) (Config, error) {
	if err := checkIssuer(c.Issuer); err != nil {
		return c, err
	}
	c.AccessTokenTTL = cmp.Or(c.AccessTokenTTL, defaultAccessTokenTTL)
	if c.AccessTokenTTL < time.Second || c.AccessTokenTTL > maxAccessTokenTTL {
		return c, errors.New("config: access_token_ttl must be between 1 second and 1 hour")
	}
	if len(c.Resources) == 0 {
		c.Resources = []string{c.Issuer + mcpPath}
	}
	for i, resource := range c.Resources {
		if err := checkResource(resource); err != nil {
			return c, err
		}
		if slices.ContainsFunc(c.Resources[:i], func(other string) bool { return canonical(other) == canonical(resource) }) {
			return c, fmt.Errorf("config: resource %q is listed twice", resource)
		}
	}
	c.Limits.PerAddress = cmp.Or(c.Limits.PerAddress, 25)
	c.Limits.PerClient = cmp.Or(c.Limits.PerClient, 250)
	if c.Limits.PerAddress < 0 || c.Limits.PerClient < 0 {
		return c, errors.New("config: limits must be positive")
	}
	if len(c.Clients) == 0 {
		return c, errors.New("config: there is no client: list one under clients, or set GPTOAUTH_CLIENT_ID")
	}
	if len(c.Keys) == 0 && !dev {
		return c, errors.New("config: there is no signing key: name a PEM file under keys, or in GPTOAUTH_SIGNING_KEYS")
	}
	c.Clients = slices.Clone(c.Clients)
	for i := range c.Clients {
		if err := c.Clients[i].check(c.Scopes); err != nil {
			return c, err
		}
		if err := c.Clients[i].checkResources(c.Resources); err != nil {
			return c, err
		}
	}
	if dev {
		return c, nil
	}
	return c, c.Clerk.check()
}

// checkIssuer: https, and neither query nor fragment (RFC 8414 2). A path would move the metadata; we have none.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("config: issuer must be a URL with nothing behind the host, such as https://auth.example.com (GPTOAUTH_ISSUER)")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return errors.New("config: issuer must be https, unless it is on this machine (RFC 8414 2)")
	}
	return nil
}

// checkResource: absolute and without a fragment (RFC 8707 2). Lists of them are separated by spaces.
func checkResource(resource string) error {
	u, err := url.Parse(resource)
	if err != nil || !u.IsAbs() || strings.ContainsAny(resource, "# ") {
		return fmt.Errorf("config: resource %q must be an absolute URI without a fragment (RFC 8707 2)", resource)
	}
	return nil
}

// isLoopback knows the hosts that never leave the machine.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
