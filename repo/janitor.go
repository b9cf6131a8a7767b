package repo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
)

// Janitor deletes what has been over for long enough: codes, sessions with all their tokens, and events; and it clears the
// nonces of sessions whose grace period is over. What is alive stays as it is: a living session's current token is never
// deleted, nor is anything that a foreign key still needs.
//
// It works in short transactions, at most one at a time however many replicas run a janitor. It skips rows that someone has
// locked, for the next purge, and makes no one wait for longer than a batch takes, about 50 ms. Between batches it pauses
// for as long as the batch took times the number of others it saw at work on the database, up to four: it takes one share.
// Stopping it anywhere, also with kill -9, leaves nothing half-done.
//
// Its role is the owner of the tables, or has SELECT, UPDATE and DELETE on them and is not subject to row level security.
// A replica or a database that is restored to an earlier time may bring rows back; the next purge deletes them again.
type Janitor struct {
	db     *bun.DB
	config JanitorConfig
}

// NewJanitor returns a janitor for db. It sends nothing. The error is an [*InputError] about config.
func NewJanitor(db *bun.DB, config JanitorConfig) (*Janitor, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Janitor{db: db, config: config}, nil
}

// Count says what a purge would delete or clear now, and changes nothing. It reads whole tables, in one statement, for which the
// ReadTimeout of a server's pool may be too short; so does Check.
func (j *Janitor) Count(ctx context.Context) (c PurgeCounts, err error) {
	ctx, op := begin(ctx, j.config.Observer, "Janitor.Count")
	defer op.end(&err)
	op.sending()
	row := j.db.QueryRowContext(ctx, countPurgeableSQL, struct {
		CodesUs    int64 `bun:"codes_us"`
		SessionsUs int64 `bun:"sessions_us"`
		RotatedUs  int64 `bun:"rotated_us"`
		EventsUs   int64 `bun:"events_us"`
		NoncesUs   int64 `bun:"nonces_us"`
	}{
		retentionMicros(j.config.Codes), retentionMicros(j.config.Sessions), retentionMicros(j.config.Rotated),
		retentionMicros(j.config.Events), maxGrace.Microseconds(),
	})
	err = row.Scan(&c.Codes, &c.Sessions, &c.Tokens, &c.Nonces, &c.Events)
	op.answered()
	if err != nil {
		return PurgeCounts{}, &DatabaseError{Op: op.name, Effect: effectOf(err), Err: err}
	}
	return c, nil
}

// retentionMicros is negative for Off.
func retentionMicros(d time.Duration) int64 {
	if d == Off {
		return -1
	}
	return d.Microseconds()
}

// Orphans is a finding of [Janitor.Check].
type Orphans struct {
	Name string `json:"name"` // such as "tokens of a session that does not exist"
	Rows int    `json:"rows"`
}

// Check looks for what foreign keys and the functions make impossible: tokens without their session, sessions without their
// current token, and the like. None is the answer unless someone wrote the tables by hand, or dropped a constraint. It reads
// whole tables, in one statement, and changes nothing.
func (j *Janitor) Check(ctx context.Context) (found []Orphans, err error) {
	ctx, op := begin(ctx, j.config.Observer, "Janitor.Check")
	defer op.end(&err)
	op.sending()
	err = j.db.NewRaw(checkOrphansSQL).Scan(ctx, &found)
	op.answered()
	if err != nil {
		return nil, &DatabaseError{Op: op.name, Effect: effectOf(err), Err: err}
	}
	return found, nil
}

// Purge works through all that is due, once, and returns what it has done. While another janitor is at work it waits for
// its turn. When ctx ends it finishes its batch and returns the cause.
//
// The error is a [*DatabaseError] after a batch was refused or has failed five times in a row, or that of the archive.
func (j *Janitor) Purge(ctx context.Context) (PurgeResult, error) {
	return j.purge(ctx, true)
}

// Run purges, again and again, until ctx ends, and returns the cause; errors go to OnPurge. It is the background form: call
// it from a goroutine of each replica. It begins after a part of the interval, so that replicas that start together do not
// work together, and leaves a purge to whoever is at it.
func (j *Janitor) Run(ctx context.Context) error {
	for first := true; ; first = false {
		pause := j.config.Interval*4/5 + rand.N(j.config.Interval*2/5+1) //nolint:gosec // jitter, not a secret
		if first {
			pause = rand.N(j.config.Interval/10 + 1) //nolint:gosec // jitter, not a secret
		}
		if !wait(ctx, pause) {
			return context.Cause(ctx)
		}
		result, err := j.purge(ctx, false)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if j.config.OnPurge != nil {
			j.config.OnPurge(result, err)
		}
	}
}

func (j *Janitor) purge(ctx context.Context, patient bool) (PurgeResult, error) {
	ctx, op := begin(ctx, j.config.Observer, "Janitor.Purge")
	var failure error
	defer op.end(&failure)
	op.sending()
	p := &purge{janitor: j, patient: patient}
	started := time.Now()
	err := p.all(ctx)
	op.answered()
	p.result.Took = time.Since(started)
	if err != nil {
		err = fmt.Errorf("repo: %s: %w", op.name, err)
	}
	failure = unlessStopped(ctx, err)
	return p.result, err
}

// wait is false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
