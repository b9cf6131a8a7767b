package repo_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// watcher is an observer that keeps what it hears.
type watcher struct {
	mu    sync.Mutex
	heard []heard
	open  int // calls that have not ended
}

type heard struct {
	repo.Observation

	op, inside string // inside which call
}

type watchedKey struct{}

func (w *watcher) Begin(ctx context.Context, op string) (context.Context, func(repo.Observation)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	inside, _ := ctx.Value(watchedKey{}).(string)
	return context.WithValue(ctx, watchedKey{}, op), func(observation repo.Observation) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.open--
		w.heard = append(w.heard, heard{observation, op, inside})
	}
}

// take returns what was heard since the last time.
func (w *watcher) take() []heard {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.heard
	w.heard = nil
	return taken
}

// one is take for a single call.
func (w *watcher) one(t *testing.T) heard {
	t.Helper()
	taken := w.take()
	require.Len(t, taken, 1)
	return taken[0]
}

// TestEveryCallIsObserved goes by the methods that there are, so that no future one is forgotten.
func TestEveryCallIsObserved(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	store := repotest.CommittingStore(t, repo.Config{Observer: w}, 4)
	janitor := newJanitor(t, store, repo.JanitorConfig{Observer: w})
	calls := observedCalls()
	for _, method := range publicMethods() {
		if slices.Contains(unobserved, method) {
			continue
		}
		c, ok := calls[method]
		require.True(t, ok, "%s is new: an observer has to hear of it, unless it asks the database nothing", method)
		if c.op == "" {
			c.op = method
		}
		check := func(ctx context.Context, store *repo.Store) {
			s := scene{store, w, janitor, repotest.NewSession(t, store, repo.IssueParams{}, 1), repotest.NewCode(t, store, repo.IssueParams{})}
			w.take()
			outcome, err := c.call(ctx, s)
			require.NoError(t, err, method)
			var last heard
			for _, h := range w.take() {
				if h.op == c.op {
					last = h
				} else {
					require.Equal(t, c.op, h.inside, "%s: %s", method, h.op)
				}
			}
			require.Equal(t, c.op, last.op, "%s has not been observed", method)
			require.Equal(t, outcome, last.Outcome, method)
			require.NoError(t, last.Err, method)
			require.Equal(t, 1, last.Attempts, method)
		}
		check(t.Context(), store)
		if c.own {
			continue
		}
		require.NoError(t, store.DB().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			check(ctx, store.With(tx))
			return nil
		}))
		require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
			check(ctx, store)
			return nil
		}))
	}
	require.Zero(t, w.open)
	for method := range calls {
		require.Contains(t, publicMethods(), method)
	}
}

// TestObservationIsWhatTheCallerGets, whatever that is.
func TestObservationIsWhatTheCallerGets(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	store := repotest.Store(t, repo.Config{Observer: w})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	reused := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	unused := repotest.NewCode(t, store, repo.IssueParams{})
	ofAnother := session.Request(2)
	ofAnother.ClientID = "client_2"
	w.take()

	exchanging := func(params repo.ExchangeParams) func() repo.Outcome {
		return func() repo.Outcome { return exchange(t, store, params).Outcome }
	}
	rotating := func(params repo.RotateParams) func() repo.Outcome {
		return func() repo.Outcome { return rotate(t, store, params).Outcome }
	}
	for _, c := range []struct {
		call     func() repo.Outcome
		want     repo.Outcome
		attempts int
	}{
		{exchanging(repo.ExchangeParams{Code: "gptc_garbage"}), repo.Unknown, 0},
		{rotating(repo.RotateParams{RefreshToken: "gptr_garbage"}), repo.Unknown, 0},
		{rotating(ofAnother), repo.Mismatch, 1},
		{rotating(session.Request(1)), repo.Retried, 1},
		{rotating(session.Request(2)), repo.Rotated, 1},
		{exchanging(session.Code.Request()), repo.Replayed, 1},
		{rotating(session.Request(2)), repo.Ended, 1},
		{rotating(reused.Request(0)), repo.Reused, 1},
		{func() repo.Outcome {
			repotest.Age(t, store, time.Hour)
			return exchange(t, store, unused.Request()).Outcome
		}, repo.Expired, 1},
	} {
		require.Equal(t, c.want, c.call())
		seen := w.one(t)
		require.Equal(t, repo.Observation{Outcome: c.want, Attempts: c.attempts}, seen.Observation)
	}

	_, err := store.AuthCodes.Issue(t.Context(), repo.IssueParams{})
	require.ErrorAs(t, err, new(*repo.InputError))
	require.Equal(t, repo.Observation{Err: err}, w.one(t).Observation)
	_, err = store.Sessions.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, repo.ErrNotFound)
	require.Equal(t, repo.Observation{Err: err, Attempts: 1}, w.one(t).Observation)
	require.NoError(t, store.Events.Append(t.Context(), repo.AppendParams{Type: "a"}, repo.AppendParams{Type: "b"}))
	require.Equal(t, repo.Observation{Events: 2, Attempts: 1}, w.one(t).Observation)

	_, err = store.DB().ExecContext(t.Context(), "DROP FUNCTION gpt_rotate_refresh_token_v1")
	require.NoError(t, err)
	_, err = store.RefreshTokens.Rotate(t.Context(), reused.Request(2))
	var failure *repo.DatabaseError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "42883", failure.SQLState())
	require.Equal(t, repo.Observation{Err: err, Attempts: 1}, w.one(t).Observation)
}

// deafConn loses an answer when it is told to.
type deafConn struct {
	net.Conn

	lose *atomic.Bool
}

func (c deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.lose.CompareAndSwap(true, false) {
		return 0, io.EOF
	}
	return n, err
}

func TestObservationCountsAttempts(t *testing.T) {
	t.Parallel()
	var lose atomic.Bool
	w := &watcher{}
	sqlDB := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(repotest.URL(t)), func(c *pgdriver.Config) {
		c.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return deafConn{conn, &lose}, err
		}
		c.TLSConfig = nil // the server of the tests is on this machine
	}))
	defer sqlDB.Close()
	sqlDB.SetMaxOpenConns(1)
	store, err := repo.New(bun.NewDB(sqlDB, pgdialect.New()), repo.Config{Observer: w})
	require.NoError(t, err)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	w.take()

	lose.Store(true)
	require.Equal(t, repo.Rotated, rotate(t, store, session.Request(0)).Outcome)
	require.Equal(t, repo.Observation{Outcome: repo.Rotated, Attempts: 2}, w.one(t).Observation)
	lose.Store(true)
	_, err = store.Sessions.Get(t.Context(), session.SessionID)
	require.NoError(t, err)
	require.Equal(t, repo.Observation{Attempts: 2}, w.one(t).Observation)
}

// TestObserverIsInTheContext of the statements, so that whatever traces them finds the call around them.
func TestObserverIsInTheContext(t *testing.T) {
	t.Parallel()
	inside := &contexts{}
	db := repotest.DB(t).WithQueryHook(inside)
	store, err := repo.New(db, repo.Config{Observer: &watcher{}})
	require.NoError(t, err)
	_, err = store.Sessions.Active(t.Context(), uuid.New())
	require.NoError(t, err)
	_, err = store.Sessions.Touch(t.Context(), uuid.New())
	require.NoError(t, err)
	require.Equal(t, []any{"Sessions.Active", "Sessions.Touch"}, inside.calls)

	janitor, err := repo.NewJanitor(db, repo.JanitorConfig{Observer: &watcher{}})
	require.NoError(t, err)
	inside.calls = nil
	_, err = janitor.Purge(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, inside.calls)
	for _, call := range inside.calls {
		require.Equal(t, "Janitor.Batch", call)
	}
}

// contexts is a query hook that notes inside which call a statement is.
type contexts struct{ calls []any }

func (c *contexts) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context {
	c.calls = append(c.calls, ctx.Value(watchedKey{}))
	return ctx
}

func (*contexts) AfterQuery(context.Context, *bun.QueryEvent) {}

func TestInTxIsObservedHoweverItEnds(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	store := repotest.CommittingStore(t, repo.Config{Observer: w}, 1)
	inTx := func(fn func() error) error {
		return store.InTx(t.Context(), func(context.Context, *repo.Store, bun.Tx) error { return fn() })
	}

	undone := errors.New("undone")
	require.ErrorIs(t, inTx(func() error { return undone }), undone)
	require.Equal(t, repo.Observation{Err: undone, Attempts: 1}, w.one(t).Observation)

	require.PanicsWithValue(t, "boom", func() { _ = inTx(func() error { panic("boom") }) })
	require.ErrorContains(t, w.one(t).Err, "has not returned")

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = inTx(func() error { runtime.Goexit(); return nil })
	}()
	<-ended
	require.ErrorContains(t, w.one(t).Err, "has not returned")

	require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		return second(store.EndUser(ctx, "user_1", "offboarding"))
	}))
	calls := w.take()
	require.Len(t, calls, 2)
	require.Equal(t, "Store.EndUser", calls[0].op)
	require.Equal(t, "Store.InTx", calls[0].inside)
	require.Zero(t, w.open)
}

// TestAPanicOfOnSecurityEventIsObserved, in the call that found it or after the commit, with what was found.
func TestAPanicOfOnSecurityEventIsObserved(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	panics := false
	store := repotest.CommittingStore(t, repo.Config{Observer: w, OnSecurityEvent: func(context.Context, repo.SecurityEvent) {
		if panics {
			panic("boom")
		}
	}}, 2)
	stolen := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	replayed := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	inTx := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	w.take()

	panics = true
	require.PanicsWithValue(t, "boom", func() { _, _ = store.RefreshTokens.Rotate(t.Context(), stolen.Request(0)) })
	seen := w.one(t)
	require.ErrorContains(t, seen.Err, "has not returned")
	require.Equal(t, repo.Reused, seen.Outcome, "which is true all the same")
	require.PanicsWithValue(t, "boom", func() { _, _ = store.AuthCodes.Exchange(t.Context(), replayed.Code.Request()) })
	require.ErrorContains(t, w.one(t).Err, "has not returned")
	reuse := func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		return second(store.RefreshTokens.Rotate(ctx, inTx.Request(0)))
	}
	require.PanicsWithValue(t, "boom", func() { _ = store.InTx(t.Context(), reuse) })
	calls := w.take()
	require.Len(t, calls, 2)
	require.NoError(t, calls[0].Err)
	require.ErrorContains(t, calls[1].Err, "has not returned")

	panics = false
	again := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	w.take()
	require.Equal(t, repo.Reused, rotate(t, store, again.Request(0)).Outcome)
	require.Equal(t, repo.Observation{Outcome: repo.Reused, Attempts: 1}, w.one(t).Observation)
}

// panicking is an observer that is broken.
type panicking struct{ inBegin bool }

func (p *panicking) Begin(ctx context.Context, _ string) (context.Context, func(repo.Observation)) {
	if p.inBegin {
		panic("begin")
	}
	return ctx, func(repo.Observation) { panic("end") }
}

// TestABrokenObserverPanicsInTheCaller, and takes neither the connection nor what was done with it.
func TestABrokenObserverPanicsInTheCaller(t *testing.T) {
	t.Parallel()
	dsn := repotest.URL(t)
	observer := &panicking{}
	broken, err := repo.New(open(t, dsn, repo.PoolConfig{MaxConns: 1}), repo.Config{Observer: observer})
	require.NoError(t, err)
	store, err := repo.New(open(t, dsn, repo.PoolConfig{}), repo.Config{})
	require.NoError(t, err)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	endIt := func() {
		_, _ = broken.Sessions.End(t.Context(), repo.EndParams{SessionID: session.SessionID, Reason: "sign_out"})
	}
	observer.inBegin = true
	require.PanicsWithValue(t, "begin", endIt)
	requireAlive(t, store, session.SessionID, true)
	observer.inBegin = false
	require.PanicsWithValue(t, "end", endIt)
	requireAlive(t, store, session.SessionID, false)
	require.PanicsWithValue(t, "end", endIt, "the one connection is free")
}

// deaf is an observer that does not want to know how a call ends.
type deaf struct{}

func (deaf) Begin(ctx context.Context, _ string) (context.Context, func(repo.Observation)) {
	return ctx, nil
}

func TestObserverNeedNotListen(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{Observer: deaf{}})
	repotest.NewSession(t, store, repo.IssueParams{}, 1)
}

func TestBatchesOfARecorderAreObserved(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	store := repotest.CommittingStore(t, repo.Config{Observer: w}, 2)
	recorder := newRecorder(t, store, repo.RecorderConfig{Batch: 10, Writers: 2})
	for i := range 35 {
		require.NoError(t, recorder.Record(t.Context(), jobSearch(i)))
	}
	require.NoError(t, recorder.Close(t.Context()))
	written := 0
	for _, batch := range w.take() {
		require.Equal(t, "Recorder", batch.op)
		require.NoError(t, batch.Err)
		require.LessOrEqual(t, batch.Events, 10)
		written += batch.Events
	}
	require.Equal(t, 35, written)
}
