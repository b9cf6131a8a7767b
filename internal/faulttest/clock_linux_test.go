package faulttest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestClocksAnHourApart sets the server's clock and leaves that of this process alone, which to the store is the same as the
// other way round. Nothing may depend on the difference but what ids say of their time.
func TestClocksAnHourApart(t *testing.T) {
	t.Parallel()
	libraries, err := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1")
	require.NoError(t, err)
	if len(libraries) == 0 {
		t.Skip("libfaketime is not installed (Debian: apt-get install libfaketime): clocks cannot be set apart")
	}
	for name, offset := range map[string]string{"TheApplicationIsBehind": "+1h", "TheApplicationIsAhead": "-1h"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, privatepg.Options{})
			require.NoError(t, server.StopImmediate(t.Context()))
			// The monotonic clock stays, for what merely waits must not wait an hour.
			require.NoError(t, server.StartAgainIn(t.Context(), "LD_PRELOAD="+libraries[0], "FAKETIME="+offset, "FAKETIME_DONT_FAKE_MONOTONIC=1"))
			direct := openDirect(t, databaseOf(server))
			requireApart(t, direct)
			emptyTables(t, direct)

			newCrowd(t, openStore(t, databaseOf(server), patient), crowdSize).suffer(t, direct, func(*testing.T) {})
			requireTheServersTime(t, direct)
		})
	}
}

// requireApart: the fault is there.
func requireApart(t *testing.T, direct *repo.Store) {
	t.Helper()
	difference := time.Until(serverTime(t, direct)).Abs()
	require.InDelta(t, time.Hour.Minutes(), difference.Minutes(), 1)
	session := repotest.NewSession(t, direct, repo.IssueParams{}, 0)
	got, err := direct.Sessions.Get(t.Context(), session.SessionID)
	require.NoError(t, err)
	sec, nsec := session.SessionID.Time().UnixTime()
	require.InDelta(t, time.Hour.Minutes(), got.CreatedAt.Sub(time.Unix(sec, nsec)).Abs().Minutes(), 1, "an id is of this process")
}

// requireTheServersTime: a life that begins now and lasts as long as it should, by the server's clock alone.
func requireTheServersTime(t *testing.T, direct *repo.Store) {
	t.Helper()
	code := repotest.NewCode(t, direct, repo.IssueParams{TTL: time.Minute})
	requireFromNow(t, direct, time.Minute, code.ExpiresAt)
	exchanged, err := direct.AuthCodes.Exchange(t.Context(), code.Request())
	require.NoError(t, err)
	require.Equal(t, repo.Exchanged, exchanged.Outcome, "a code of a minute is good, whatever this process takes the time for")
	requireFromNow(t, direct, 30*24*time.Hour, exchanged.RefreshExpiresAt)
	requireFromNow(t, direct, 365*24*time.Hour, exchanged.SessionExpiresAt)

	late := repotest.NewCode(t, direct, repo.IssueParams{TTL: time.Minute})
	repotest.Age(t, direct, 61*time.Second)
	expired, err := direct.AuthCodes.Exchange(t.Context(), late.Request())
	require.NoError(t, err)
	require.Equal(t, repo.Expired, expired.Outcome)
	active, err := direct.Sessions.Active(t.Context(), exchanged.SessionID)
	require.NoError(t, err)
	require.True(t, active)
}

func requireFromNow(t *testing.T, direct *repo.Store, life time.Duration, end time.Time) {
	t.Helper()
	require.InDelta(t, life.Seconds(), end.Sub(serverTime(t, direct)).Seconds(), 30)
}

func serverTime(t *testing.T, direct *repo.Store) time.Time {
	t.Helper()
	var now time.Time
	require.NoError(t, direct.DB().QueryRowContext(t.Context(), "SELECT clock_timestamp()").Scan(&now))
	return now
}
