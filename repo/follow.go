package repo

import (
	"context"
	"errors"
	"iter"
	"time"
)

const (
	defaultOverlap  = time.Minute
	maxOverlap      = time.Hour
	defaultInterval = time.Second
)

// FollowParams says which events to follow, and from where. The zero value follows all from now on.
type FollowParams struct {
	// Filter says which; from its Since on, if that is set. Its Until, Cursor and Limit must be zero.
	Filter EventListParams

	// Cursor, if set, is where to begin, unless it is new, and is kept up to date: see [FollowCursor].
	Cursor *FollowCursor

	// Overlap is how long the transaction of an event may take for the event not to be missed. At most an hour. Defaults to
	// a minute.
	Overlap time.Duration

	// Interval is how often the database is asked. Defaults to a second.
	Interval time.Duration
}

func (p FollowParams) withDefaults() (FollowParams, error) {
	if p.Filter.Cursor != "" || p.Filter.Limit != 0 || !p.Filter.Until.IsZero() {
		return p, &InputError{"FollowParams.Filter", "must have neither Until nor Cursor nor Limit"}
	}
	if p.Overlap == 0 {
		p.Overlap = defaultOverlap
	}
	if p.Interval == 0 {
		p.Interval = defaultInterval
	}
	return p, firstError(
		p.Filter.check(),
		checkDuration("FollowParams.Overlap", p.Overlap, maxOverlap),
		checkDuration("FollowParams.Interval", p.Interval, maxOverlap),
	)
}

// Follow is the audit trail as it grows: every event once, by time, but for those whose transaction took so long that later
// ones were there before it. It asks the database each Interval, until ctx ends or the loop is left.
//
// The time of an event is that of the change and not that of its commit, so events appear behind the newest one. Follow
// looks for them as far back as Overlap: what is committed within a twelfth of it (5 seconds) comes at the next asking,
// what takes longer comes within a quarter (15 seconds), and what takes longer than Overlap may be missed. To go on later
// where it stopped, in another process too, give it a Cursor.
//
// An error comes with a zero Event. An [*InputError] and a [*DatabaseError] that is Refused are the end of it; after any other
// the loop may go on, and nothing is missed once the database answers again.
func (e *Events) Follow(ctx context.Context, params FollowParams) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		params, err := params.withDefaults()
		if err != nil {
			yield(Event{}, err)
			return
		}
		f := newFollower(e, params)
		for ctx.Err() == nil {
			err := f.pass(ctx, func(event Event) bool { return yield(event, nil) })
			if errors.Is(err, errStopped) || ctx.Err() != nil {
				return
			}
			if err != nil && (!yield(Event{}, err) || effectOf(err) == Refused) {
				return
			}
			timer := time.NewTimer(params.Interval)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// errStopped: the loop over the events was left.
var errStopped = errors.New("stopped")

// follower is one Follow under way.
type follower struct {
	events *Events
	params FollowParams
	cursor *FollowCursor // where it stands

	passed time.Time // when the last pass began, by the database's clock
	full   time.Time // when the last full one did
}

func newFollower(e *Events, params FollowParams) *follower {
	f := &follower{events: e, params: params, cursor: params.Cursor}
	if f.cursor == nil {
		f.cursor = &FollowCursor{}
	}
	f.cursor.settle(params.Filter.Since, time.Time{}, false)
	return f
}

// pass gives out what is new. Most passes look back only as far as nearly all transactions last; a full one is due from time
// to time, and reads again everything from settled on.
func (f *follower) pass(ctx context.Context, give func(Event) bool) error {
	now, err := f.now(ctx)
	if err != nil {
		return err
	}
	if f.cursor.Settled.IsZero() {
		f.cursor.Settled = now
	}
	overlap := f.params.Overlap
	full := f.full.IsZero() || now.Sub(f.full) >= overlap/4
	after := position{at: f.cursor.Settled}
	if recent := f.passed.Add(-overlap / 12); !full && recent.After(after.at) {
		after.at = recent
	}
	for more := true; more; {
		var page []Event
		if page, err = f.read(ctx, after); err != nil {
			return err
		}
		if more = len(page) == maxLimit; more {
			last := page[len(page)-1]
			after = position{last.CreatedAt, last.ID}
		}
		for _, event := range page {
			if f.cursor.Has(event) {
				continue
			}
			if !give(event) {
				return errStopped
			}
			f.cursor.Done(event)
		}
		if full {
			// What was in flight when the pass began may still appear; what is older and on this page was all there is.
			f.cursor.settle(now.Add(-overlap), after.at, more)
		}
	}
	f.passed = now
	if full {
		f.full = now
	}
	return nil
}

// now is the time by the database's clock, before anything is read: what is committed by then is seen.
func (f *follower) now(ctx context.Context) (now time.Time, err error) {
	ctx, op := f.events.conn.begin(ctx, "Events.Follow")
	defer op.end(&err)
	err = f.events.conn.repeat(ctx, op, func(ctx context.Context) error {
		return f.events.conn.db.QueryRowContext(ctx, "SELECT statement_timestamp()").Scan(&now)
	})
	return now, err
}

func (f *follower) read(ctx context.Context, after position) (page []Event, err error) {
	ctx, op := f.events.conn.begin(ctx, "Events.Follow")
	defer op.end(&err)
	filter := f.params.Filter
	filter.Since = time.Time{} // after is never before it
	err = f.events.conn.repeat(ctx, op, func(ctx context.Context) error {
		page = nil
		return filter.where(f.events.conn.db.NewSelect().Model(&page)).
			Where("(e.created_at, e.id) > (?, ?)", after.at, after.id). // the zero id is before all
			OrderExpr("e.created_at, e.id").
			Limit(maxLimit).
			Scan(ctx)
	})
	return page, err
}
