package server

import (
	"context"
	"net/http"
	"time"
)

const readyTimeout = 3 * time.Second

// healthz says that the process answers: do not restart it.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, "ok\n")
}

// readyz says whether to send people here: not while shutting down, nor while the database does not answer or is not
// migrated.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if s.draining.Load() {
		writeText(w, http.StatusServiceUnavailable, "shutting down\n")
		return
	}
	if err := s.ready(ctx); err != nil {
		s.log.WarnContext(r.Context(), "not ready", "error", err)
		writeText(w, http.StatusServiceUnavailable, "the database is not ready\n")
		return
	}
	writeText(w, http.StatusOK, "ready\n")
}
