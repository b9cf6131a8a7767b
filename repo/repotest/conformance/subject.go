package conformance

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

// Store is what the kit tests: the calls of a [repo.Store], with their contracts. [Of] makes one of a *repo.Store; anything
// else has an adapter. Each refresh token has an id of its own.
type Store interface {
	Issue(ctx context.Context, params repo.IssueParams) (repo.IssueResult, error)
	Exchange(ctx context.Context, params repo.ExchangeParams) (repo.ExchangeResult, error)
	Rotate(ctx context.Context, params repo.RotateParams) (repo.RotateResult, error)
	Revoke(ctx context.Context, params repo.RevokeParams) (repo.RevokeResult, error)
	End(ctx context.Context, params repo.EndParams) (repo.EndedResult, error)
	EndAll(ctx context.Context, params repo.EndAllParams) (repo.EndedResult, error)
	List(ctx context.Context, params repo.SessionListParams) (repo.SessionPage, error)
}

// What a Store may do beyond that. What it cannot do is not tested.
type (
	// UserEnder offboards a person, as [repo.Store.EndUser] does.
	UserEnder interface {
		EndUser(ctx context.Context, clerkUserID, reason string) (repo.EndedResult, error)
	}
	// Watcher says whether sessions are alive, as [repo.Sessions.Active] and [repo.Sessions.Touch] do.
	Watcher interface {
		Active(ctx context.Context, id uuid.UUID) (bool, error)
		Touch(ctx context.Context, id uuid.UUID) (bool, error)
	}
	// Introspector reads what is known of a token, as [repo.RefreshTokens.Lookup] does.
	Introspector interface {
		Lookup(ctx context.Context, token string) (repo.LookupResult, error)
	}
	// Auditor lists the types of a person's events, oldest first.
	Auditor interface {
		Trail(ctx context.Context, clerkUserID string) ([]string, error)
	}
)

// Subject is a store to be tested, and what the kit may do to it. The zero value of each field but Store means that it
// cannot be done; the tests that need it are then skipped and say so.
type Subject struct {
	Store Store

	// DB is a connection to the database below Store that nothing stands between: not a pooler, not a replica. It has
	// gptoauth's schema and is the test's own. The kit ages rows, holds locks, sees who waits and checks the invariants
	// with it.
	DB bun.IDB

	// Age makes everything of a person older by d. Defaults to ageing the rows of DB.
	Age func(ctx context.Context, clerkUserID string, d time.Duration) error

	// Begin opens a transaction, in which the Store it returns then works until it is committed or rolled back.
	Begin func(ctx context.Context) (Store, driver.Tx, error)

	// Lose returns a context for one call of Store: the answer to it is lost, once, after the call has taken effect. The
	// Store is expected to deal with that itself.
	Lose func(ctx context.Context) context.Context

	// Clients is how many clients call at the same time, where that matters. Defaults to 8. With 1, as for a store inside a
	// transaction, nothing is done at the same time.
	Clients int
}

// Factory makes a subject for one test, with durations of its own. It skips the test if it cannot honour config, and
// cleans up with t.Cleanup.
type Factory func(t testing.TB, config repo.Config) Subject

func (s Subject) clients() int {
	if s.Clients == 0 {
		return 8
	}
	return s.Clients
}

// Of makes a subject of a store over a database of the test's own. A store that is part of a transaction is tested there,
// by one client.
func Of(store *repo.Store) Subject {
	subject := Subject{Store: adapter{store}, DB: store.DB()}
	if _, ok := store.DB().(bun.Tx); ok {
		subject.Clients = 1
		return subject
	}
	subject.Begin = func(ctx context.Context) (Store, driver.Tx, error) {
		tx, err := store.DB().BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return nil, nil, err
		}
		return adapter{store.With(tx)}, tx, nil
	}
	return subject
}

// adapter gives the calls of a store their names here.
type adapter struct {
	store *repo.Store
}

var _ interface {
	Store
	UserEnder
	Watcher
	Introspector
	Auditor
} = adapter{}

func (a adapter) Issue(ctx context.Context, params repo.IssueParams) (repo.IssueResult, error) {
	return a.store.AuthCodes.Issue(ctx, params)
}

func (a adapter) Exchange(ctx context.Context, params repo.ExchangeParams) (repo.ExchangeResult, error) {
	return a.store.AuthCodes.Exchange(ctx, params)
}

func (a adapter) Rotate(ctx context.Context, params repo.RotateParams) (repo.RotateResult, error) {
	return a.store.RefreshTokens.Rotate(ctx, params)
}

func (a adapter) Revoke(ctx context.Context, params repo.RevokeParams) (repo.RevokeResult, error) {
	return a.store.RefreshTokens.Revoke(ctx, params)
}

func (a adapter) Lookup(ctx context.Context, token string) (repo.LookupResult, error) {
	return a.store.RefreshTokens.Lookup(ctx, token)
}

func (a adapter) List(ctx context.Context, params repo.SessionListParams) (repo.SessionPage, error) {
	return a.store.Sessions.List(ctx, params)
}

func (a adapter) Active(ctx context.Context, id uuid.UUID) (bool, error) {
	return a.store.Sessions.Active(ctx, id)
}

func (a adapter) Touch(ctx context.Context, id uuid.UUID) (bool, error) {
	return a.store.Sessions.Touch(ctx, id)
}

func (a adapter) End(ctx context.Context, params repo.EndParams) (repo.EndedResult, error) {
	return a.store.Sessions.End(ctx, params)
}

func (a adapter) EndAll(ctx context.Context, params repo.EndAllParams) (repo.EndedResult, error) {
	return a.store.Sessions.EndAll(ctx, params)
}

func (a adapter) EndUser(ctx context.Context, clerkUserID, reason string) (repo.EndedResult, error) {
	return a.store.EndUser(ctx, clerkUserID, reason)
}

func (a adapter) Trail(ctx context.Context, clerkUserID string) ([]string, error) {
	var types []string
	for event, err := range a.store.Events.All(ctx, repo.EventListParams{ClerkUserID: clerkUserID}) {
		if err != nil {
			return nil, err
		}
		types = append(types, event.Type)
	}
	slices.Reverse(types)
	return types, nil
}
