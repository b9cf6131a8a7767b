package repo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// following is a Follow that runs beside the test.
type following struct {
	t      *testing.T
	events chan repo.Event
	errs   chan error
	ended  chan struct{}
	cancel context.CancelFunc
}

func follow(t *testing.T, store *repo.Store, params repo.FollowParams) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &following{t: t, events: make(chan repo.Event), errs: make(chan error), ended: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(f.ended)
		for event, err := range store.Events.Follow(ctx, params) {
			if err != nil {
				select {
				case f.errs <- err:
				case <-ctx.Done():
				}
				continue
			}
			select {
			case f.events <- event:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(f.stop)
	return f
}

func (f *following) stop() {
	f.cancel()
	<-f.ended
}

// next waits for the next event and wants it to be of a type.
func (f *following) next(eventType string) {
	f.t.Helper()
	select {
	case event := <-f.events:
		require.Equal(f.t, eventType, event.Type)
	case err := <-f.errs:
		require.NoError(f.t, err)
	case <-time.After(time.Minute):
		require.Fail(f.t, "missed", eventType)
	}
}

func appendTyped(t *testing.T, store *repo.Store, eventType string) {
	t.Helper()
	require.NoError(t, store.Events.Append(t.Context(), repo.AppendParams{Type: eventType}))
}

func TestFollow(t *testing.T) {
	t.Parallel()
	const often = 10 * time.Millisecond

	// in begins a transaction that appends an event and makes it look as if that had been a while ago.
	in := func(t *testing.T, store *repo.Store, eventType string, ago time.Duration) bun.Tx {
		t.Helper()
		tx, err := store.DB().BeginTx(t.Context(), nil)
		require.NoError(t, err)
		id := uuid.New()
		require.NoError(t, store.With(tx).Events.Append(t.Context(), repo.AppendParams{Type: eventType, ID: id}))
		_, err = tx.ExecContext(t.Context(), "UPDATE public.gpt_oauth_events SET created_at = created_at - ? * interval '1 us' WHERE id = ?", ago.Microseconds(), id)
		require.NoError(t, err)
		return tx
	}

	t.Run("GivesWhatIsCommittedOutOfOrder", func(t *testing.T) {
		t.Parallel()
		for _, ago := range []time.Duration{0, 30 * time.Second} { // seen by the next pass, and by the next full one
			store := repotest.CommittingStore(t, repo.Config{}, 3)
			since := databaseNow(t, store).Add(-time.Minute)
			f := follow(t, store, repo.FollowParams{Filter: repo.EventListParams{Since: since}, Interval: often, Overlap: 40 * time.Second})
			late := in(t, store, "late", ago)
			appendTyped(t, store, "first")
			f.next("first")
			appendTyped(t, store, "second")
			f.next("second")
			require.NoError(t, late.Commit())
			f.next("late")
			appendTyped(t, store, "third")
			f.next("third")
		}
	})

	t.Run("ReadsPageAfterPageInOrder", func(t *testing.T) {
		t.Parallel()
		store := repotest.CommittingStore(t, repo.Config{}, 2)
		since := databaseNow(t, store).Add(-time.Hour)
		for page := range 3 { // three pages a minute old, and then what is new, with equal times on both sides of each page's end
			batch := make([]repo.AppendParams, 999)
			for i := range batch {
				batch[i].Type = fmt.Sprintf("page%d", page)
			}
			require.NoError(t, store.Events.Append(t.Context(), batch...))
			repotest.Age(t, store, time.Minute)
		}
		appendTyped(t, store, "now")
		f := follow(t, store, repo.FollowParams{Filter: repo.EventListParams{Since: since}, Interval: often, Overlap: time.Minute})
		for page := range 3 {
			for range 999 {
				f.next(fmt.Sprintf("page%d", page))
			}
		}
		f.next("now")
		appendTyped(t, store, "then")
		f.next("then")
	})

	t.Run("GivesNothingTwiceAsTheWindowMovesOn", func(t *testing.T) {
		t.Parallel()
		store := repotest.CommittingStore(t, repo.Config{}, 2)
		f := follow(t, store, repo.FollowParams{Filter: repo.EventListParams{Since: databaseNow(t, store)}, Interval: often, Overlap: time.Second})
		given := make(map[uuid.UUID]bool)
		for begin := time.Now(); time.Since(begin) < 3*time.Second; {
			appendTyped(t, store, "a")
			select {
			case event := <-f.events:
				require.False(t, given[event.ID])
				given[event.ID] = true
			default:
			}
		}
		require.Greater(t, len(given), 1)
	})

	t.Run("BeginsNowAndFilters", func(t *testing.T) {
		t.Parallel()
		store := repotest.CommittingStore(t, repo.Config{}, 2)
		appendTyped(t, store, "wanted")
		repotest.Age(t, store, time.Second)
		f := follow(t, store, repo.FollowParams{Filter: repo.EventListParams{Type: "wanted"}, Interval: often})
		// Until the first pass there is no saying what is before it.
		ticker := time.NewTicker(often)
		defer ticker.Stop()
		for given := false; !given; {
			appendTyped(t, store, "other")
			appendTyped(t, store, "wanted")
			select {
			case event := <-f.events:
				require.Equal(t, "wanted", event.Type)
				given = true
			case <-ticker.C:
			}
		}
	})

	t.Run("GoesOnAfterTheConnectionWasLost", func(t *testing.T) {
		t.Parallel()
		store := repotest.CommittingStore(t, repo.Config{}, 1)
		other := repotest.CommittingStore(t, repo.Config{}, 1) // on the same server, to end the connection from
		f := follow(t, store, repo.FollowParams{Filter: repo.EventListParams{Since: databaseNow(t, store)}, Interval: often})
		for _, eventType := range []string{"a", "b", "c"} {
			appendTyped(t, store, eventType)
			var database string
			require.NoError(t, store.DB().QueryRowContext(t.Context(), "SELECT current_database()").Scan(&database))
			_, err := other.DB().ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?", database)
			require.NoError(t, err)
			f.next(eventType)
		}
	})

	t.Run("EndsWhenItIsRefused", func(t *testing.T) {
		t.Parallel()
		store := repotest.CommittingStore(t, repo.Config{}, 1)
		_, err := store.DB().ExecContext(t.Context(), "ALTER TABLE public.gpt_oauth_events RENAME TO gone")
		require.NoError(t, err)
		f := follow(t, store, repo.FollowParams{Interval: often})
		failed, ok := errors.AsType[*repo.DatabaseError](<-f.errs)
		require.True(t, ok)
		require.Equal(t, repo.Refused, failed.Effect)
		<-f.ended
	})

	t.Run("RefusesBadParams", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		for field, params := range map[string]repo.FollowParams{
			"FollowParams.Filter":   {Filter: repo.EventListParams{Limit: 1}},
			"FollowParams.Overlap":  {Overlap: -1},
			"FollowParams.Interval": {Interval: 2 * time.Hour},
			"EventListParams.Type":  {Filter: repo.EventListParams{Type: "\x00"}},
		} {
			f := follow(t, store, params)
			failed, ok := errors.AsType[*repo.InputError](<-f.errs)
			require.True(t, ok)
			require.Equal(t, field, failed.Field)
			<-f.ended
		}
	})

	t.Run("EndsWithTheLoop", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		since := databaseNow(t, store)
		appendTyped(t, store, "a")
		appendTyped(t, store, "b")
		var types []string
		for event, err := range store.Events.Follow(t.Context(), repo.FollowParams{Filter: repo.EventListParams{Since: since}}) {
			require.NoError(t, err)
			if types = append(types, event.Type); len(types) == 2 {
				break
			}
		}
		require.Equal(t, []string{"a", "b"}, slices.Sorted(slices.Values(types)))
	})
}
