package repo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

// BenchmarkRecorder compares the recorder with single appends on a server that syncs every commit: each iteration takes
// each way once, so that whatever else the machine does hits all alike. It reports the medians, in events a second.
func BenchmarkRecorder(b *testing.B) {
	server, err := privatepg.Start(b.Context(), privatepg.Options{Settings: map[string]string{"fsync": "on"}})
	require.NoError(b, err)
	b.Cleanup(func() { _ = server.Stop(context.WithoutCancel(b.Context())) })
	db, err := repo.Open(b.Context(), server.URL("postgres"), repo.PoolConfig{MaxConns: 16})
	require.NoError(b, err)
	b.Cleanup(func() { _ = db.Close() })
	require.NoError(b, migrations.Up(b.Context(), db))
	store, err := repo.New(db, repo.Config{})
	require.NoError(b, err)

	ways := []struct {
		name string
		do   func(b *testing.B, store *repo.Store) int
	}{
		{"append-1", appending(1, 300)},
		{"append-16", appending(16, 100)},
		{"writers-1", recording(repo.RecorderConfig{Writers: 1})},
		{"writers-2", recording(repo.RecorderConfig{Writers: 2})},
		{"writers-4", recording(repo.RecorderConfig{})},
		{"batch-100", recording(repo.RecorderConfig{Writers: 2, Batch: 100})},
	}
	rates := make([][]float64, len(ways))
	for b.Loop() {
		for i, way := range ways {
			_, err := db.ExecContext(b.Context(), "CHECKPOINT") // none begins with the debts of the one before
			require.NoError(b, err)
			started := time.Now()
			events := way.do(b, store)
			rates[i] = append(rates[i], float64(events)/time.Since(started).Seconds())
		}
	}
	for i, way := range ways {
		slices.Sort(rates[i])
		b.ReportMetric(rates[i][len(rates[i])/2], way.name+"/s")
	}
}

// jobSearch is an event as a GPT's action causes it, of one of ten thousand people.
func jobSearch(i int) repo.AppendParams {
	return repo.AppendParams{
		Type:        "job_search",
		ClerkUserID: fmt.Sprintf("user_2aBcDeFgHiJkLmNoPqRsTuV%04d", i%10_000),
		ClientID:    "client_1",
		Metadata:    json.RawMessage(fmt.Sprintf(`{"query": "gopher %d", "results": 17}`, i)),
		IPAddress:   address,
	}
}

func appending(clients, each int) func(b *testing.B, store *repo.Store) int {
	return func(b *testing.B, store *repo.Store) int {
		b.Helper()
		group, ctx := errgroup.WithContext(b.Context())
		for client := range clients {
			group.Go(func() error {
				for i := range each {
					if err := store.Events.Append(ctx, jobSearch(client*each+i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		require.NoError(b, group.Wait())
		return clients * each
	}
}

// recording counts the time until all is written.
func recording(config repo.RecorderConfig) func(b *testing.B, store *repo.Store) int {
	return func(b *testing.B, store *repo.Store) int {
		b.Helper()
		const clients, each = 4, 15_000
		recorder, err := store.Events.Recorder(config)
		require.NoError(b, err)
		group, ctx := errgroup.WithContext(b.Context())
		for client := range clients {
			group.Go(func() error {
				for i := range each {
					if err := recorder.Record(ctx, jobSearch(client*each+i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		require.NoError(b, group.Wait())
		require.NoError(b, recorder.Close(b.Context()))
		require.EqualValues(b, clients*each, recorder.Stats().Written)
		return clients * each
	}
}
