package repo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
)

const (
	// janitorLock is the key of the advisory lock under which a batch runs.
	janitorLock = 0x6770746a // "gptj"

	batchTarget  = 50 * time.Millisecond // how long a batch should take
	batchTimeout = 9 * time.Second       // beyond the server's own, below the driver's
	firstBatch   = 500
	minBatch     = 200 // below that the round trips cost more than the rows

	maxLoad      = 4 // pauses for: it works a fifth of the time at least, to keep up with a database at full load
	maxLoadPause = time.Second
	turnPause    = 100 * time.Millisecond // until the other janitor is asked for again
	batchTries   = 5
)

// archiveError is not the database's: trying again would only fill the archive with the same lines.
type archiveError struct{ error }

func (e *archiveError) Unwrap() error { return e.error }

// errBusy: another janitor works.
var errBusy = errors.New("another janitor is at work")

// purge is one purge under way.
type purge struct {
	janitor *Janitor
	patient bool // waits for its turn
	result  PurgeResult
	load    float64 // how many others are at work, smoothed

	// worked is how long the database worked on the last batch: without the round trips, which take the same for a small
	// batch, and take long when the machine is busy.
	worked time.Duration
}

func (p *purge) all(ctx context.Context) error {
	for _, s := range p.janitor.steps() {
		if s.retention == Off {
			continue
		}
		if err := p.step(ctx, s); err != nil {
			if errors.Is(err, errBusy) {
				p.result.Skipped = true
				return nil
			}
			return err
		}
	}
	return nil
}

// step runs batches until none is left, each about as long as it should take.
func (p *purge) step(ctx context.Context, s step) error {
	if s.limit == 0 {
		s.limit = p.janitor.config.BatchSize
	}
	s.limit = min(s.limit, p.janitor.config.BatchSize)
	args := batchArgs{RetentionUs: s.retention.Microseconds(), Limit: min(firstBatch, s.limit)}
	for {
		result, err := p.batch(ctx, s, &args)
		if err != nil {
			return err
		}
		pause := loadPause(p.worked, p.load)
		p.done(Batch{Step: s.name, PurgeCounts: result.PurgeCounts, Took: p.worked, Pause: pause})
		if !result.more {
			return nil
		}
		args.AfterAt, args.AfterID = result.end.at, result.end.id
		args.Limit = nextLimit(args.Limit, s.limit, p.worked)
		if err := p.pause(ctx, pause); err != nil {
			return err
		}
	}
}

// loadPause leaves to others what is theirs: with one other at work half of the time, with two two thirds, up to a bound.
func loadPause(took time.Duration, load float64) time.Duration {
	return min(time.Duration(float64(took)*min(load, maxLoad)), maxLoadPause)
}

// nextLimit makes the next batch take as long as it should, going by the last one.
func nextLimit(limit, most int, took time.Duration) int {
	factor := min(max(float64(batchTarget)/float64(took), 0.5), 2)
	return min(max(int(float64(limit)*factor), minBatch), most)
}

func (p *purge) done(batch Batch) {
	p.result.PurgeCounts = p.result.Plus(batch.PurgeCounts)
	p.result.Batches++
	if p.janitor.config.OnBatch != nil {
		p.janitor.config.OnBatch(batch)
	}
}

func (p *purge) pause(ctx context.Context, d time.Duration) error {
	p.result.Paused += d
	if !wait(ctx, d) {
		return context.Cause(ctx)
	}
	return nil
}

func (p *purge) batch(ctx context.Context, s step, args *batchArgs) (batchResult, error) {
	ctx, op := begin(ctx, p.janitor.config.Observer, "Janitor.Batch")
	var failure error
	defer op.end(&failure)
	result, err := p.repeat(ctx, op, s, args)
	op.answered()
	op.purged(s.name, result.PurgeCounts)
	if !errors.Is(err, errBusy) { // most replicas find that, every hour
		failure = unlessStopped(ctx, err)
	}
	return result, err
}

// unlessStopped is err, or nil if it is no more than that the host has cancelled ctx, as each deploy does. A deadline that has
// passed stays an error: a purge that never gets to its end is worth knowing of.
func unlessStopped(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) && errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

// repeat tries until it succeeds, or has failed a number of times: smaller, since it may have taken too long. A batch whose
// answer was lost finds less to do, so that what it deleted is not counted.
func (p *purge) repeat(ctx context.Context, op operation, s step, args *batchArgs) (batchResult, error) {
	failed := 0
	for busy := false; ; {
		if ctx.Err() != nil {
			return batchResult{}, context.Cause(ctx)
		}
		if !busy { // to ask for one's turn once more is no repetition
			op.sending()
		}
		result, err := p.attempt(ctx, s, *args)
		if err == nil {
			return result, nil
		}
		pause := turnPause/2 + rand.N(turnPause) //nolint:gosec // jitter, not a secret
		if busy = errors.Is(err, errBusy); busy {
			if !p.patient {
				return batchResult{}, err
			}
		} else {
			if _, ok := errors.AsType[*archiveError](err); ok {
				return batchResult{}, err
			}
			effect := effectOf(err)
			if failed++; effect == Refused || failed == batchTries {
				return batchResult{}, &DatabaseError{Op: op.name, Effect: effect, Err: fmt.Errorf("%s: %w", s.name, err)}
			}
			args.Limit = min(args.Limit, max(args.Limit/2, minBatch))
			pause *= time.Duration(failed)
		}
		if err := p.pause(ctx, pause); err != nil {
			return batchResult{}, err
		}
	}
}

// attempt is one transaction. It is not cut short when ctx ends: the server would go on without us.
func (p *purge) attempt(ctx context.Context, s step, args batchArgs) (result batchResult, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	err = p.janitor.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, func(ctx context.Context, tx bun.Tx) error {
		var begun struct {
			Locked   bool   `bun:"locked"`
			Others   int    `bun:"others"`
			Settings string `bun:"settings"`
		}
		started := time.Now()
		if err := tx.NewRaw(beginBatchSQL, struct {
			Key int64 `bun:"key"`
		}{janitorLock}).Scan(ctx, &begun); err != nil {
			return err
		}
		if !begun.Locked {
			return errBusy
		}
		p.load += (float64(begun.Others) - p.load) / 4
		trip := time.Since(started)
		started = time.Now()
		result, err = s.run(ctx, tx, args)
		p.worked = max(time.Since(started)-time.Duration(result.statements)*trip, time.Millisecond)
		return err
	})
	return result, err
}
