package repo_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// A follower that is stopped again and again, and goes on from a stored cursor, misses nothing and repeats nothing, in
// whatever order transactions commit.
func TestFollowCursorGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 12)
	stored, err := json.Marshal(repo.FollowCursor{Settled: databaseNow(t, store)})
	require.NoError(t, err)

	const writers, each = 8, 40
	var writing sync.WaitGroup
	var mu sync.Mutex
	written := make(map[uuid.UUID]bool)
	for range writers {
		writing.Go(func() {
			for range each {
				id := uuid.New()
				if err := store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
					err := store.Events.Append(ctx, repo.AppendParams{ID: id, Type: []string{"wanted", "too"}[rand.N(2)]}, repo.AppendParams{Type: "other"})
					time.Sleep(rand.N(30 * time.Millisecond)) // transactions last, and end in another order
					return err
				}); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				written[id] = true
				mu.Unlock()
			}
		})
	}

	given := make(map[uuid.UUID]int)
	stops := 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(given) < writers*each && ctx.Err() == nil {
		var cursor repo.FollowCursor
		require.NoError(t, json.Unmarshal(stored, &cursor))
		params := repo.FollowParams{
			Cursor: &cursor, Overlap: 4 * time.Second, Interval: 5 * time.Millisecond,
			Filter: repo.EventListParams{Types: []string{"wanted", "too"}},
		}
		left := 1 + rand.N(20)
		for event, err := range store.Events.Follow(ctx, params) {
			require.NoError(t, err)
			given[event.ID]++
			cursor.Done(event)
			stored, err = json.Marshal(cursor)
			require.NoError(t, err)
			if left--; left == 0 || len(given) == writers*each {
				break
			}
		}
		stops++
	}
	writing.Wait()
	require.Greater(t, stops, 10)
	require.Len(t, given, len(written), "missed")
	for id, times := range given {
		require.True(t, written[id])
		require.Equal(t, 1, times, "repeated")
	}
}

func TestFollowCursorForgetsWhatIsSettled(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 2)
	for range 5 {
		appendTyped(t, store, "old")
	}
	repotest.Age(t, store, time.Hour)
	cursor := repo.FollowCursor{Settled: databaseNow(t, store).Add(-2 * time.Hour)}
	f := follow(t, store, repo.FollowParams{Cursor: &cursor, Interval: time.Millisecond})
	for range 5 {
		f.next("old")
	}
	appendTyped(t, store, "new")
	f.next("new")
	f.stop()
	require.LessOrEqual(t, len(cursor.Dealt), 1)
	require.WithinDuration(t, databaseNow(t, store).Add(-time.Minute), cursor.Settled, 30*time.Second)
}
