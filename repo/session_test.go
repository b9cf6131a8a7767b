package repo_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestSessionsGet(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	_, err := store.Sessions.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, repo.ErrNotFound)
	active, err := store.Sessions.Active(t.Context(), uuid.New())
	require.NoError(t, err)
	require.False(t, active)
	touched, err := store.Sessions.Touch(t.Context(), uuid.New())
	require.NoError(t, err)
	require.False(t, touched)
}

func TestAlive(t *testing.T) {
	t.Parallel()
	config := repo.Config{RefreshTTL: time.Hour, SessionTTL: 90 * time.Minute}

	t.Run("CurrentTokenExpired", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, config)
		session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
		requireAlive(t, store, session.SessionID, true)
		repotest.Age(t, store, time.Hour)
		requireAlive(t, store, session.SessionID, false)
	})

	t.Run("PastTheAbsoluteEnd", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, config)
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		repotest.Age(t, store, 50*time.Minute)
		require.Equal(t, repo.Rotated, rotate(t, store, session.Request(0)).Outcome)
		requireAlive(t, store, session.SessionID, true)
		repotest.Age(t, store, 40*time.Minute)
		requireAlive(t, store, session.SessionID, false)
	})

	t.Run("Ended", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, config)
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		end(t, store, session.SessionID)
		requireAlive(t, store, session.SessionID, false)
	})
}

func TestSessionsList(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	user := repotest.NewUserID()
	want := make([]uuid.UUID, 5)
	for i := range want {
		want[len(want)-1-i] = repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: user}, 0).SessionID
	}
	repotest.NewSession(t, store, repo.IssueParams{}, 0) // someone else's

	var got []uuid.UUID
	params := repo.SessionListParams{ClerkUserID: user, Limit: 2}
	for {
		page, err := store.Sessions.List(t.Context(), params)
		require.NoError(t, err)
		for _, session := range page.Sessions {
			require.True(t, session.Alive)
			got = append(got, session.ID)
		}
		if params.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	require.Equal(t, want, got, "newest first, nothing twice, nothing missing")
}

func TestTouch(t *testing.T) {
	t.Parallel()

	t.Run("WritesAtMostOnceAMinute", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		before := get(t, store, session.SessionID).LastActiveAt
		requireAlive(t, store, session.SessionID, true)
		require.Equal(t, before, get(t, store, session.SessionID).LastActiveAt)

		repotest.Age(t, store, time.Minute)
		requireAlive(t, store, session.SessionID, true)
		first := get(t, store, session.SessionID).LastActiveAt
		require.WithinDuration(t, databaseNow(t, store), first, 5*time.Second)
		requireAlive(t, store, session.SessionID, true)
		require.Equal(t, first, get(t, store, session.SessionID).LastActiveAt)
	})

	t.Run("WritesNoEvent", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{TouchInterval: repo.Off})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		requireAlive(t, store, session.SessionID, true)
		require.Equal(t, []string{"authorize", "token_exchange"}, trail(t, store, session.ClerkUserID))
	})

	t.Run("AnEndedSessionIsNotTouched", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{TouchInterval: repo.Off})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		end(t, store, session.SessionID)
		before := get(t, store, session.SessionID).LastActiveAt
		requireAlive(t, store, session.SessionID, false)
		require.Equal(t, before, get(t, store, session.SessionID).LastActiveAt)
	})

	t.Run("IsHOT", func(t *testing.T) {
		t.Parallel()
		store := repotest.CommittingStore(t, repo.Config{TouchInterval: repo.Off}, 1)
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		hot := func() (updates, hot int) {
			require.NoError(t, store.DB().QueryRowContext(t.Context(), "SELECT pg_stat_get_tuples_updated(c), pg_stat_get_tuples_hot_updated(c)"+
				" FROM (SELECT pg_stat_force_next_flush()) f, (VALUES ('public.gpt_sessions'::regclass)) v (c)").Scan(&updates, &hot))
			return updates, hot
		}
		for range 10 {
			touched, err := store.Sessions.Touch(t.Context(), session.SessionID)
			require.NoError(t, err)
			require.True(t, touched)
		}
		hot() // flushes at its end
		updates, hotUpdates := hot()
		require.Equal(t, 10, updates)
		require.Equal(t, 10, hotUpdates)
	})
}

func TestEnd(t *testing.T) {
	t.Parallel()

	t.Run("TwiceKeepsTheFirst", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		end(t, store, session.SessionID)
		first := get(t, store, session.SessionID)
		require.Equal(t, "sign_out", first.EndReason)

		again, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: session.SessionID, Reason: "again"})
		require.NoError(t, err)
		require.Zero(t, again)
		_, err = store.EndUser(t.Context(), session.ClerkUserID, "again")
		require.NoError(t, err)
		require.Equal(t, first, get(t, store, session.SessionID))
		require.Equal(t, []string{"authorize", "token_exchange", "session_end"}, trail(t, store, session.ClerkUserID))
	})

	t.Run("UnknownSession", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		result, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: uuid.New(), Reason: "sign_out"})
		require.NoError(t, err)
		require.Zero(t, result)
	})

	t.Run("LeavesCodesAlone", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		code := repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: session.ClerkUserID})
		end(t, store, session.SessionID)
		require.Equal(t, repo.Exchanged, exchange(t, store, code.Request()).Outcome)
	})
}

func TestEndAll(t *testing.T) {
	t.Parallel()
	user := repotest.NewUserID()
	// Two sessions and an unused code with each of two clients, and one of someone else.
	setup := func(t *testing.T) (store *repo.Store, sessions []repotest.Session, codes []repotest.Code) {
		t.Helper()
		store = repotest.Store(t, repo.Config{})
		for _, client := range []string{"client_a", "client_b"} {
			params := repo.IssueParams{ClerkUserID: user, ClientID: client}
			sessions = append(sessions, repotest.NewSession(t, store, params, 1), repotest.NewSession(t, store, params, 0))
			codes = append(codes, repotest.NewCode(t, store, params))
		}
		return store, append(sessions, repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_a"}, 0)), codes
	}
	alive := func(t *testing.T, store *repo.Store, sessions []repotest.Session) (alive []bool) {
		t.Helper()
		for _, session := range sessions {
			alive = append(alive, get(t, store, session.SessionID).Alive)
		}
		return alive
	}

	t.Run("OfAUser", func(t *testing.T) {
		t.Parallel()
		store, sessions, codes := setup(t)
		result, err := store.Sessions.EndAll(t.Context(), repo.EndAllParams{ClerkUserID: user, Reason: "password_changed", IPAddress: address})
		require.NoError(t, err)
		require.Equal(t, repo.EndedResult{Codes: 2, Sessions: 4}, result)
		require.Equal(t, []bool{false, false, false, false, true}, alive(t, store, sessions))
		require.Equal(t, repo.Expired, exchange(t, store, codes[0].Request()).Outcome, "expired, never marked used")
		require.Equal(t, 4, countEvents(t, store, user, repo.EventSessionEnd))
		require.Equal(t, 4, count(t, store, "gpt_oauth_events",
			"event_type = 'session_end' AND ip_address = '192.0.2.7' AND metadata->>'reason' = 'password_changed'"+
				" AND substr(id::text, 15, 1) = '7' AND right(id::text, 4) = right(session_id::text, 4)"), "UUIDv7 with the person's route")
	})

	t.Run("OfAUserAndAClient", func(t *testing.T) {
		t.Parallel()
		store, sessions, codes := setup(t)
		result, err := store.Sessions.EndAll(t.Context(), repo.EndAllParams{ClerkUserID: user, ClientID: "client_a", Reason: "disconnected"})
		require.NoError(t, err)
		require.Equal(t, repo.EndedResult{Codes: 1, Sessions: 2}, result)
		require.Equal(t, []bool{false, false, true, true, true}, alive(t, store, sessions))
		require.Equal(t, repo.Exchanged, exchange(t, store, codes[1].Request()).Outcome)
	})

	t.Run("AllButOne", func(t *testing.T) {
		t.Parallel()
		store, sessions, _ := setup(t)
		result, err := store.Sessions.EndAll(t.Context(), repo.EndAllParams{ClerkUserID: user, Except: sessions[2].SessionID, Reason: "sign_out_elsewhere"})
		require.NoError(t, err)
		require.Equal(t, repo.EndedResult{Codes: 2, Sessions: 3}, result)
		require.Equal(t, []bool{false, false, true, false, true}, alive(t, store, sessions))
	})

	t.Run("EndUserIsIdempotent", func(t *testing.T) {
		t.Parallel()
		store, sessions, _ := setup(t)
		result, err := store.EndUser(t.Context(), user, "offboarded")
		require.NoError(t, err)
		require.Equal(t, repo.EndedResult{Codes: 2, Sessions: 4}, result)
		require.Equal(t, []bool{false, false, false, false, true}, alive(t, store, sessions))
		result, err = store.EndUser(t.Context(), user, "offboarded")
		require.NoError(t, err)
		require.Zero(t, result)
		require.Equal(t, 1, countEvents(t, store, user, repo.EventUserEnd))
		require.Equal(t, 4, countEvents(t, store, user, repo.EventSessionEnd))
	})
}

func TestSessionListFilters(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 2)
	var a []repotest.Session
	for range 3 {
		a = append(a, repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_a"}, 1))
	}
	b := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_b"}, 0)
	_, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: a[1].SessionID, Reason: "sign_out"})
	require.NoError(t, err)
	repotest.AgeSession(t, store, a[0].SessionID, time.Hour)

	for name, test := range map[string]struct {
		params repo.SessionListParams
		want   []repotest.Session
	}{
		"Everyone":       {repo.SessionListParams{Everyone: true}, []repotest.Session{b, a[2], a[1], a[0]}},
		"Client":         {repo.SessionListParams{Everyone: true, ClientID: "client_a"}, []repotest.Session{a[2], a[1], a[0]}},
		"Alive":          {repo.SessionListParams{Everyone: true, AliveOnly: true}, []repotest.Session{b, a[2], a[0]}},
		"Idle":           {repo.SessionListParams{Everyone: true, IdleOver: time.Hour}, []repotest.Session{a[0]}},
		"PersonsOfOther": {repo.SessionListParams{ClerkUserID: b.ClerkUserID, ClientID: "client_a"}, nil},
		"Persons":        {repo.SessionListParams{ClerkUserID: b.ClerkUserID, AliveOnly: true}, []repotest.Session{b}},
	} {
		var got []uuid.UUID
		test.params.Limit = 1
		for more := true; more; {
			page, err := store.Sessions.List(t.Context(), test.params)
			require.NoError(t, err)
			for _, session := range page.Sessions {
				got = append(got, session.ID)
			}
			test.params.Cursor, more = page.Next, page.Next != ""
		}
		var want []uuid.UUID
		for _, session := range test.want {
			want = append(want, session.SessionID)
		}
		require.Equal(t, want, got, name)
	}
}
