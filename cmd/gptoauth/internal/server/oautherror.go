package server

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// oauthError is an error as a client is told it (RFC 6749 4.1.2.1 and 5.2). The description is for its developer; it
// repeats nothing that was sent.
type oauthError struct {
	status      int // of a direct answer
	code        string
	description string
	retryAfter  time.Duration
}

func badRequest(code, description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: code, description: printable(description)}
}

// printable replaces what a description must not contain (RFC 6749 4.1.2.1 and 5.2).
func printable(description string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, description)
}

// invalidGrant tells nothing more, whichever the outcome was.
func invalidGrant() *oauthError { return badRequest("invalid_grant", "") }

// unavailable is for a store that cannot answer: nothing is known to have happened, and the same request may be sent again.
func unavailable() *oauthError {
	return &oauthError{http.StatusServiceUnavailable, "temporarily_unavailable", "", time.Second}
}

func serverError() *oauthError {
	return &oauthError{status: http.StatusInternalServerError, code: "server_error"}
}

// write answers a client directly (RFC 6749 5.2).
func (e *oauthError) write(w http.ResponseWriter) {
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(int(e.retryAfter.Seconds()), 1)))
	}
	noStore(w)
	body := map[string]string{"error": e.code}
	if e.description != "" {
		body["error_description"] = e.description
	}
	writeJSON(w, e.status, body)
}

// noStore keeps answers out of every cache (RFC 6749 5.1).
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) //nolint:errchkjson // if it fails, the client has gone
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client has gone
}
