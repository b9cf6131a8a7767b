package repo_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestConnectionsCut: the connection is cut after a random number of bytes, in either direction, in the middle of what is
// said on it. No code is burnt, no honest session ended, and what was acknowledged is there.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	rounds := 240
	if testing.Short() {
		rounds = 120
	}

	t.Run("TheStoreLosesNothing", func(t *testing.T) {
		t.Parallel()
		direct, cut := cutRounds(t, rounds, exchangeAndRotate)
		require.NotZero(t, cut, "no connection was cut: the test shows nothing")
		require.Zero(t, count(t, direct, "gpt_oauth_events", "event_type IN ('code_replay', 'token_reuse', 'session_end')"))
		require.Zero(t, count(t, direct, "gpt_sessions", "ended_at IS NOT NULL"))
		require.Equal(t, rounds, count(t, direct, "gpt_sessions", "TRUE"))
		require.Equal(t, rounds, count(t, direct, "gpt_authorization_codes", "used_at IS NOT NULL"))
		require.Equal(t, 3*rounds, count(t, direct, "gpt_refresh_tokens", "TRUE"), "each rotation happened once")
		require.Equal(t, 2*rounds, count(t, direct, "gpt_oauth_events", "event_type = 'token_refresh'"))
	})

	// The negative control repeats the call as well, but draws a new token for what may have succeeded already.
	t.Run("NaiveIsCaught", func(t *testing.T) {
		t.Parallel()
		direct, _ := cutRounds(t, rounds, func(ctx context.Context, store *repo.Store, session *repotest.Session) error {
			var err error
			for range 20 {
				if err = naiveExchange(ctx, store, session.Code); err == nil {
					return nil
				}
			}
			return err
		})
		require.NotZero(t, count(t, direct, "gpt_oauth_events", "event_type = 'code_replay'"), "the test cannot tell right from wrong")
	})
}

func naiveExchange(ctx context.Context, store *repo.Store, code repotest.Code) error {
	var outcome []string
	return store.DB().NewRaw(`
		SELECT outcome FROM gpt_exchange_code_v1(encode(sha256(?), 'hex'), ?, ?, ?, false, gen_random_uuid(), gen_random_uuid(),
			gen_random_uuid()::text, 60000000, 0, NULL, NULL, gen_random_uuid())`,
		[]byte(code.Code), code.Issued.ClientID, code.Issued.RedirectURI, code.Issued.CodeChallenge).Scan(ctx, &outcome)
}

func exchangeAndRotate(ctx context.Context, store *repo.Store, session *repotest.Session) error {
	exchanged, err := store.AuthCodes.Exchange(ctx, session.Code.Request())
	if err != nil {
		return err
	}
	session.Grant = exchanged.Grant
	for range 2 {
		rotated, err := store.RefreshTokens.Rotate(ctx, repo.RotateParams{
			RefreshToken: string(session.RefreshToken), ClientID: session.Code.Issued.ClientID,
		})
		if err != nil {
			return err
		}
		if rotated.Outcome != repo.Rotated {
			return fmt.Errorf("the honest client's token is %s", rotated.Outcome)
		}
		session.Grant = rotated.Grant
	}
	return nil
}

// cutRounds calls f with a code of its own for each round, over connections of which every second one is cut, at the same
// byte for one round. It returns a store that no one cuts, and how many connections more than one a round took.
func cutRounds(t *testing.T, rounds int, f func(context.Context, *repo.Store, *repotest.Session) error) (direct *repo.Store, cut int) {
	t.Helper()
	dsn := repotest.URL(t)
	db, err := repo.Open(t.Context(), dsn, repo.PoolConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	direct, err = repo.New(db, repo.Config{})
	require.NoError(t, err)

	before := sessionsSoFar(t, direct)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for range rounds {
		code := repotest.NewCode(t, direct, repo.IssueParams{})
		at, direction := cutAt()
		group.Go(func() error {
			proxied, stop := cutting(t, dsn, at, direction)
			defer stop()
			session := repotest.Session{Code: code}
			if err := f(ctx, proxied, &session); err != nil {
				return fmt.Errorf("cut at byte %d %s: %w", at, direction, err)
			}
			if session.RefreshToken == "" {
				return nil
			}
			looked, err := direct.RefreshTokens.Lookup(ctx, string(session.RefreshToken))
			if err == nil && !looked.Active {
				err = fmt.Errorf("cut at byte %d %s: what was acknowledged is lost", at, direction)
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	return direct, sessionsSoFar(t, direct) - before - rounds
}

// cutAt is anywhere in one case of two, and else where the first answer after the handshake stands: the client does not
// know that the server has done what it was asked.
func cutAt() (at int, direction string) {
	if rand.IntN(2) == 0 {
		return 600 + rand.IntN(400), "downstream"
	}
	return rand.IntN(3000), []string{"upstream", "downstream"}[rand.IntN(2)]
}

// sessionsSoFar is how many connections the database has seen end or begin.
func sessionsSoFar(t *testing.T, store *repo.Store) int {
	t.Helper()
	var n int
	require.NoError(t, store.DB().QueryRowContext(t.Context(),
		"SELECT sessions FROM pg_stat_database WHERE datname = current_database()").Scan(&n))
	return n
}

// cutting returns a store behind a proxy that cuts every second connection, by chance, after at bytes.
func cutting(t *testing.T, dsn string, at int, direction string) (*repo.Store, func()) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "cut", "127.0.0.1:0", u.Host)
	require.NoError(t, proxy.Start())
	_, err = proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"type": "limit_data", "stream": %q, "toxicity": 0.5, "attributes": {"bytes": %d}}`, direction, at)))
	require.NoError(t, err)

	u.Host = proxy.Listen
	var db *bun.DB
	require.Eventually(t, func() bool { // Open asks once, and may be cut
		db, err = repo.Open(t.Context(), u.String(), repo.PoolConfig{MaxConns: 1, ConnectTimeout: 5 * time.Second})
		return err == nil
	}, time.Minute, time.Millisecond)
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	return store, func() {
		_ = db.Close()
		proxy.Stop()
	}
}
