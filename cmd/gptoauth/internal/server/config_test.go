package server

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigOfTheReadmeIsRead(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../../../README.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, block)
	file := filepath.Join(t.TempDir(), "gptoauth.yaml")
	require.NoError(t, os.WriteFile(file, block[1], 0o600))
	config, err := ReadConfig(file, func(string) string { return "" })
	require.NoError(t, err)
	config, err = config.withDefaults(false)
	require.NoError(t, err)
	require.Equal(t, 10*time.Minute, config.AccessTokenTTL)
	require.Len(t, config.Clients, 2)
	require.True(t, config.Clients[0].isConfidential())
	require.Equal(t, "desktop", config.Clients[1].Name)
	require.Equal(t, "https://clerk.example.com/.well-known/jwks.json", config.Clerk.jwksURL())
}

func TestConfigOfOneClientComesFromTheEnvironment(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"GPTOAUTH_ISSUER": "https://auth.example.com", "GPTOAUTH_SIGNING_KEYS": "a.pem, b.pem", "GPTOAUTH_CLIENT_ID": "gpt",
		"GPTOAUTH_CLIENT_SECRET": secret, "GPTOAUTH_REDIRECT_URIS": gptRedirect + ", https://chat.openai.com/aip/g-1/oauth/callback",
		"GPTOAUTH_PKCE": "optional", "CLERK_ISSUER": "https://clerk.example.com", "CLERK_AUTHORIZED_PARTIES": "https://auth.example.com",
		"CLERK_SIGN_IN_URL": "https://auth.example.com/sign-in",
	}
	config, err := ReadConfig("", func(name string) string { return environment[name] })
	require.NoError(t, err)
	config, err = config.withDefaults(false)
	require.NoError(t, err)
	require.Equal(t, []string{"a.pem", "b.pem"}, config.Keys)
	require.True(t, config.Clients[0].hasSecret(secret))
	require.False(t, config.Clients[0].hasSecret(secret+"x"))
	require.True(t, config.Clients[0].redirects(gptRedirect))
}

func TestConfigThatIsUnsafeIsRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"there is no client":                          func(c *Config) { c.Clients = nil },
		"there is no signing key":                     func(c *Config) { c.Keys = nil },
		"issuer must be https":                        func(c *Config) { c.Issuer = "http://auth.example.com" },
		"clerk needs issuer":                          func(c *Config) { c.Clerk.AuthorizedParties = nil },
		"the URLs of clerk must be https":             func(c *Config) { c.Clerk.Issuer = "http://clerk.example.com" },
		"limits must be positive":                     func(c *Config) { c.Limits.PerClient = -1 },
		"secret_sha256 must be 64 hex digits":         func(c *Config) { c.Clients[0].SecretSHA256 = "password" },
		"introspects needs a secret":                  func(c *Config) { c.Clients[2].Introspects = true },
		"redirect_uris must not be empty":             func(c *Config) { c.Clients[0].RedirectURIs = nil },
		"would run in the browser":                    func(c *Config) { c.Clients[0].RedirectURIs = []string{"javascript:alert(1)"} },
		`scope "admin" is not described under scopes`: func(c *Config) { c.Clients[0].Scopes = []string{"admin"} },
		"id must be printable ASCII":                  func(c *Config) { c.Clients[0].ID = "ü" },
		"must be an absolute URI without a fragment":  func(c *Config) { c.Resources = []string{"mcp"} },
		"is listed twice":                             func(c *Config) { c.Resources = append(c.Resources, "HTTPS://auth.example.com/mcp") },
		"resources are for a client that introspects": func(c *Config) { c.Clients[0].Resources = c.Resources },
		"must be listed under the server's resources": func(c *Config) { c.Clients[4].Resources = []string{"https://other.example.com"} },
	} {
		config := testConfig("https://auth.example.com")
		config.Keys = []string{"signing.pem"}
		config.Clerk = ClerkConfig{Issuer: "https://clerk.example.com", SignInURL: "https://auth.example.com/sign-in", AuthorizedParties: []string{"x"}}
		_, err := config.withDefaults(false)
		require.NoError(t, err)
		change(&config)
		_, err = config.withDefaults(false)
		require.ErrorContains(t, err, want)
	}
}
