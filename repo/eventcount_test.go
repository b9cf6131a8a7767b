package repo_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// appended writes n events and lets d pass.
func appended(t *testing.T, store *repo.Store, n int, event repo.AppendParams, d time.Duration) {
	t.Helper()
	events := make([]repo.AppendParams, n)
	for i := range events {
		events[i] = event
	}
	require.NoError(t, store.Events.Append(t.Context(), events...))
	repotest.Age(t, store, d)
}

func TestEventsListByIPAddress(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	user := repotest.NewUserID()
	appended(t, store, 2, repo.AppendParams{Type: "search", ClerkUserID: user, IPAddress: netip.MustParseAddr("192.0.2.1")}, 0)
	appended(t, store, 1, repo.AppendParams{Type: "search", ClerkUserID: user, IPAddress: netip.MustParseAddr("192.0.2.10")}, 0)
	for address, want := range map[string]int{"192.0.2.1": 2, "::ffff:192.0.2.1": 2, "192.0.2.10": 1, "192.0.2.2": 0} {
		page, err := store.Events.List(t.Context(), repo.EventListParams{ClerkUserID: user, IPAddress: netip.MustParseAddr(address)})
		require.NoError(t, err)
		require.Len(t, page.Events, want, address)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()

	t.Run("TellsTheMostFrequentApart", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		user := repotest.NewUserID()
		for eventType, n := range map[string]int{"a": 3, "b": 5, "c": 2, "d": 2} {
			appended(t, store, n, repo.AppendParams{Type: eventType, ClerkUserID: user}, 0)
		}
		counts, err := store.Events.Count(t.Context(), repo.EventCountParams{Filter: repo.EventListParams{ClerkUserID: user}, Top: 2})
		require.NoError(t, err)
		require.Equal(t, []repo.EventCount{{Value: "b", Events: 5}, {Value: "a", Events: 3}, {Others: true, Events: 4}}, counts)
	})

	t.Run("CountsBucketByBucket", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		user := repotest.NewUserID()
		appended(t, store, 2, repo.AppendParams{Type: "a", ClerkUserID: user}, 2*time.Hour)
		appended(t, store, 1, repo.AppendParams{Type: "a", ClerkUserID: user}, 0)
		appended(t, store, 1, repo.AppendParams{Type: "b", ClerkUserID: user}, time.Hour)
		last := databaseNow(t, store).Add(-time.Hour).UTC().Truncate(time.Hour)
		counts, err := store.Events.Count(t.Context(), repo.EventCountParams{Filter: repo.EventListParams{ClerkUserID: user}, Bucket: time.Hour})
		require.NoError(t, err)
		for i := range counts {
			counts[i].Begin = counts[i].Begin.UTC()
		}
		require.Equal(t, []repo.EventCount{
			{Value: "a", Begin: last.Add(-2 * time.Hour), Events: 2},
			{Value: "a", Begin: last, Events: 1},
			{Value: "b", Begin: last, Events: 1},
		}, counts)
	})

	t.Run("CountsByEveryField", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		user := repotest.NewUserID()
		appended(t, store, 2, repo.AppendParams{
			Type: "a", ClerkUserID: user, ClientID: "client", IPAddress: netip.MustParseAddr("192.0.2.1"),
		}, 0)
		appended(t, store, 1, repo.AppendParams{Type: "a", ClerkUserID: user}, 0)
		for field, want := range map[repo.EventField][]repo.EventCount{
			repo.ByType:      {{Value: "a", Events: 3}},
			repo.ByUser:      {{Value: user, Events: 3}},
			repo.ByClient:    {{Value: "client", Events: 2}, {Events: 1}},
			repo.ByIPAddress: {{Value: "192.0.2.1", Events: 2}, {Events: 1}},
		} {
			counts, err := store.Events.Count(t.Context(), repo.EventCountParams{Filter: repo.EventListParams{ClerkUserID: user}, By: field})
			require.NoError(t, err)
			require.Equal(t, want, counts, field)
		}
	})

	t.Run("RefusesBadParams", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		for field, params := range map[string]repo.EventCountParams{
			"EventCountParams.Filter": {Filter: repo.EventListParams{Limit: 1}},
			"EventListParams.Type":    {Filter: repo.EventListParams{Type: "\xff"}},
			"EventCountParams.By":     {By: "metadata"},
			"EventCountParams.Bucket": {Bucket: 1500 * time.Millisecond},
			"EventCountParams.Top":    {Top: -1},
		} {
			_, err := store.Events.Count(t.Context(), params)
			var input *repo.InputError
			require.ErrorAs(t, err, &input)
			require.Equal(t, field, input.Field)
		}
	})
}
