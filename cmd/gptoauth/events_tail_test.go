package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// tailed runs gptoauth events tail and hands on its lines. stop interrupts it and returns its exit code and stderr.
func tailed(t *testing.T, databaseURL string, line func(string), args ...string) (stop func() (int, string)) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	var stderr strings.Builder
	var code int
	var group errgroup.Group
	group.Go(func() error {
		code = run(ctx, append([]string{programName, "events", "tail"}, args...), strings.NewReader(""), writer, &stderr,
			func(name string) string { return map[string]string{databaseVariable: databaseURL}[name] })
		return writer.Close()
	})
	group.Go(func() error {
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			line(lines.Text())
		}
		return lines.Err()
	})
	stop = sync.OnceValues(func() (int, string) {
		interrupt()
		require.NoError(t, group.Wait())
		return code, stderr.String()
	})
	t.Cleanup(func() { stop() })
	return stop
}

// trailWriters append events in transactions that last differently long, so that they commit in an order that is not that of
// their events' times. Some roll back.
type trailWriters struct {
	store   *repo.Store
	longest time.Duration // that a transaction is held open

	mu        sync.Mutex
	committed map[uuid.UUID]time.Duration // how long it took from the event to its commit
	undone    map[uuid.UUID]bool
}

func (w *trailWriters) run(ctx context.Context, writers int, until time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	for range writers {
		group.Go(func() error {
			for time.Now().Before(until) {
				if err := w.write(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (w *trailWriters) write(ctx context.Context) error {
	tx, err := w.store.DB().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit there is nothing to roll back
	events := make([]repo.AppendParams, 1+rand.IntN(3))
	for i := range events {
		events[i] = repo.AppendParams{Type: "work", ID: uuid.New()}
	}
	begin := time.Now()
	if err := w.store.With(tx).Events.Append(ctx, events...); err != nil {
		return err
	}
	linger(ctx, w.longest)
	undo := rand.IntN(20) == 0
	if undo {
		err = tx.Rollback()
	} else {
		err = tx.Commit()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, event := range events {
		if undo {
			w.undone[event.ID] = true
		} else {
			w.committed[event.ID] = time.Since(begin)
		}
	}
	return err
}

// linger keeps a transaction open: most for milliseconds, a tenth for a while, a hundredth for as long as the longest.
func linger(ctx context.Context, longest time.Duration) {
	limit := 20 * time.Millisecond
	switch n := rand.IntN(100); {
	case n == 0:
		limit = longest
	case n < 10:
		limit = longest / 10
	}
	timer := time.NewTimer(rand.N(limit))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// tailMinute is the variable that makes TestTail last for a minute, with transactions of up to 40 seconds.
const tailMinute = "GPTOAUTH_TEST_TAIL_MINUTE"

// 50 writers commit in any order, and the program shows every event once and none that was undone.
func TestTailMissesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	const writers = 50
	lasts, overlap, longest := 5*time.Second, 40*time.Second, 8*time.Second
	if os.Getenv(tailMinute) != "" {
		lasts, overlap, longest = time.Minute, time.Minute, 40*time.Second
	}
	databaseURL := repotest.URL(t)
	db, err := repo.Open(t.Context(), databaseURL, repo.PoolConfig{MaxConns: writers, ConnectTimeout: time.Minute, ReadTimeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	store, err := repo.New(db, repo.Config{Timeout: time.Minute, StatementTimeout: time.Minute})
	require.NoError(t, err)

	var mu sync.Mutex
	shown, behind := make(map[uuid.UUID]int), 0
	var newest time.Time
	stop := tailed(t, databaseURL, func(line string) {
		var event trailEvent
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Errorf("%v: %s", err, line)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		shown[event.ID]++
		if event.CreatedAt.Before(newest) {
			behind++
		} else {
			newest = event.CreatedAt
		}
	}, "--json", "--since", "1m", "--interval", "100ms", "--overlap", overlap.String())

	w := &trailWriters{store: store, longest: longest, committed: make(map[uuid.UUID]time.Duration), undone: make(map[uuid.UUID]bool)}
	require.NoError(t, w.run(t.Context(), writers, time.Now().Add(lasts)))
	within := slices.Collect(func(yield func(uuid.UUID) bool) {
		for id, took := range w.committed {
			if took < overlap && !yield(id) {
				return
			}
		}
	})
	missed := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range within {
			if shown[id] == 0 {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return missed() == 0 }, overlap/4+30*time.Second, 100*time.Millisecond)
	code, stderr := stop()
	require.Equal(t, exitDone, code, stderr)
	require.Empty(t, stderr)
	require.Zero(t, missed())
	for id, times := range shown {
		require.Equal(t, 1, times, "repeated")
		require.False(t, w.undone[id], "shown and never committed")
	}
	slowest := slices.Max(slices.Collect(maps.Values(w.committed)))
	t.Logf("%d events of %d writers in %s, %d undone; the longest transaction took %s; %d were shown behind newer ones; %d took longer than the overlap",
		len(w.committed), writers, lasts, len(w.undone), slowest.Round(time.Millisecond), behind, len(w.committed)-len(within))
	require.Positive(t, behind, "they were committed in order, so that nothing was shown")
}

func TestTailPrintsLinesForPeople(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	lines := make(chan string, 100)
	stop := tailed(t, databaseURL, func(line string) { lines <- line }, "--since", "2026-03-01 13:00", "--type", "token_reuse", "--interval", "10ms")
	require.Equal(t, "2026-03-01 13:30:00Z  X  token_reuse       user_2ada                         "+
		"01990000-0000-7000-8000-00000051beef  203.0.113.66     session ends", <-lines)
	execIn(t, databaseURL, `INSERT INTO public.gpt_oauth_events (event_type, created_at) VALUES ('token_reuse', now())`)
	require.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  X  token_reuse +session ends$`, <-lines)
	code, stderr := stop()
	require.Equal(t, exitDone, code)
	require.Empty(t, stderr)
}

func TestTailEndsWhenItIsRefused(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	execIn(t, databaseURL, `DROP TABLE public.gpt_oauth_events`)
	o := gptoauth(t, databaseURL, "events", "tail")
	require.Equal(t, exitFailed, o.code)
	require.Contains(t, o.stderr, `gptoauth: events tail: Events.Follow: refused: `)
	require.NotContains(t, o.stderr, "going on")
}

func TestTailEndsWhenNobodyReads(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	var stderr strings.Builder
	code := run(t.Context(), []string{programName, "events", "tail", "--since", "2026-03-01"}, strings.NewReader(""), fullDisk{}, &stderr,
		func(name string) string { return map[string]string{databaseVariable: databaseURL}[name] })
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "no space left on device")
}
