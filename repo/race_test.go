package repo_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const racers = 64

// race runs f in many goroutines that start together.
func race(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// TestRaceExchange: a code is spent once, and every loser is told that it was a replay.
func TestRaceExchange(t *testing.T) {
	t.Parallel()
	codes := 2000
	if testing.Short() {
		codes = 100
	}
	store := repotest.CommittingStore(t, repo.Config{}, racers)
	for range codes {
		code := repotest.NewCode(t, store, repo.IssueParams{})
		var outcomes sync.Map
		var exchanged, replayed atomic.Int32
		race(racers, func(i int) {
			result, err := store.AuthCodes.Exchange(t.Context(), code.Request())
			switch {
			case err != nil:
				outcomes.Store(i, err.Error())
			case result.Outcome == repo.Exchanged:
				exchanged.Add(1)
			case result.Outcome == repo.Replayed:
				replayed.Add(1)
			default:
				outcomes.Store(i, result.Outcome)
			}
		})
		require.Equal(t, [2]int32{1, racers - 1}, [2]int32{exchanged.Load(), replayed.Load()}, "others: %v", &outcomes)
	}
	require.Equal(t, codes, count(t, store, "gpt_sessions", "TRUE"))
	require.Equal(t, codes, count(t, store, "gpt_refresh_tokens", "TRUE"))
	require.Equal(t, codes, count(t, store, "gpt_sessions", "end_reason = 'code_replay'"), "a replay ends what the code gave")
	require.Equal(t, codes*(racers-1), count(t, store, "gpt_oauth_events", "event_type = 'code_replay'"))
}

// TestRaceRefresh: clients that refresh in parallel get the same successor, all of them.
func TestRaceRefresh(t *testing.T) {
	t.Parallel()
	const parallel = 20
	store := repotest.CommittingStore(t, repo.Config{}, parallel)
	for range 50 {
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		results := make([]repo.RotateResult, parallel)
		race(parallel, func(i int) {
			result, err := store.RefreshTokens.Rotate(t.Context(), session.Request(0))
			if err != nil {
				t.Error(err)
			}
			results[i] = result
		})
		rotated := 0
		for _, result := range results {
			require.NoError(t, result.Err())
			require.Equal(t, results[0].RefreshToken, result.RefreshToken)
			require.NotEmpty(t, result.RefreshToken)
			if result.Outcome == repo.Rotated {
				rotated++
			}
		}
		require.Equal(t, 1, rotated)
		require.Equal(t, 2, count(t, store, "gpt_refresh_tokens", "session_id = ?", session.SessionID))
		require.Equal(t, parallel-1, get(t, store, session.SessionID).Retries)
		require.Equal(t, repo.Rotated, rotate(t, store, repo.RotateParams{RefreshToken: string(results[0].RefreshToken), ClientID: "client_1"}).Outcome)
	}
}

// family is what a contender of TestRaceEnd is given: a session of three generations.
type family struct {
	store   *repo.Store
	session repotest.Session
	handed  sync.Map // every token that a rotation has handed out
}

// contender is an implementation of rotating and ending.
type contender struct {
	rotate func(ctx context.Context, f *family, generation int) error
	end    func(ctx context.Context, f *family) error
	usable func(ctx context.Context, f *family) (bool, error) // does any token still buy one?
}

var functions = contender{
	rotate: func(ctx context.Context, f *family, generation int) error {
		result, err := f.store.RefreshTokens.Rotate(ctx, f.session.Request(generation))
		if err == nil && result.Err() == nil {
			f.handed.Store(string(result.RefreshToken), true)
		}
		return err
	},
	end: func(ctx context.Context, f *family) error {
		_, err := f.store.Sessions.End(ctx, repo.EndParams{SessionID: f.session.SessionID, Reason: "race"})
		return err
	},
	usable: func(ctx context.Context, f *family) (usable bool, err error) {
		for _, token := range f.session.Tokens {
			f.handed.Store(token, true)
		}
		f.handed.Range(func(token, _ any) bool {
			var result repo.RotateResult
			result, err = f.store.RefreshTokens.Rotate(ctx, repo.RotateParams{RefreshToken: token.(string), ClientID: "client_1"})
			usable = usable || result.Err() == nil
			return err == nil
		})
		return usable, err
	},
}

// naive locks and reads in one statement, as one would write it at first: the lock is waited for, but what the statement
// then reads is from before, so that a token born meanwhile is not seen.
var naive = contender{
	rotate: func(ctx context.Context, f *family, generation int) error {
		_, err := f.store.DB().ExecContext(ctx, `
			WITH locked AS (SELECT id FROM gpt_sessions WHERE id = ?0 FOR UPDATE),
			spent AS (
				UPDATE gpt_refresh_tokens AS t SET revoked_at = now() FROM locked
				 WHERE t.session_id = locked.id AND t.token_hash = encode(sha256(?1), 'hex') AND t.revoked_at IS NULL
				RETURNING t.clerk_user_id
			)
			INSERT INTO gpt_refresh_tokens (token_hash, clerk_user_id, session_id, expires_at)
			SELECT ?2, clerk_user_id, ?0, now() + interval '1 day' FROM spent`,
			f.session.SessionID, []byte(f.session.Tokens[generation]), rand.Text())
		return err
	},
	end: func(ctx context.Context, f *family) error {
		_, err := f.store.DB().ExecContext(ctx, `
			WITH locked AS (SELECT id FROM gpt_sessions WHERE id = ? FOR UPDATE)
			UPDATE gpt_refresh_tokens AS t SET revoked_at = now() FROM locked WHERE t.session_id = locked.id AND t.revoked_at IS NULL`,
			f.session.SessionID)
		return err
	},
	usable: func(ctx context.Context, f *family) (usable bool, err error) {
		err = f.store.DB().QueryRowContext(ctx, `
			SELECT EXISTS (SELECT FROM gpt_refresh_tokens WHERE session_id = ? AND revoked_at IS NULL)`, f.session.SessionID).Scan(&usable)
		return usable, err
	},
}

// survivors races rotations of the current token against ways to end its family, and counts the families that keep a
// usable token although they were ended.
func survivors(t *testing.T, c contender, families int, enders ...func(ctx context.Context, f *family) error) int {
	t.Helper()
	const contestants = 8
	store := repotest.CommittingStore(t, repo.Config{}, racers)
	var survived, next atomic.Int32
	race(racers/contestants, func(int) {
		for next.Add(1) <= int32(families) && !t.Failed() {
			f := &family{store: store, session: repotest.NewSession(t, store, repo.IssueParams{}, 2)}
			race(contestants, func(i int) {
				var err error
				if i < len(enders) {
					err = enders[i](t.Context(), f)
				} else {
					err = c.rotate(t.Context(), f, 2)
				}
				if err != nil {
					t.Error(err)
				}
			})
			usable, err := c.usable(t.Context(), f)
			if err != nil {
				t.Error(err)
			}
			if usable {
				survived.Add(1)
			}
		}
	})
	return int(survived.Load())
}

// TestRaceEnd: however an end and rotations interleave, an ended family keeps no usable token.
func TestRaceEnd(t *testing.T) {
	t.Parallel()
	families := 500
	if testing.Short() {
		families = 50
	}
	reuse := func(ctx context.Context, f *family) error { return functions.rotate(ctx, f, 0) }
	endUser := func(ctx context.Context, f *family) error {
		_, err := f.store.EndUser(ctx, f.session.ClerkUserID, "race")
		return err
	}
	for name, enders := range map[string][]func(context.Context, *family) error{
		"Reuse":   {reuse},
		"End":     {functions.end},
		"EndUser": {endUser},
		"All":     {reuse, functions.end, endUser},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Zero(t, survivors(t, functions, families, enders...))
		})
	}
	t.Run("NaiveIsCaught", func(t *testing.T) {
		t.Parallel()
		for range 20 { // on a machine that has no time for races, one round may have none
			if survivors(t, naive, families, naive.end) > 0 {
				return
			}
		}
		t.Error("the test cannot tell right from wrong")
	})
}

// TestRaceEndUserAndExchange: a code issued before EndUser gives either nothing or a session that EndUser ends.
func TestRaceEndUserAndExchange(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, racers)
	for range 200 {
		user := repotest.NewUserID()
		codes := make([]repotest.Code, 8)
		for i := range codes {
			codes[i] = repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: user})
		}
		race(len(codes)+1, func(i int) {
			var err error
			if i < len(codes) {
				_, err = store.AuthCodes.Exchange(t.Context(), codes[i].Request())
			} else {
				_, err = store.EndUser(t.Context(), user, "offboarded")
			}
			if err != nil {
				t.Error(err)
			}
		})
		page, err := store.Sessions.List(t.Context(), repo.SessionListParams{ClerkUserID: user})
		require.NoError(t, err)
		for _, session := range page.Sessions {
			require.False(t, session.Alive)
		}
	}
}

// TestForcedSchedules holds one transaction open at each lock, so that the other call is seen to wait for it, and to
// answer by what it finds afterwards. No luck involved.
func TestForcedSchedules(t *testing.T) {
	t.Parallel()
	end := func(ctx context.Context, store *repo.Store, s repotest.Session) (string, error) {
		result, err := store.Sessions.End(ctx, repo.EndParams{SessionID: s.SessionID, Reason: "race"})
		return strconv.Itoa(result.Sessions), err
	}
	endUser := func(ctx context.Context, store *repo.Store, s repotest.Session) (string, error) {
		result, err := store.EndUser(ctx, s.ClerkUserID, "race")
		return strconv.Itoa(result.Sessions), err
	}
	rotate := func(generation int) func(context.Context, *repo.Store, repotest.Session) (string, error) {
		return func(ctx context.Context, store *repo.Store, s repotest.Session) (string, error) {
			result, err := store.RefreshTokens.Rotate(ctx, s.Request(generation))
			return string(result.Outcome), err
		}
	}
	replay := func(ctx context.Context, store *repo.Store, s repotest.Session) (string, error) {
		result, err := store.AuthCodes.Exchange(ctx, s.Code.Request())
		return string(result.Outcome), err
	}
	revoke := func(ctx context.Context, store *repo.Store, s repotest.Session) (string, error) {
		result, err := store.RefreshTokens.Revoke(ctx, repo.RevokeParams{RefreshToken: s.Tokens[0], ClientID: "client_1"})
		return string(result.Outcome), err
	}

	for _, tc := range []struct {
		name          string
		first, second func(context.Context, *repo.Store, repotest.Session) (string, error)
		want          [2]string
		alive         bool
	}{
		{"RotateThenEnd", rotate(2), end, [2]string{"rotated", "1"}, false},
		{"RotateThenEndUser", rotate(2), endUser, [2]string{"rotated", "1"}, false},
		{"RotateThenReuse", rotate(2), rotate(0), [2]string{"rotated", "reused"}, false},
		{"RotateThenRotate", rotate(2), rotate(2), [2]string{"rotated", "retried"}, true},
		{"RotateThenPredecessor", rotate(2), rotate(1), [2]string{"rotated", "reused"}, false},
		{"RotateThenRevoke", rotate(2), revoke, [2]string{"rotated", "revoked"}, false},
		{"RotateThenReplay", rotate(2), replay, [2]string{"rotated", "replayed"}, false},
		{"EndThenRotate", end, rotate(2), [2]string{"1", "ended"}, false},
		{"EndThenEndUser", end, endUser, [2]string{"1", "0"}, false},
		{"EndUserThenRotate", endUser, rotate(2), [2]string{"1", "ended"}, false},
		{"EndUserThenReplay", endUser, replay, [2]string{"1", "replayed"}, false},
		{"ReuseThenRotate", rotate(0), rotate(2), [2]string{"reused", "ended"}, false},
		{"ReuseThenEnd", rotate(0), end, [2]string{"reused", "0"}, false},
		{"ReplayThenRotate", replay, rotate(2), [2]string{"replayed", "ended"}, false},
		{"RevokeThenRotate", revoke, rotate(2), [2]string{"revoked", "ended"}, false},
		{"PredecessorThenRotate", rotate(1), rotate(2), [2]string{"retried", "rotated"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			store := repotest.CommittingStore(t, repo.Config{}, 3)
			session := repotest.NewSession(t, store, repo.IssueParams{}, 2)

			tx, err := store.DB().BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer tx.Rollback() // committed below
			first, err := tc.first(t.Context(), store.With(tx), session)
			require.NoError(t, err)

			second := make(chan string, 1)
			go func() {
				outcome, err := tc.second(t.Context(), store, session)
				if err != nil {
					outcome = err.Error()
				}
				second <- outcome
			}()
			awaitWaiter(t, store)
			require.NoError(t, tx.Commit())

			require.Equal(t, tc.want, [2]string{first, <-second})
			require.Equal(t, tc.alive, get(t, store, session.SessionID).Alive)
			require.Equal(t, boolToInt(tc.alive), count(t, store, "gpt_refresh_tokens", "revoked_at IS NULL"), "living tokens")
		})
	}
}

// TestForcedExchange is TestForcedSchedules for the lock on the code.
func TestForcedExchange(t *testing.T) {
	t.Parallel()
	exchange := func(ctx context.Context, store *repo.Store, code repotest.Code) (string, error) {
		result, err := store.AuthCodes.Exchange(ctx, code.Request())
		return string(result.Outcome), err
	}
	endUser := func(ctx context.Context, store *repo.Store, code repotest.Code) (string, error) {
		result, err := store.EndUser(ctx, code.Issued.ClerkUserID, "race")
		return fmt.Sprint(result), err
	}
	for _, tc := range []struct {
		name          string
		first, second func(context.Context, *repo.Store, repotest.Code) (string, error)
		want          [2]string
	}{
		{"ExchangeThenExchange", exchange, exchange, [2]string{"exchanged", "replayed"}},
		{"ExchangeThenEndUser", exchange, endUser, [2]string{"exchanged", "{0 1}"}},
		{"EndUserThenExchange", endUser, exchange, [2]string{"{1 0}", "expired"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			store := repotest.CommittingStore(t, repo.Config{}, 3)
			code := repotest.NewCode(t, store, repo.IssueParams{})
			tx, err := store.DB().BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer tx.Rollback() // committed below
			first, err := tc.first(t.Context(), store.With(tx), code)
			require.NoError(t, err)
			second := make(chan string, 1)
			go func() {
				outcome, err := tc.second(t.Context(), store, code)
				if err != nil {
					outcome = err.Error()
				}
				second <- outcome
			}()
			awaitWaiter(t, store)
			require.NoError(t, tx.Commit())
			require.Equal(t, tc.want, [2]string{first, <-second})
			require.Zero(t, count(t, store, "gpt_refresh_tokens", "revoked_at IS NULL"), "living tokens")
		})
	}
}

// awaitWaiter returns when a backend of the test's database waits for a lock.
func awaitWaiter(t *testing.T, store *repo.Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting bool
		err := store.DB().QueryRowContext(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waiting)
		return err == nil && waiting
	}, 10*time.Second, time.Millisecond)
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
