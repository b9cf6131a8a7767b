package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
)

// notes are what a request leaves in its one line of the log. Codes, tokens, secrets, cookies and queries are not among
// them.
type notes struct {
	id      string
	client  string
	outcome repo.Outcome
	session uuid.UUID
}

type notesKey struct{}

// note returns the notes of a request; inside the handler of New there always are some.
func note(r *http.Request) *notes {
	if n, ok := r.Context().Value(notesKey{}).(*notes); ok {
		return n
	}
	return &notes{}
}

// logged gives each request an id, writes one line about it, counts it, and turns a panic into a 500.
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		n := &notes{id: rand.Text()}
		r = r.WithContext(context.WithValue(r.Context(), notesKey{}, n))
		recorder := &statusRecorder{ResponseWriter: w}
		recorder.Header().Set("X-Request-ID", n.id)
		recorder.Header().Set("X-Content-Type-Options", "nosniff")
		if s.hsts {
			recorder.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() { //nolint:contextcheck // r carries it
			p := recover()
			if p == http.ErrAbortHandler { //nolint:errorlint,err113 // it is panicked with as it is
				panic(p)
			}
			if p != nil {
				s.log.ErrorContext(r.Context(), "panic", "request_id", n.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if recorder.status == 0 {
					serverError().write(recorder)
				}
			}
			s.finish(r, recorder, n, time.Since(begin))
		}()
		next.ServeHTTP(recorder, r)
	})
}

// methodOf is one of those that something here answers. What strangers make up may be as long as a header.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodDelete:
		return r.Method
	default:
		return "other"
	}
}

func (s *Server) finish(r *http.Request, recorder *statusRecorder, n *notes, took time.Duration) {
	route := routeOf(r)
	s.metrics.observeRequest(route, recorder.code(), took)
	attributes := []slog.Attr{
		slog.String("request_id", n.id),
		slog.String("method", methodOf(r)),
		slog.String("route", route),
		slog.Int("status", recorder.code()),
		slog.Duration("took", took),
		slog.String("address", s.addressOf(r).String()),
	}
	if n.client != "" {
		attributes = append(attributes, slog.String("client_id", n.client))
	}
	if n.outcome != "" {
		attributes = append(attributes, slog.String("outcome", string(n.outcome)))
	}
	if n.session != uuid.Nil {
		attributes = append(attributes, slog.String("session_id", n.session.String()))
	}
	s.log.LogAttrs(r.Context(), levelOf(route, recorder.code()), "request", attributes...)
}

// levelOf keeps probes, which come every few seconds, out of the usual log.
func levelOf(route string, status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case route == "GET /healthz" || route == "GET /readyz" || route == "GET /metrics":
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// routeOf is the pattern that matched: paths that no pattern matches may be anything, and there are endlessly many.
func routeOf(r *http.Request) string {
	if r.Pattern == "" {
		return "none"
	}
	return r.Pattern
}

// observe notes and counts what the store decided.
func (s *Server) observe(r *http.Request, operation string, outcome repo.Outcome) {
	note(r).outcome = outcome
	s.metrics.outcomes.WithLabelValues(operation, string(outcome)).Inc()
}

// statusRecorder remembers the status.
type statusRecorder struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusRecorder) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusRecorder) Write(p []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController, with which streams are flushed.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Flush implements http.Flusher, which the MCP SDK asks for.
func (s *statusRecorder) Flush() { _ = http.NewResponseController(s.ResponseWriter).Flush() }

func (s *statusRecorder) code() int {
	if s.status == 0 {
		return http.StatusOK
	}
	return s.status
}
