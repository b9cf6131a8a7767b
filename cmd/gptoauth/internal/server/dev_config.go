package server

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	devGPTClientID = "custom-gpt"
	devMCPClientID = "mcp"
)

// DevConfig completes a configuration for --dev: scopes, a client for each kind of program, and a secret for the Custom
// GPT, which is returned.
func DevConfig(c Config, issuer, gptID string) (Config, string) {
	secret := rand.Text() + rand.Text()
	c.Issuer = issuer
	scopes := map[string]string{
		"jobs:read":      "Search jobs for you",
		"resume:read":    "Read a resume that you show it",
		"offline_access": "Stay connected while you are away",
	}
	maps.Copy(scopes, c.Scopes)
	c.Scopes = scopes
	names := []string{"jobs:read", "resume:read"}
	c.Clients = append(c.Clients,
		Client{
			ID: devGPTClientID, Name: "Career coach", SecretSHA256: hashSecret(secret), PKCE: pkceOptional, Scopes: names,
			RedirectURIs: []string{
				"https://chatgpt.com/aip/" + gptID + "/oauth/callback",
				"https://chat.openai.com/aip/" + gptID + "/oauth/callback",
			},
		},
		Client{
			ID: devMCPClientID, Name: "MCP client", Scopes: slices.Concat(names, []string{"offline_access"}),
			RedirectURIs: []string{"http://127.0.0.1/callback", "http://localhost/callback", "http://127.0.0.1/oauth/callback", "http://localhost/oauth/callback"},
		},
		Client{ID: DevClientID, Name: "Example app", Scopes: names, RedirectURIs: []string{newDevFlow(issuer).redirectURI()}},
	)
	return c, secret
}

// Development is what one needs to try the server of --dev.
type Development struct {
	Issuer       string    `json:"issuer"`
	AuthorizeURL string    `json:"authorize_url"` // begin here, in a browser
	AppsURL      string    `json:"connected_apps_url"`
	MetadataURL  string    `json:"metadata_url"`
	MCPURL       string    `json:"mcp_url"`
	MCPClientID  string    `json:"mcp_client_id"`
	ExchangeCurl string    `json:"exchange_curl"`
	CustomGPT    CustomGPT `json:"custom_gpt"`
}

// CustomGPT is what the form of a Custom GPT asks for, under Actions, Authentication, OAuth.
type CustomGPT struct {
	ClientID         string `json:"client_id"`
	ClientSecret     string `json:"client_secret"`
	AuthorizationURL string `json:"authorization_url"`
	TokenURL         string `json:"token_url"`
	Scope            string `json:"scope"`
	ExchangeMethod   string `json:"token_exchange_method"`
}

// Dev describes a server that was made with Params.Dev. The secret is that of DevConfig.
func (s *Server) Dev(secret string) Development {
	issuer := s.config.Issuer
	return Development{
		Issuer:       issuer,
		AuthorizeURL: s.dev.authorizeURL(),
		AppsURL:      issuer + appsPath,
		MetadataURL:  issuer + "/.well-known/oauth-authorization-server",
		MCPURL:       issuer + mcpPath,
		MCPClientID:  devMCPClientID,
		ExchangeCurl: s.dev.exchangeCommand(`"$CODE"`),
		CustomGPT: CustomGPT{
			ClientID:         devGPTClientID,
			ClientSecret:     secret,
			AuthorizationURL: issuer + authorizePath,
			TokenURL:         issuer + tokenPath,
			Scope:            strings.Join(s.clients[devGPTClientID].Scopes, " "),
			ExchangeMethod:   "Default (POST request)",
		},
	}
}

// Text is for people at a terminal.
func (d Development) Text() string {
	return fmt.Sprintf(`
Serving %s

  Sign in         %s
  Connected apps  %s
  Discovery       %s
  MCP server      %s (client id %s, no secret)

Open the first URL in a browser: sign in, allow, and the page you end on shows the commands filled in. By hand:

%s

A Custom GPT (Configure, Actions, Authentication, OAuth) asks for this. ChatGPT reaches public https URLs only, which
--dev is not: use the same form with the issuer of a server that has a configuration.

  Client ID              %s
  Client Secret          %s
  Authorization URL      %s
  Token URL              %s
  Scope                  %s
  Token Exchange Method  %s

`, d.Issuer, d.AuthorizeURL, d.AppsURL, d.MetadataURL, d.MCPURL, d.MCPClientID, indent(d.ExchangeCurl),
		d.CustomGPT.ClientID, d.CustomGPT.ClientSecret, d.CustomGPT.AuthorizationURL, d.CustomGPT.TokenURL,
		d.CustomGPT.Scope, d.CustomGPT.ExchangeMethod)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}
