package faulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// cutters is how many connections are cut at the same time, each at a byte of its own.
const cutters = 4

// conversation is a call whose answer may get lost.
type conversation struct {
	name    string
	prepare func(t testing.TB, direct *repo.Store) repotest.Session
	call    func(ctx context.Context, store *repo.Store, session repotest.Session) (repo.Outcome, repo.Grant, error)
	want    repo.Outcome
	naive   func(ctx context.Context, store *repo.Store, session repotest.Session) (repo.Outcome, error)
	caught  repo.Outcome // what the naive one does to itself
}

var conversations = []conversation{
	{
		name: "Exchange",
		prepare: func(t testing.TB, direct *repo.Store) repotest.Session {
			return repotest.Session{Code: repotest.NewCode(t, direct, repo.IssueParams{})}
		},
		call: func(ctx context.Context, store *repo.Store, session repotest.Session) (repo.Outcome, repo.Grant, error) {
			result, err := store.AuthCodes.Exchange(ctx, session.Code.Request())
			return result.Outcome, result.Grant, err
		},
		want: repo.Exchanged,
		naive: func(ctx context.Context, store *repo.Store, session repotest.Session) (repo.Outcome, error) {
			result, err := naive{store}.exchange(ctx, session.Code.Request())
			return result.Outcome, err
		},
		caught: repo.Replayed,
	},
	{
		name: "Rotate",
		prepare: func(t testing.TB, direct *repo.Store) repotest.Session {
			return repotest.NewSession(t, direct, repo.IssueParams{}, 1)
		},
		call: func(ctx context.Context, store *repo.Store, session repotest.Session) (repo.Outcome, repo.Grant, error) {
			result, err := store.RefreshTokens.Rotate(ctx, session.Request(1))
			return result.Outcome, result.Grant, err
		},
		want: repo.Rotated,
		naive: func(ctx context.Context, store *repo.Store, session repotest.Session) (repo.Outcome, error) {
			result, err := naive{store}.rotate(ctx, session.Request(1))
			return result.Outcome, err
		},
		caught: repo.Reused,
	},
}

// TestCutAtEveryByte cuts the connection once at every byte of what is said in a call, in both directions. The connection was
// there before, so that the bytes are those of the call. Whatever the byte, the caller gets the answer, and what it says is
// in the database, once. (The fast form takes every fourth byte, beginning with one by chance.)
func TestCutAtEveryByte(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			direct := openDirect(t, databaseOf(server))
			lengths := c.measure(t, server, direct)
			emptyTables(t, direct)
			cuts, calls := 0, 0
			for _, d := range []direction{upstream, downstream} {
				made := c.cutAtEach(t, server, direct, d, positions(t, lengths[d]))
				for _, cut := range made {
					calls++
					if cut {
						cuts++
					}
				}
			}
			t.Logf("%d calls, %d bytes to the server and %d back, cut at %d places", calls, lengths[upstream], lengths[downstream], cuts)
			// An answer is sometimes a few bytes shorter, for times end in zeros that are not written.
			require.GreaterOrEqual(t, cuts, calls-20)
			found, err := contradictions(t.Context(), direct)
			require.NoError(t, err)
			require.Empty(t, found)
			theft, err := appendTheft(t.Context(), direct, nil)
			require.NoError(t, err)
			require.Empty(t, theft)
		})
	}
}

// TestNaiveCutAtTheAnswer is the negative control: the server has got everything, and the answer is cut.
func TestNaiveCutAtTheAnswer(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	direct := openDirect(t, databaseOf(server))
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			relay, dsn := startRelay(t, databaseOf(server))
			store := openPool(t, dsn, patient, repo.PoolConfig{MaxConns: 1})
			session := c.prepare(t, direct)
			relay.arm(downstream, 0)
			outcome, err := c.naive(t.Context(), store, session)
			require.NoError(t, err)
			require.Equal(t, c.caught, outcome, "the test cannot tell right from wrong")
		})
	}
}

// measure says how long a conversation is.
func (c conversation) measure(t *testing.T, server *privatepg.Server, direct *repo.Store) map[direction]int {
	t.Helper()
	relay, dsn := startRelay(t, databaseOf(server))
	store := openPool(t, dsn, patient, repo.PoolConfig{MaxConns: 1})
	session := c.prepare(t, direct)
	relay.arm(upstream, 1<<20)
	outcome, _, err := c.call(t.Context(), store, session)
	require.NoError(t, err)
	require.Equal(t, c.want, outcome)
	made, passed := relay.disarm()
	require.False(t, made)
	require.Greater(t, passed[upstream], 300)
	require.Greater(t, passed[downstream], 200)
	return passed
}

// positions lists the bytes to cut at, the one after the last included: everything was said, and then it was cut.
func positions(t *testing.T, length int) (at []int) {
	t.Helper()
	step, first := 1, 0
	if rounds(t) < longForm {
		step = 4
		first = rand.IntN(step)
	}
	for p := first; p < length; p += step {
		at = append(at, p)
	}
	return append(at, length)
}

// cutAtEach makes one call for each position, and says which conversations were cut.
func (c conversation) cutAtEach(t *testing.T, server *privatepg.Server, direct *repo.Store, d direction, positions []int) []bool {
	t.Helper()
	made := make([]bool, len(positions))
	group, ctx := errgroup.WithContext(t.Context())
	for cutter := range cutters {
		relay, dsn := startRelay(t, databaseOf(server))
		store := openPool(t, dsn, patient, repo.PoolConfig{MaxConns: 1, ConnectTimeout: 30 * time.Second})
		group.Go(func() (err error) {
			for i := cutter; i < len(positions); i += cutters {
				session := c.prepare(t, direct)
				if made[i], err = c.cutAt(ctx, relay, store, direct, session, d, positions[i]); err != nil {
					return fmt.Errorf("cut at byte %d %s: %w", positions[i], d, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	return made
}

func (c conversation) cutAt(ctx context.Context, relay *relay, store, direct *repo.Store, session repotest.Session, d direction, at int) (bool, error) {
	if _, err := store.DB().ExecContext(ctx, "SELECT 1"); err != nil { // the call finds a connection that works
		return false, err
	}
	relay.arm(d, at)
	outcome, grant, err := c.call(ctx, store, session)
	made, _ := relay.disarm()
	if err != nil {
		return made, err
	}
	if outcome != c.want {
		return made, fmt.Errorf("the honest client is told %s", outcome)
	}
	looked, err := direct.RefreshTokens.Lookup(ctx, string(grant.RefreshToken))
	if err != nil {
		return made, err
	}
	if !looked.Active {
		return made, errors.New("what was acknowledged is not there")
	}
	family, err := direct.RefreshTokens.Family(ctx, repo.FamilyParams{SessionID: grant.SessionID})
	if err != nil {
		return made, err
	}
	if want := len(session.Tokens) + 1; len(family.Tokens) != want {
		return made, fmt.Errorf("%d generations instead of %d", len(family.Tokens), want)
	}
	return made, nil
}
