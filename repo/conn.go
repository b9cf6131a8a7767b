package repo

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"strings"
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
	// alarms are those of a transaction that the store owns; nil in any other.
	alarms *alarms
}

func newConn(db *bun.DB, config Config) *conn {
	_, bounds := db.Driver().(pgdriver.Driver)
	return &conn{db: db, config: config, owns: true, bounds: bounds}
}

func (c *conn) with(tx bun.Tx) *conn {
	return &conn{db: tx, config: c.config}
}

// newCall begins a call of a SQL function.
func (c *conn) newCall(function string) *call {
	return newCall(c.db.Dialect(), function)
}

// run sends a call of a function with one OUT parameter, and returns that as text. The call is spent.
func (c *conn) run(ctx context.Context, op operation, call *call) (string, error) {
	call.close()
	err := c.repeat(ctx, op, func(ctx context.Context) error {
		err := c.send(ctx, call)
		// An earlier attempt has written its event, its answer was lost, and since then things have changed: this attempt
		// finds something else to do, and has another event to write.
		if c.owns && sqlState(err) == "23505" && call.redrawEvent() {
			op.sending()
			err = c.send(ctx, call)
		}
		return err
	})
	return call.free(), err
}

// runRow sends a call of a function with several OUT parameters. The call is spent.
func (c *conn) runRow(ctx context.Context, op operation, call *call) (row, error) {
	answer, err := c.run(ctx, op, call)
	if err != nil {
		return row{}, err
	}
	return newRow(answer), nil
}

// done is for the end of an operation that has succeeded, unless its answer is not understood.
func done(op operation, err error) error {
	if err != nil {
		return &DatabaseError{Op: op.name, Effect: Unsure, Err: err}
	}
	return nil
}

// send makes one attempt. Over pgdriver, ctx is used up to here: a cancellation does nothing to a query that runs, and yet
// database/sql starts a goroutine for each to watch for it. The deadline stays.
func (c *conn) send(ctx context.Context, call *call) error {
	db, ok := c.db.(*bun.DB)
	if !ok || !c.bounds {
		return queryRow(ctx, c.db, call.query(), call)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()                                                                            //nolint:errcheck // gives it back to the pool
	return queryRow(withoutDone{ctx}, conn, call.queryWithTimeout(c.statementTimeout(ctx)), call) //nolint:contextcheck // ctx is inside
}

// queryRow scans the one value of the one row. sql.Row reads to the end of the answer: a row arrives before the COMMIT of
// its implicit transaction, and only the end says that it was committed.
//
// Bun looks for placeholders in a query, and would find them in what users wrote; so a text with a question mark is
// handed over as an argument, at the cost of a copy.
func queryRow[T rowQuerier](ctx context.Context, db T, query string, call *call) error {
	if strings.Contains(query, "?") {
		return db.QueryRowContext(ctx, "?", bun.Safe(query)).Scan(call.dest[:]...)
	}
	return db.QueryRowContext(ctx, query).Scan(call.dest[:]...)
}

type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// withoutDone is a context that cannot be cancelled and yet has the deadline of the one inside.
type withoutDone struct{ context.Context } //nolint:containedctx // that is its purpose

func (withoutDone) Done() <-chan struct{} { return nil }
func (withoutDone) Err() error            { return nil }

// statementTimeout bounds the server: a cancelled context does not reach it, and when a deadline passes the driver gives
// up while the server goes on, and commits.
func (c *conn) statementTimeout(ctx context.Context) time.Duration {
	timeout := c.config.StatementTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)*9/10)
	}
	return timeout
}

// repeat calls do until it succeeds, is refused for good, or time is over. Every call can be repeated: its ids, digests
// and nonces are drawn before the first attempt, so that a later one finds what an earlier one has done.
func (c *conn) repeat(ctx context.Context, op operation, do func(ctx context.Context) error) error {
	if !c.owns {
		op.sending()
		err := do(ctx)
		op.answered()
		if err != nil {
			return &DatabaseError{Op: op.name, Effect: effectOf(err), Err: err}
		}
		return nil
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(c.config.Timeout)
	}

	var worst Effect // a call that may have taken effect stays Unsure, whatever its repetition meets
	for pause := firstPause; ; pause = min(pause*2, maxPause) {
		op.sending()
		err := c.attempt(ctx, deadline, do)
		op.answered()
		if err == nil {
			return nil
		}
		effect := effectOf(err)
		worst = max(worst, effect)
		if effect == Refused || !sleep(ctx, deadline, pause/2+rand.N(pause)) { //nolint:gosec // jitter, not a secret
			return &DatabaseError{Op: op.name, Effect: worst, Err: err}
		}
	}
}

// attempt leaves time for another: a network that swallows everything must not eat the whole time at once.
func (c *conn) attempt(ctx context.Context, deadline time.Time, do func(ctx context.Context) error) error {
	if limit := time.Now().Add(c.config.StatementTimeout + answerMargin); limit.Before(deadline) {
		deadline = limit
	}
	if own, ok := ctx.Deadline(); !ok || deadline.Before(own) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	return do(ctx)
}

// sleep waits, unless ctx ends first or there would be no time for another attempt.
func sleep(ctx context.Context, deadline time.Time, d time.Duration) bool {
	if time.Until(deadline) <= d {
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
