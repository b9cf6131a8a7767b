package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// scopeOfTool is what each tool needs, where the operator has a scope of this name.
var scopeOfTool = map[string]string{eventJobSearch: "jobs:read", eventResumeAnalyze: "resume:read"}

// toolScopes are all that the tools need.
func (s *Server) toolScopes() []string {
	scopes := slices.Sorted(maps.Values(scopeOfTool))
	return slices.DeleteFunc(scopes, func(scope string) bool { return s.config.Scopes[scope] == "" })
}

// stepUp answers the call of a tool that the person has not allowed with 403 and the scope that is missing (RFC 6750 3.1),
// so that the client can ask for it. The tool checks by itself; this only tells clients what a tool's error cannot.
func (s *Server) stepUp(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMCPLen))
		if err != nil {
			http.Error(w, "the body is too long or ended early", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		scope, info := s.scopeOfCall(body), auth.TokenInfoFromContext(r.Context())
		if scope == "" || info == nil || slices.Contains(info.Scopes, scope) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q, scope=%q, resource_metadata=%q",
			"insufficient_scope", scope, s.config.Issuer+resourceMetaPath+mcpPath))
		http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
	})
}

// scopeOfCall is the scope that a message needs; none if it calls no tool of ours, or is no message.
func (s *Server) scopeOfCall(body []byte) string {
	var message struct {
		Method string `json:"method"`
		Params struct {
			Name string `json:"name"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &message) != nil || message.Method != "tools/call" {
		return ""
	}
	scope := scopeOfTool[message.Params.Name]
	if s.config.Scopes[scope] == "" {
		return ""
	}
	return scope
}
