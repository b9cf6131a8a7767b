package server

import (
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// jwks answers with the public keys (RFC 7517 5). An hour in a cache is short beside the days that a rotation takes.
func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet(s.keys.public))
}
