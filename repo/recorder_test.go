package repo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func newRecorder(t *testing.T, store *repo.Store, config repo.RecorderConfig) *repo.Recorder {
	t.Helper()
	recorder, err := store.Events.Recorder(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = recorder.Close(context.WithoutCancel(t.Context())) })
	return recorder
}

// lockEvents lets no one write events until unlock is called.
func lockEvents(t *testing.T, store *repo.Store) (unlock func()) {
	t.Helper()
	tx, err := store.DB().(*bun.DB).BeginTx(context.WithoutCancel(t.Context()), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	_, err = tx.ExecContext(t.Context(), "LOCK TABLE gpt_oauth_events IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback()) }
}

func TestRecorderCloseLosesNothing(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	recorder := newRecorder(t, store, repo.RecorderConfig{Queue: 64, Batch: 16, Interval: time.Millisecond, Writers: 3})

	const clients, each = 8, 1000
	var taken, late atomic.Int64
	group, ctx := errgroup.WithContext(t.Context())
	for client := range clients {
		group.Go(func() error {
			for i := range each {
				switch err := recorder.Record(ctx, jobSearch(client*each+i)); {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, repo.ErrRecorderClosed):
					late.Add(1)
				default:
					return err
				}
			}
			return nil
		})
	}
	require.Eventually(t, func() bool { return recorder.Stats().Written > 100 }, time.Minute, time.Millisecond)
	require.NoError(t, recorder.Close(t.Context()), "in the middle of it")
	require.NoError(t, group.Wait())

	require.Positive(t, late.Load(), "Close came too late to show anything")
	require.Equal(t, int64(clients*each), taken.Load()+late.Load())
	require.Equal(t, repo.RecorderStats{Recorded: taken.Load(), Written: taken.Load(), Dropped: late.Load()}, recorder.Stats())
	require.EqualValues(t, taken.Load(), count(t, store, "gpt_oauth_events", "event_type = 'job_search'"))
	require.NoError(t, recorder.Close(t.Context()), "closing twice")
}

func TestRecorderWritesWhenItsIntervalIsOver(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 2)
	recorder := newRecorder(t, store, repo.RecorderConfig{})
	event := jobSearch(1)
	require.NoError(t, recorder.Record(t.Context(), event))
	copy(event.Metadata, `{"query": "overwrit`) // the caller's again
	require.Eventually(t, func() bool { return recorder.Stats().Written == 1 }, time.Minute, time.Millisecond)
	page, err := store.Events.List(t.Context(), repo.EventListParams{ClerkUserID: event.ClerkUserID})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	require.JSONEq(t, string(jobSearch(1).Metadata), string(page.Events[0].Metadata))
}

func TestRecorderCountsDropsExactly(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	recorder := newRecorder(t, store, repo.RecorderConfig{Queue: 50, Batch: 7, DropWhenFull: true})
	unlock := lockEvents(t, store)

	var full atomic.Int64
	var group errgroup.Group
	for client := range 8 {
		group.Go(func() error {
			for i := range 100 {
				err := recorder.Record(t.Context(), jobSearch(client*100+i))
				if errors.Is(err, repo.ErrQueueFull) {
					full.Add(1)
				} else if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 750, full.Load())
	require.Equal(t, repo.RecorderStats{Recorded: 50, Queued: 50, Dropped: 750}, recorder.Stats())
	unlock()
	require.NoError(t, recorder.Close(t.Context()))
	require.Equal(t, repo.RecorderStats{Recorded: 50, Written: 50, Dropped: 750}, recorder.Stats())
	require.Equal(t, 50, count(t, store, "gpt_oauth_events", "TRUE"))
}

func TestRecorderHoldsBackWhoeverIsTooFast(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	recorder := newRecorder(t, store, repo.RecorderConfig{Queue: 10, Interval: time.Millisecond})
	unlock := lockEvents(t, store)
	for i := range 10 {
		require.NoError(t, recorder.Record(t.Context(), jobSearch(i)))
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := recorder.Record(ctx, jobSearch(10))
	require.ErrorIs(t, err, repo.ErrQueueFull)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, repo.RecorderStats{Recorded: 10, Queued: 10, Dropped: 1}, recorder.Stats())

	waiting := make(chan error, 1)
	go func() { waiting <- recorder.Record(t.Context(), jobSearch(11)) }()
	require.Eventually(t, func() bool { return stackHas("repo.(*Recorder).takeSlot") }, time.Minute, time.Millisecond)
	require.Empty(t, waiting)
	unlock()
	require.NoError(t, <-waiting)
	require.NoError(t, recorder.Close(t.Context()))
	require.Equal(t, 11, count(t, store, "gpt_oauth_events", "TRUE"))
}

// TestRecorderOutlivesTheServer that is stopped at once, without any of its goodbyes, while batches are on their way.
func TestRecorderOutlivesTheServer(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	db := open(t, server.URL("postgres"), repo.PoolConfig{})
	require.NoError(t, migrations.Up(t.Context(), db))
	store, err := repo.New(db, repo.Config{Timeout: 200 * time.Millisecond}) // so that the recorder repeats, and not only the store
	require.NoError(t, err)
	var outages atomic.Int64
	recorder := newRecorder(t, store, repo.RecorderConfig{Queue: 100, Batch: 10, Interval: time.Millisecond, OnError: func(err error, lost ...repo.AppendParams) {
		outages.Add(1)
		if len(lost) > 0 {
			t.Error("lost:", err)
		}
	}})

	stop := make(chan struct{})
	var recorded atomic.Int64
	group, ctx := errgroup.WithContext(t.Context())
	for client := range 4 {
		group.Go(func() error {
			for i := client; ; i += 4 {
				select {
				case <-stop:
					return nil
				default:
				}
				event := jobSearch(i)
				event.Metadata = json.RawMessage(fmt.Sprintf(`{"n": %d}`, i))
				if err := recorder.Record(ctx, event); err != nil {
					return err
				}
				recorded.Add(1)
			}
		})
	}
	for range 3 {
		before := recorder.Stats().Written
		require.Eventually(t, func() bool { return recorder.Stats().Written > before+100 }, time.Minute, time.Millisecond)
		require.NoError(t, server.StopImmediate(t.Context()))
		seen := outages.Load()
		require.Eventually(t, func() bool { return outages.Load() > seen }, time.Minute, time.Millisecond)
		require.NoError(t, server.StartAgain(t.Context()))
	}
	close(stop)
	require.NoError(t, group.Wait())
	require.NoError(t, recorder.Close(t.Context()))

	total := recorded.Load()
	require.Equal(t, repo.RecorderStats{Recorded: total, Written: total}, recorder.Stats())
	var rows, different int64
	require.NoError(t, db.QueryRowContext(t.Context(),
		"SELECT count(*), count(DISTINCT metadata) FROM gpt_oauth_events").Scan(&rows, &different))
	require.Equal(t, total, different, "lost")
	require.Equal(t, total, rows, "written twice")
}

// TestRecorderRepeatsWithTheSameIDs: the client no longer waits for an answer while the server still works, and then does
// what both attempts ask for.
func TestRecorderRepeatsWithTheSameIDs(t *testing.T) {
	t.Parallel()
	dsn := repotest.URL(t)
	locker, err := repo.New(open(t, dsn, repo.PoolConfig{}), repo.Config{})
	require.NoError(t, err)
	store, err := repo.New(open(t, dsn, repo.PoolConfig{ReadTimeout: 500 * time.Millisecond}), repo.Config{Timeout: 600 * time.Millisecond})
	require.NoError(t, err)
	gaveUp := make(chan error, 100)
	recorder := newRecorder(t, store, repo.RecorderConfig{OnError: func(err error, _ ...repo.AppendParams) { gaveUp <- err }})
	unlock := lockEvents(t, locker)
	for i := range 10 {
		require.NoError(t, recorder.Record(t.Context(), jobSearch(i)))
	}
	var failure *repo.DatabaseError
	require.ErrorAs(t, <-gaveUp, &failure)
	require.Equal(t, repo.Unsure, failure.Effect)
	unlock()
	require.NoError(t, recorder.Close(t.Context()))
	require.Equal(t, repo.RecorderStats{Recorded: 10, Written: 10}, recorder.Stats())
	require.Eventually(t, func() bool {
		return count(t, locker, "pg_stat_activity", "datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()") == 0
	}, time.Minute, time.Millisecond, "the attempts that no one waits for")
	require.Equal(t, 10, count(t, locker, "gpt_oauth_events", "TRUE"))
}

func TestRecorderSparesTheNeighboursOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	_, err := store.DB().ExecContext(t.Context(), "ALTER TABLE gpt_oauth_events ADD CHECK (event_type <> 'bad')")
	require.NoError(t, err)
	var mu sync.Mutex
	var lost []repo.AppendParams
	recorder := newRecorder(t, store, repo.RecorderConfig{OnError: func(err error, events ...repo.AppendParams) {
		mu.Lock()
		defer mu.Unlock()
		var failure *repo.DatabaseError
		if !errors.As(err, &failure) || failure.Effect != repo.Refused {
			t.Error(err)
		}
		lost = append(lost, events...)
	}})
	for i := range 300 {
		event := jobSearch(i)
		if i == 7 || i == 230 {
			event.Type = "bad"
		}
		require.NoError(t, recorder.Record(t.Context(), event))
	}
	require.NoError(t, recorder.Close(t.Context()))

	require.Equal(t, repo.RecorderStats{Recorded: 300, Written: 298, Refused: 2}, recorder.Stats())
	require.Equal(t, 298, count(t, store, "gpt_oauth_events", "TRUE"))
	require.Len(t, lost, 2)
	for _, event := range lost {
		require.Equal(t, "bad", event.Type)
		require.NotZero(t, event.ID, "so that it can be appended later")
		require.NotEmpty(t, event.Metadata)
	}
}

// TestRecorderWaitsForWhoeverMayNotWrite: what a migration or a grant will mend is not the fault of the events.
func TestRecorderWaitsForWhoeverMayNotWrite(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	_, err := store.DB().ExecContext(t.Context(), "ALTER FUNCTION gpt_append_events_v1 RENAME TO gpt_append_events_v0")
	require.NoError(t, err)
	told := make(chan error, 100)
	recorder := newRecorder(t, store, repo.RecorderConfig{OnError: func(err error, lost ...repo.AppendParams) {
		if len(lost) > 0 {
			t.Error("lost:", err)
		}
		told <- err
	}})
	for i := range 10 {
		require.NoError(t, recorder.Record(t.Context(), jobSearch(i)))
	}
	require.ErrorContains(t, <-told, "gpt_append_events_v1")
	_, err = store.DB().ExecContext(t.Context(), "ALTER FUNCTION gpt_append_events_v0 RENAME TO gpt_append_events_v1")
	require.NoError(t, err)
	require.NoError(t, recorder.Close(t.Context()))
	require.Equal(t, repo.RecorderStats{Recorded: 10, Written: 10}, recorder.Stats())
}

func TestRecorderRefusesBadInput(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	var input *repo.InputError
	_, err := store.Events.Recorder(repo.RecorderConfig{})
	require.ErrorAs(t, err, &input, "a transaction ends before the recorder does")

	store = repotest.CommittingStore(t, repo.Config{}, 1)
	for field, config := range map[string]repo.RecorderConfig{
		"Queue":    {Queue: -1},
		"Batch":    {Batch: 1001},
		"Interval": {Interval: time.Hour},
		"Writers":  {Writers: 65},
	} {
		_, err := store.Events.Recorder(config)
		require.ErrorAs(t, err, &input)
		require.Equal(t, "RecorderConfig."+field, input.Field)
	}
	recorder := newRecorder(t, store, repo.RecorderConfig{Queue: 1}) // fewer than a batch
	for _, event := range []repo.AppendParams{{}, {Type: repo.EventTokenReuse}, {Type: "job", Metadata: []byte("1")}, {Type: "job", ClerkUserID: "\x00"}} {
		require.ErrorAs(t, recorder.Record(t.Context(), event), &input)
	}
	require.Zero(t, recorder.Stats())
}

// TestRecorderLeavesNoGoroutine is not parallel, so that no other test has a recorder.
func TestRecorderLeavesNoGoroutine(t *testing.T) { //nolint:paralleltest // see above
	store := repotest.CommittingStore(t, repo.Config{}, 4)

	t.Run("WhenAllIsWritten", func(t *testing.T) {
		recorder := newRecorder(t, store, repo.RecorderConfig{Writers: 3})
		require.NoError(t, recorder.Record(t.Context(), jobSearch(0)))
		require.Eventually(t, func() bool { return stackHas("repo.(*Recorder)") }, time.Minute, time.Millisecond, "else the look for goroutines sees none")
		require.NoError(t, recorder.Close(t.Context()))
		require.Eventually(t, func() bool { return !stackHas("repo.(*Recorder)") }, time.Minute, time.Millisecond)
	})

	t.Run("WhenCloseHasNoTime", func(t *testing.T) {
		recorder := newRecorder(t, store, repo.RecorderConfig{Batch: 2})
		unlock := lockEvents(t, store)
		for i := range 5 {
			require.NoError(t, recorder.Record(t.Context(), jobSearch(i)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := recorder.Close(ctx)
		require.ErrorContains(t, err, "5 events are not written")
		require.ErrorIs(t, err, context.Canceled)
		require.EqualValues(t, 5, recorder.Stats().Queued)
		require.ErrorIs(t, recorder.Record(t.Context(), jobSearch(5)), repo.ErrRecorderClosed)
		require.ErrorContains(t, recorder.Close(t.Context()), "5 events are not written", "what was on its way waited for the lock in vain")
		require.Eventually(t, func() bool { return !stackHas("repo.(*Recorder)") }, time.Minute, time.Millisecond)
		unlock()
		require.Equal(t, 1, count(t, store, "gpt_oauth_events", "TRUE"), "of the test before")
	})
}

// stackHas looks for a function in the stacks of all goroutines.
func stackHas(function string) bool {
	buffer := make([]byte, 4<<20)
	return strings.Contains(string(buffer[:runtime.Stack(buffer, true)]), function)
}
