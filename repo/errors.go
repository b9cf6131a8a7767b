package repo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/uptrace/bun/driver/pgdriver"
)

// ErrNotFound says that there is no row with the id asked for.
var ErrNotFound = errors.New("not found")

// InputError says that the host passed something that breaks a rule. Nothing was sent to the database. It names the
// field and the rule, never the value, which may be a secret.
type InputError struct {
	Field string // such as "IssueParams.RedirectURI"
	Rule  string // such as "must be an absolute URI without a fragment"
}

// Error implements error.
func (e *InputError) Error() string { return "repo: " + e.Field + " " + e.Rule }

// Effect is what is known of the effect of a call that failed.
type Effect int

const (
	// Refused means that the database said no, for good; it changed nothing and would say no again.
	Refused Effect = iota + 1
	// NotDone means that nothing changed; the same call may succeed later.
	NotDone
	// Unsure means that the answer was lost. The call may have taken effect, or may yet.
	Unsure
)

// String implements fmt.Stringer.
func (e Effect) String() string {
	switch e {
	case Refused:
		return "refused"
	case NotDone:
		return "not done"
	case Unsure:
		return "unsure whether done"
	default:
		return "unknown effect"
	}
}

// DatabaseError says that the database could not answer. A store that owns its transaction has by then repeated what is NotDone
// or Unsure until the deadline, but for [Store.InTx], which repeats nothing. Answer the client with a 503, or with
// server_error. Its refresh token is as good as it was, if Unsure within the grace period; so is its code, unless Unsure.
type DatabaseError struct {
	Op     string // such as "RefreshTokens.Rotate"
	Effect Effect // what is known of what the call did
	Err    error  // of the driver; of a batch of a janitor, behind the name of its step
}

// Error implements error.
func (e *DatabaseError) Error() string {
	return fmt.Sprintf("repo: %s: %s: %v", e.Op, e.Effect, e.Err)
}

// Unwrap returns the error of the driver.
func (e *DatabaseError) Unwrap() error { return e.Err }

// SQLState returns the code of PostgreSQL's error (Appendix A of its manual), or "" if the server did not speak.
func (e *DatabaseError) SQLState() string { return sqlState(e.Err) }

// effectOf says what an error of the driver tells about the effect of the statement.
func effectOf(err error) Effect {
	if state := sqlState(err); state != "" {
		return effectOfState(state)
	}

	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	switch {
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname):
		return Refused
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrNoRows):
		return Refused
	case errors.Is(err, errConnecting):
		return NotDone
	case errors.As(err, &dial) && dial.Op == "dial" && !errors.Is(err, context.Canceled):
		return NotDone // no connection, so no statement
	default:
		return Unsure // EOF, a timeout, a bad connection: the answer did not arrive
	}
}

// effectOfState goes by SQLSTATE (PostgreSQL, Appendix A).
func effectOfState(state string) Effect {
	switch state {
	case "40001", // serialization_failure
		"40P01", // deadlock_detected
		"55P03", // lock_not_available
		"57014", // query_canceled, by statement_timeout for one
		"25006", // read_only_sql_transaction: a standby, after a failover
		"57P03": // cannot_connect_now
		return NotDone
	case "57P01", "57P02", "57P05": // admin_shutdown, crash_shutdown, idle_session_timeout
		return Unsure
	}
	switch {
	case strings.HasPrefix(state, "53"): // insufficient_resources
		return NotDone
	case strings.HasPrefix(state, "08"), // connection_exception
		strings.HasPrefix(state, "58"), // system_error
		strings.HasPrefix(state, "XX"): // internal_error
		return Unsure
	default:
		return Refused
	}
}

// sqlState returns the SQLSTATE of an error of pgdriver, or of any driver whose errors have a method SQLState, as pgx's
// do; "" if the server did not speak.
func sqlState(err error) string {
	if ours, ok := errors.AsType[pgdriver.Error](err); ok {
		return ours.Field('C')
	}
	return firstState(err)
}

// firstState goes on past an error that has the method and no state: a DatabaseError of a connection that broke may be joined
// with one of which the server spoke.
func firstState(err error) string {
	if theirs, ok := err.(interface{ SQLState() string }); ok {
		if state := theirs.SQLState(); state != "" {
			return state
		}
	}
	switch wrapper := err.(type) { //nolint:errorlint // it is the wrapper that matters here
	case interface{ Unwrap() error }:
		return firstState(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, wrapped := range wrapper.Unwrap() {
			if state := firstState(wrapped); state != "" {
				return state
			}
		}
	}
	return ""
}
