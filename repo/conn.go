package repo

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"
)

const (
	// answerMargin is the time beyond the server's own timeout in which its answer may arrive. Together they stay below
	// the driver's read timeout (10 s by default).
	answerMargin = time.Second

	firstPause = 5 * time.Millisecond
	maxPause   = 500 * time.Millisecond
)

// conn is what the repositories share: where statements go, and how.
type conn struct {
	db     bun.IDB
	config Config

	// owns: each call is a transaction of its own, which may be repeated. Otherwise it is part of a caller's.
	owns bool
	// bounds: a call may carry SET LOCAL statement_timeout in the same message. Not inside a caller's transaction, where
	// it would outlast the call, and not over drivers that use the extended protocol, which takes one statement only.
	bounds bool
}

func newConn(db *bun.DB, config Config) *conn {
	_, bounds := db.Driver().(pgdriver.Driver)
	return &conn{db: db, config: config, owns: true, bounds: bounds}
}

func (c *conn) with(tx bun.Tx) *conn {
	return &conn{db: tx, config: c.config}
}

// newCall begins a call of a SQL function.
func (c *conn) newCall(columns, function string) *call {
	return newCall(c.db.Dialect(), columns, function)
}

// run sends a call, which yields one row, and scans it. sql.Row reads to the end of the answer: a row arrives before the
// COMMIT of its implicit transaction, and only the end says that it was committed.
func (c *conn) run(ctx context.Context, op string, call *call, dest ...any) error {
	query := call.query()
	return c.repeat(ctx, op, func(ctx context.Context) error {
		if !c.bounds {
			return c.db.QueryRowContext(ctx, "?", query).Scan(dest...)
		}
		return c.db.QueryRowContext(ctx, "?; ?", c.statementTimeout(ctx), query).Scan(dest...)
	})
}

// statementTimeout bounds the server: a cancelled context does not reach it, and when a deadline passes the driver gives
// up while the server goes on, and commits.
func (c *conn) statementTimeout(ctx context.Context) bun.Safe {
	timeout := c.config.StatementTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)*9/10)
	}
	millis := max(timeout.Milliseconds(), 1) // 0 would mean no timeout
	return bun.Safe("SET LOCAL statement_timeout = " + strconv.FormatInt(millis, 10))
}

// repeat calls do until it succeeds, is refused for good, or time is over. Every call can be repeated: its ids, digests
// and nonces are drawn before the first attempt, so that a later one finds what an earlier one has done.
func (c *conn) repeat(ctx context.Context, op string, do func(ctx context.Context) error) error {
	if !c.owns {
		if err := do(ctx); err != nil {
			return &DatabaseError{Op: op, Effect: effectOf(err), Err: err}
		}
		return nil
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
	}

	var worst Effect // a call that may have taken effect stays Unsure, whatever its repetition meets
	for pause := firstPause; ; pause = min(pause*2, maxPause) {
		err := c.attempt(ctx, do)
		if err == nil {
			return nil
		}
		effect := effectOf(err)
		worst = max(worst, effect)
		if effect == Refused || !sleep(ctx, pause/2+rand.N(pause)) { //nolint:gosec // jitter, not a secret
			return &DatabaseError{Op: op, Effect: worst, Err: err}
		}
	}
}

// attempt leaves time for another: a network that swallows everything must not eat the whole deadline at once.
func (c *conn) attempt(ctx context.Context, do func(ctx context.Context) error) error {
	limit := c.config.StatementTimeout + answerMargin
	if deadline, _ := ctx.Deadline(); time.Until(deadline) > limit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return do(ctx)
}

// sleep waits, unless ctx ends first or would before there is time for another attempt.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
