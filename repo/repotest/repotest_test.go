package repotest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
)

func TestStore_IsRolledBack(t *testing.T) {
	t.Parallel()
	var user string
	t.Run("In", func(t *testing.T) {
		session := NewSession(t, Store(t, repo.Config{}), repo.IssueParams{}, 2)
		require.Len(t, session.Tokens, 3)
		user = session.ClerkUserID
	})
	page, err := Store(t, repo.Config{}).Sessions.List(t.Context(), repo.SessionListParams{ClerkUserID: user})
	require.NoError(t, err)
	require.Empty(t, page.Sessions)
}

func TestAge_LetsTimePass(t *testing.T) {
	t.Parallel()
	store := Store(t, repo.Config{})
	old, young := NewSession(t, store, repo.IssueParams{}, 0), NewUser(t, store, 2)
	AgeSession(t, store, old.SessionID, 31*24*time.Hour)
	for session, want := range map[*Session]repo.Outcome{&old: repo.Expired, &young: repo.Rotated} {
		result, err := store.RefreshTokens.Rotate(t.Context(), session.Request(0))
		require.NoError(t, err)
		require.Equal(t, want, result.Outcome)
	}
	Age(t, store, 31*24*time.Hour)
	alive, err := store.Sessions.Active(t.Context(), young.SessionID)
	require.NoError(t, err)
	require.False(t, alive)
}

// ended is a test that can fail and end while the one around it goes on.
type ended struct {
	testing.TB

	failed   bool
	log      strings.Builder
	cleanups []func()
}

func (e *ended) Failed() bool                    { return e.failed }
func (e *ended) Cleanup(f func())                { e.cleanups = append(e.cleanups, f) }
func (e *ended) Log(args ...any)                 { fmt.Fprintln(&e.log, args...) }
func (e *ended) Logf(format string, args ...any) { fmt.Fprintf(&e.log, format+"\n", args...) }

func (e *ended) end() {
	for _, cleanup := range slices.Backward(e.cleanups) {
		cleanup()
	}
}

func TestURL_IsDroppedUnlessTheTestFailed(t *testing.T) {
	t.Parallel()
	s := mustConnect(t)
	s.linger.Do(func() {}) // the server need not stay for this one
	exists := func(name string) bool {
		var found bool
		require.NoError(t, s.admin.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = ?)", name).Scan(&found))
		return found
	}
	for _, failed := range []bool{false, true} {
		test := &ended{TB: t}
		u, err := url.Parse(URL(test))
		require.NoError(t, err)
		name := strings.TrimPrefix(u.Path, "/")
		require.True(t, exists(name))
		test.failed = failed
		test.end()
		require.Equal(t, failed, exists(name))
		if failed {
			require.Contains(t, test.log.String(), name, "it says where")
			password, _ := u.User.Password()
			require.NotContains(t, test.log.String(), password)
			require.NoError(t, s.drop(context.WithoutCancel(t.Context()), name))
		}
	}
}
