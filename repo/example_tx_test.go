package repo_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// With makes the store part of a transaction that the host has begun. Shadow the name, so that there is one store in scope.
func ExampleStore_With() {
	t := &exampleT{}
	defer t.done()
	db := repotest.DB(t)
	store, err := repo.New(db, repo.Config{})
	if err != nil {
		panic(err)
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE sign_ups (clerk_user_id text PRIMARY KEY)"); err != nil {
		panic(err)
	}
	code := repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: "user_2aB"})

	// The exchange and the host's own row: both or neither.
	var result repo.ExchangeResult
	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) (err error) {
		store := store.With(tx)
		if result, err = store.AuthCodes.Exchange(ctx, code.Request()); err != nil {
			return err
		}
		if result.Outcome != repo.Exchanged {
			return nil // commits whatever the outcome has changed
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO sign_ups VALUES (?)", result.ClerkUserID)
		return err
	})
	fmt.Println(result.Outcome, err)
	// Output:
	// exchanged <nil>
}

// InTx begins the transaction itself, and a savepoint inside of one. Unlike Bun's RunInTx it notices an error that was
// swallowed: PostgreSQL answers the COMMIT of an aborted transaction by rolling back, and calls that a success.
func ExampleStore_InTx() {
	t := &exampleT{}
	defer t.done()
	store := repotest.CommittingStore(t, repo.Config{}, 2)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	params := repo.EndParams{SessionID: session.SessionID, Reason: "sign_out"}

	errHost := errors.New("the host has changed its mind")
	err := store.InTx(ctx, func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		_, err := store.Sessions.End(ctx, params)
		return errors.Join(err, errHost)
	})
	alive, _ := store.Sessions.Active(ctx, session.SessionID)
	fmt.Println(err, "-> alive:", alive)

	err = store.InTx(ctx, func(ctx context.Context, store *repo.Store, tx bun.Tx) error {
		_, err := store.Sessions.End(ctx, params)
		_, _ = tx.ExecContext(ctx, "INSERT INTO no_such_table VALUES (1)")
		return err // nil, and the error above is forgotten
	})
	alive, _ = store.Sessions.Active(ctx, session.SessionID)
	fmt.Println("noticed:", err != nil, "-> alive:", alive)

	err = store.InTx(ctx, func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		_, err := store.Sessions.End(ctx, params)
		return err
	})
	alive, _ = store.Sessions.Active(ctx, session.SessionID)
	fmt.Println(err, "-> alive:", alive)
	// Output:
	// the host has changed its mind -> alive: true
	// noticed: true -> alive: true
	// <nil> -> alive: false
}
