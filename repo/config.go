package repo

import (
	"context"
	"time"
)

// Off turns a duration of [Config] off where zero already means its default: no absolute end for sessions, no grace
// period for refresh tokens, no throttling of [Sessions.Touch].
const Off time.Duration = -1

const (
	maxCodeTTL       = 10 * time.Minute // RFC 6749 4.1.2
	maxTTL           = 3650 * 24 * time.Hour
	maxGrace         = 10 * time.Minute
	maxTouchInterval = 24 * time.Hour
)

// Config says how long things live. Its zero value works.
type Config struct {
	// CodeTTL is the life of an authorization code, at most 10 minutes (RFC 6749 4.1.2). Defaults to 10 minutes.
	CodeTTL time.Duration

	// RefreshTTL is the life of a refresh token, counted from its issue, so that each rotation slides it on: a session
	// that is not used for this long is over (RFC 9700 4.14.2). At most 10 years. Defaults to 30 days.
	RefreshTTL time.Duration

	// SessionTTL is the life of a session however often it is refreshed, counted from the exchange. At most 10 years.
	// Defaults to 365 days; [Off] sets no end.
	SessionTTL time.Duration

	// Grace is how long, counted from the issue of its successor, a rotated refresh token is answered with that very
	// same successor again ([Retried]) instead of being taken for stolen ([Reused]). It serves clients that refresh in
	// parallel or lose an answer. At most 10 minutes. Defaults to 90 seconds; [Off] makes rotation strict.
	Grace time.Duration

	// TouchInterval is the time in which [Sessions.Touch] writes at most once for one session, at most a day. Defaults to
	// 1 minute; [Off] writes always.
	TouchInterval time.Duration

	// AllowPlain lets [AuthCodes.Issue] accept the code challenge method "plain" (RFC 7636 4.2), which protects a code
	// only from those who do not see the authorization request. Defaults to false: S256 only.
	AllowPlain bool

	// StatementTimeout is how long the server works on one call that changes state, of a store that owns its transaction and
	// whose driver is pgdriver; less if the context's deadline is nearer. A read is given up a second later than this and
	// asked again, but nothing stops it on the server: raise this for long ones. Defaults to 5 seconds.
	StatementTimeout time.Duration

	// Timeout is how long a call takes at most, repetitions after a lost connection included, if its context has no
	// deadline. Defaults to 15 seconds.
	Timeout time.Duration

	// OnSecurityEvent, if set, is called when a spent code or refresh token was presented ([Replayed], [Reused]), after the
	// commit and before the call that found it returns; with [Store.InTx] after its commit, with [Store.With] never, because
	// the commit is the caller's. It is best effort: if the answer of the database is lost, or the process dies, it is not
	// called, and it may be called again for a replay that is repeated. Whoever must not miss one follows the audit trail
	// ([Events.Follow], gptoauth events forward), where the event is in any case. It holds up an answer to a client, so it
	// must return soon; ctx is that of the call. Defaults to none.
	OnSecurityEvent func(ctx context.Context, event SecurityEvent)

	// Observer, if set, hears of every call, for metrics and traces; see package repootel. Defaults to none.
	Observer Observer
}

// withDefaults fills what is zero, turns Off into what the SQL functions take for it (0), and checks the rest.
func (c Config) withDefaults() (Config, error) {
	durations := []struct {
		field    string
		value    *time.Duration
		fallback time.Duration
		limit    time.Duration
		canBeOff bool
	}{
		{"CodeTTL", &c.CodeTTL, maxCodeTTL, maxCodeTTL, false},
		{"RefreshTTL", &c.RefreshTTL, 30 * 24 * time.Hour, maxTTL, false},
		{"SessionTTL", &c.SessionTTL, 365 * 24 * time.Hour, maxTTL, true},
		{"Grace", &c.Grace, 90 * time.Second, maxGrace, true},
		{"TouchInterval", &c.TouchInterval, time.Minute, maxTouchInterval, true},
		{"StatementTimeout", &c.StatementTimeout, 5 * time.Second, time.Hour, false},
		{"Timeout", &c.Timeout, 15 * time.Second, time.Hour, false},
	}
	for _, d := range durations {
		switch {
		case *d.value == 0:
			*d.value = d.fallback
		case *d.value == Off && d.canBeOff:
			*d.value = 0
		default:
			if err := checkDuration("Config."+d.field, *d.value, d.limit); err != nil {
				return Config{}, err
			}
		}
	}
	return c, nil
}

// checkDuration refuses what the database could not tell from zero (below a microsecond) as well as what is too long.
func checkDuration(field string, d, limit time.Duration) error {
	if d < time.Microsecond || d > limit {
		return &InputError{Field: field, Rule: "must be positive and at most " + limit.String()}
	}
	return nil
}
