package conformance

import (
	"slices"
)

// cell says what comes of a call: the outcome; what the session then is ("same" if nothing in its row has changed, or if
// there is none before and after); and the events that are written.
type cell struct {
	call    string
	in      []string // situations
	outcome string
	session string
	events  string
}

// Situations that many calls treat alike.
var (
	unused    = []string{"issued", "issued without PKCE"}
	tooLate   = []string{"code expired", "code withdrawn"}
	inGrace   = []string{"rotated", "rotated twice"}
	pastIt    = []string{"rotated, grace over", "rotated twice, grace over"}
	living    = slices.Concat([]string{"exchanged", "rotated, no grace"}, inGrace, pastIt)
	noRefresh = []string{"token expired", "token expired in grace"}
	over      = []string{"session over"}
	notEnded  = slices.Concat(living, noRefresh, over)
	ended     = []string{"ended", "ended by reuse", "ended by replay", "ended by its client"}
	sessions  = slices.Concat(notEnded, ended)
	anywhere  = slices.Concat(unused, tooLate, sessions)
)

// table is the state machine: what each call does in each situation. It was written from the design and not from the code.
var table = []cell{
	{"exchange", unused, "exchanged", "alive", "token_exchange"},
	{"exchange", tooLate, "expired", "same", ""},
	{"exchange", notEnded, "replayed", "ended: code_replay", "code_replay"},
	{"exchange", ended, "replayed", "same", "code_replay"},

	{"exchange without the redirect URI", []string{"issued"}, "exchanged", "alive", "token_exchange"},
	{"exchange without the redirect URI", []string{"issued without PKCE"}, "mismatch", "same", "code_mismatch"},
	{"exchange without the redirect URI", tooLate, "expired", "same", ""},
	{"exchange without the redirect URI", notEnded, "replayed", "ended: code_replay", "code_replay"},
	{"exchange without the redirect URI", ended, "replayed", "same", "code_replay"},

	// What is wrong is wrong at any time. It neither burns the code nor revokes what came of it (OAuth 2.1 7.5.2).
	{"exchange by another client", anywhere, "mismatch", "same", "code_mismatch"},
	{"exchange with another redirect URI", anywhere, "mismatch", "same", "code_mismatch"},
	{"exchange with another verifier", anywhere, "mismatch", "same", "code_mismatch"},
	{"exchange with a malformed verifier", anywhere, "mismatch", "same", "code_mismatch"},

	// A verifier is wanted if and only if there was a challenge (RFC 9700 4.8.2).
	{"exchange without the verifier", []string{"issued"}, "mismatch", "same", "code_mismatch"},
	{"exchange without the verifier", []string{"issued without PKCE"}, "exchanged", "alive", "token_exchange"},
	{"exchange without the verifier", slices.Concat(tooLate, sessions), "mismatch", "same", "code_mismatch"},

	{"exchange without authentication", []string{"issued"}, "exchanged", "alive", "token_exchange"},
	{"exchange without authentication", []string{"issued without PKCE"}, "mismatch", "same", "code_mismatch"},
	{"exchange without authentication", tooLate, "expired", "same", ""},
	{"exchange without authentication", notEnded, "replayed", "ended: code_replay", "code_replay"},
	{"exchange without authentication", ended, "replayed", "same", "code_replay"},

	{"rotate current", living, "rotated", "alive", "token_refresh"},
	{"rotate current", noRefresh, "expired", "same", ""},
	{"rotate current", over, "ended", "same", ""},
	{"rotate current", ended, "ended", "same", ""},
	{"rotate current by another client", sessions, "mismatch", "same", "token_mismatch"},

	{"rotate predecessor", inGrace, "retried", "alive", "token_retry"},
	{"rotate predecessor", pastIt, "reused", "ended: token_reuse", "token_reuse"},
	{"rotate predecessor", []string{"rotated, no grace"}, "reused", "ended: token_reuse", "token_reuse"},
	{"rotate predecessor", []string{"token expired"}, "reused", "ended: token_reuse", "token_reuse"},
	{"rotate predecessor", []string{"token expired in grace"}, "expired", "same", ""},
	{"rotate predecessor", over, "ended", "same", ""},
	{"rotate predecessor", ended, "ended", "same", ""},
	{"rotate predecessor by another client", sessions, "mismatch", "same", "token_mismatch"},

	// Two generations back is reuse at any time, expired or not, grace or not.
	{"rotate oldest", living, "reused", "ended: token_reuse", "token_reuse"},
	{"rotate oldest", noRefresh, "reused", "ended: token_reuse", "token_reuse"},
	{"rotate oldest", over, "ended", "same", ""},
	{"rotate oldest", ended, "ended", "same", ""},
	{"rotate oldest by another client", sessions, "mismatch", "same", "token_mismatch"},

	// Revocation takes any generation, however old (RFC 7009 2.1).
	{"revoke current", notEnded, "revoked", "ended: token_revoke", "token_revoke"},
	{"revoke current", ended, "ended", "same", ""},
	{"revoke current by another client", sessions, "mismatch", "same", "token_mismatch"},
	{"revoke predecessor", notEnded, "revoked", "ended: token_revoke", "token_revoke"},
	{"revoke predecessor", ended, "ended", "same", ""},
	{"revoke oldest", notEnded, "revoked", "ended: token_revoke", "token_revoke"},
	{"revoke oldest", ended, "ended", "same", ""},

	{"end", notEnded, "0 codes, 1 sessions", "ended: sign_out", "session_end"},
	{"end", ended, "0 codes, 0 sessions", "same", ""},

	{"end all", unused, "1 codes, 0 sessions", "same", ""},
	{"end all", tooLate, "0 codes, 0 sessions", "same", ""},
	{"end all", notEnded, "0 codes, 1 sessions", "ended: sign_out", "session_end"},
	{"end all", ended, "0 codes, 0 sessions", "same", ""},
	{"end all of its client", unused, "1 codes, 0 sessions", "same", ""},
	{"end all of its client", tooLate, "0 codes, 0 sessions", "same", ""},
	{"end all of its client", notEnded, "0 codes, 1 sessions", "ended: sign_out", "session_end"},
	{"end all of its client", ended, "0 codes, 0 sessions", "same", ""},
	{"end all of another client", anywhere, "0 codes, 0 sessions", "same", ""},
	{"end all but this", sessions, "0 codes, 0 sessions", "same", ""},

	{"end user", unused, "1 codes, 0 sessions", "same", "user_end"},
	{"end user", tooLate, "0 codes, 0 sessions", "same", ""},
	{"end user", notEnded, "0 codes, 1 sessions", "ended: offboarded", "session_end user_end"},
	{"end user", ended, "0 codes, 0 sessions", "same", ""},

	{"active", living, "true", "same", ""},
	{"active", slices.Concat(noRefresh, over, ended), "false", "same", ""},
	{"touch", slices.Concat([]string{"exchanged", "rotated, no grace"}, inGrace), "true", "same", ""}, // it was active a moment ago
	{"touch", pastIt, "true", "alive", ""},
	{"touch", slices.Concat(noRefresh, over, ended), "false", "same", ""},

	{"lookup current", living, "active", "same", ""},
	{"lookup current", slices.Concat(noRefresh, over, ended), "inactive", "same", ""},
	{"lookup predecessor", sessions, "inactive", "same", ""},
}
