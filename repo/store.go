package repo

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/uptrace/bun"
)

// Store is the four repositories over one database. It is safe for use by many goroutines and needs no closing; the
// *bun.DB is the caller's.
type Store struct {
	AuthCodes     *AuthCodes     // Issue, Exchange
	RefreshTokens *RefreshTokens // Rotate, Revoke, Lookup, Get, Find, Family
	Sessions      *Sessions      // Get, List, Active, Touch, End, EndAll
	Events        *Events        // Append, Recorder, List, All, Count, Follow

	conn *conn
}

// New returns a store over db, which [Open] made or anyone else did: any database/sql driver for PostgreSQL serves (pgx's
// with default_query_exec_mode=simple_protocol, else it leaves one prepared statement behind per call). It sends
// nothing. The error is an [*InputError] about config.
func New(db *bun.DB, config Config) (*Store, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	return newStore(newConn(db, config)), nil
}

func newStore(c *conn) *Store {
	return &Store{
		AuthCodes:     &AuthCodes{c},
		RefreshTokens: &RefreshTokens{c},
		Sessions:      &Sessions{c},
		Events:        &Events{c},
		conn:          c,
	}
}

// DB returns what the store runs on: the *bun.DB given to New, or the bun.Tx given to With.
func (s *Store) DB() bun.IDB { return s.conn.db }

// With returns a store whose calls are part of tx: what they do is done when tx commits, and nothing is repeated after a
// lost connection. Shadow the name, so that two stores are never in scope:
//
//	store := store.With(tx)
//
// tx must be READ COMMITTED, else calls that change state are refused (SQLSTATE 25001). Two things to know:
//
// An [Outcome] that is not a success is no error, so that returning nil commits the remedy that may belong to it. An
// error of ours, on the other hand, has aborted tx: return it. If it is swallowed, Bun's RunInTx reports success although
// PostgreSQL rolls back; [Store.InTx] does not.
func (s *Store) With(tx bun.Tx) *Store {
	return newStore(s.conn.with(tx))
}

// InTx runs fn in a READ COMMITTED transaction of its own, or in a savepoint if s is part of a transaction already, and
// commits if fn returns nil. An error of BEGIN is a [*DatabaseError], NotDone or Refused, and fn has not run; one of COMMIT
// is Unsure. Nothing is repeated after a lost connection: fn runs once.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context, store *Store, tx bun.Tx) error) (err error) {
	ctx, op := s.conn.begin(ctx, "Store.InTx")
	defer op.end(&err)
	begun, committing := false, false
	found := &alarms{}
	op.sending()
	err = s.conn.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, func(ctx context.Context, tx bun.Tx) error {
		begun = true
		store := s.With(tx)
		store.conn.alarms = found
		if err := fn(ctx, store, tx); err != nil {
			return err
		}
		// COMMIT of an aborted transaction rolls back and is not an error to the driver. This is one.
		switch _, err := tx.ExecContext(ctx, "SELECT 1"); {
		case sqlState(err) == "25P02": // in_failed_sql_transaction
			return fmt.Errorf("repo: %s: an error inside the transaction was swallowed: %w", op.name, err)
		case err != nil: // COMMIT was never sent
			return &DatabaseError{Op: op.name, Effect: NotDone, Err: err}
		}
		committing = true
		return nil
	})
	op.answered()
	switch {
	case err != nil && !begun:
		return &DatabaseError{Op: op.name, Effect: min(effectOf(err), NotDone), Err: err} // whatever became of BEGIN
	case err != nil && committing:
		return &DatabaseError{Op: op.name, Effect: Unsure, Err: err}
	case err == nil:
		s.conn.alertCommitted(ctx, op, found)
	}
	return err
}

// EndedResult counts what a call has ended. A call repeated after a lost answer counts nothing of what its first attempt
// did; the events are there.
type EndedResult struct {
	Codes    int // unused authorization codes that can no longer be exchanged
	Sessions int // that had not been ended before
}

// runEnding sends a call of a function that counts what it ends.
func (c *conn) runEnding(ctx context.Context, op operation, call *call) (EndedResult, error) {
	row, err := c.runRow(ctx, op, call)
	if err != nil {
		return EndedResult{}, err
	}
	result := EndedResult{Codes: row.int(), Sessions: row.int()}
	return result, done(op, row.end())
}

// EndUser offboards a person, in one transaction: ends all their sessions and lets their unused codes expire, writes one
// session_end event a session and one user_end event for all. Calling it again is harmless. reason is for the audit trail.
//
// A sign-in that is in flight can survive it, because its code is issued afterwards: keep the person from signing in first
// (Clerk: ban or delete the user), then call EndUser.
func (s *Store) EndUser(ctx context.Context, clerkUserID, reason string) (_ EndedResult, err error) {
	ctx, op := s.conn.begin(ctx, "Store.EndUser")
	defer op.end(&err)
	if err := firstError(
		checkRequired("EndUser clerkUserID", clerkUserID, maxIDLen),
		checkRequired("EndUser reason", reason, maxReasonLen),
	); err != nil {
		return EndedResult{}, err
	}
	call := s.conn.newCall("gpt_end_user_v1").
		text(clerkUserID).
		text(reason).
		eventID(routeOf(clerkUserID))
	return s.conn.runEnding(ctx, op, call)
}
