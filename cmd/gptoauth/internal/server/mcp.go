package server

import (
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

const (
	mcpPath          = "/mcp"
	resourceMetaPath = "/.well-known/oauth-protected-resource"
	maxMCPLen        = 1 << 20
)

// mcpHandler is an example of a protected resource: an MCP server with two tools. Nothing of it knows OAuth but the two
// lines with verifier and metadata; a server of its own would link package mcpauth in the same way.
func (s *Server) mcpHandler() http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "gptoauth-example", Title: "gptoauth's example", Version: "1"}, nil)
	s.addTools(server)
	streamable := mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server },
		// Without state any replica can answer, and no answer outlives its request.
		&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true, MaxRequestBodyBytes: maxMCPLen, Logger: s.log, DisableLocalhostProtection: !s.isDev()},
	)
	verifier := &mcpauth.Verifier{
		Issuer:   s.config.Issuer,
		Audience: s.config.Issuer + mcpPath,
		Keys:     s.keys.public,
		Sessions: s.store.Sessions,
	}
	protected := verifier.Protect(s.stepUp(streamable), mcpauth.ProtectOptions{
		MetadataURL: s.config.Issuer + resourceMetaPath + mcpPath,
		Challenge:   s.toolScopes(),
	})
	return s.sameOrigin.Handler(protected) // the transport asks for it, although no other site has a token
}

// resourceScopes are those that mean something to a resource. Refreshing is between a client and us (MCP, Refresh Tokens).
func (s *Server) resourceScopes() []string {
	return slices.DeleteFunc(s.scopes(), func(scope string) bool { return scope == "offline_access" })
}

// resourceMetadata answers RFC 9728 3.
func (s *Server) resourceMetadata() http.Handler {
	return auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource:               s.config.Issuer + mcpPath,
		AuthorizationServers:   []string{s.config.Issuer},
		ScopesSupported:        s.resourceScopes(),
		BearerMethodsSupported: []string{"header"},
		ResourceName:           "gptoauth's example",
	})
}
