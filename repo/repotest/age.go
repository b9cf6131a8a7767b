package repotest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/internal/ageing"
	"github.com/gptoauth/gptoauth/repo"
)

// Age lets time pass: every code, token, session and event that the store sees becomes older by d. In a test of [Store]
// these are the test's own; in a database that others use it ages theirs too.
func Age(t testing.TB, store *repo.Store, d time.Duration) {
	t.Helper()
	if err := ageing.All(t.Context(), store.DB(), d); err != nil {
		t.Fatal("repotest: ageing rows:", err)
	}
}

// AgeSession is Age for one session with its tokens, code and events.
func AgeSession(t testing.TB, store *repo.Store, id uuid.UUID, d time.Duration) {
	t.Helper()
	if err := ageing.Session(t.Context(), store.DB(), id, d); err != nil {
		t.Fatal("repotest: ageing rows:", err)
	}
}
