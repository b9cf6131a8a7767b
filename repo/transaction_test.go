package repo_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// withProfiles is a store over a database in which the host has a table of its own.
func withProfiles(t *testing.T) *repo.Store {
	t.Helper()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	_, err := store.DB().ExecContext(t.Context(), "CREATE TABLE profiles (clerk_user_id text PRIMARY KEY)")
	require.NoError(t, err)
	return store
}

func insertProfile(ctx context.Context, tx bun.Tx, user string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO profiles VALUES (?)", user)
	return err
}

func TestInTx(t *testing.T) {
	t.Parallel()
	errHost := errors.New("the host's own")

	t.Run("CommitsBothOrNeither", func(t *testing.T) {
		t.Parallel()
		store := withProfiles(t)
		for _, want := range []error{nil, errHost} {
			code := repotest.NewCode(t, store, repo.IssueParams{})
			var granted repo.ExchangeResult
			err := store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, tx bun.Tx) error {
				var err error
				if granted, err = store.AuthCodes.Exchange(ctx, code.Request()); err != nil {
					return err
				}
				if err := insertProfile(ctx, tx, granted.ClerkUserID); err != nil {
					return err
				}
				return want
			})
			require.ErrorIs(t, err, want)
			committed := boolToInt(want == nil)
			require.Equal(t, committed, count(t, store, "profiles", "clerk_user_id = ?", code.Issued.ClerkUserID))
			require.Equal(t, committed, count(t, store, "gpt_sessions", "clerk_user_id = ?", code.Issued.ClerkUserID))
		}
	})

	t.Run("ARemedySurvivesItsOutcome", func(t *testing.T) {
		t.Parallel()
		store := withProfiles(t)
		session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
		err := store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
			result, err := store.RefreshTokens.Rotate(ctx, session.Request(0))
			require.Equal(t, repo.Reused, result.Outcome)
			return err
		})
		require.NoError(t, err)
		requireAlive(t, store, session.SessionID, false)
	})

	t.Run("ReturningResultErrUndoesTheRemedy", func(t *testing.T) {
		t.Parallel()
		store := withProfiles(t)
		session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
		err := store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
			result, err := store.RefreshTokens.Rotate(ctx, session.Request(0))
			return errors.Join(err, result.Err()) // the trap
		})
		require.ErrorIs(t, err, repo.ErrInvalidGrant)
		requireAlive(t, store, session.SessionID, true)
	})

	t.Run("Savepoint", func(t *testing.T) {
		t.Parallel()
		store := withProfiles(t)
		user := repotest.NewUserID()
		kept := repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: user})
		undone := repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: user})
		err := store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, tx bun.Tx) error {
			if err := insertProfile(ctx, tx, user); err != nil {
				return err
			}
			require.Equal(t, repo.Exchanged, exchange(t, store, kept.Request()).Outcome)
			err := store.InTx(ctx, func(ctx context.Context, store *repo.Store, tx bun.Tx) error {
				require.Equal(t, repo.Exchanged, exchange(t, store, undone.Request()).Outcome)
				return insertProfile(ctx, tx, user) // a duplicate: aborts to the savepoint only
			})
			require.Error(t, err)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, count(t, store, "gpt_sessions", "clerk_user_id = ?", user))
		require.Equal(t, repo.Exchanged, exchange(t, store, undone.Request()).Outcome, "the code was not burnt")
		require.Equal(t, repo.Replayed, exchange(t, store, kept.Request()).Outcome)
	})

	t.Run("ASwallowedErrorIsNotReportedAsCommitted", func(t *testing.T) {
		t.Parallel()
		store := withProfiles(t)
		code := repotest.NewCode(t, store, repo.IssueParams{})
		swallow := func(ctx context.Context, store *repo.Store, tx bun.Tx) error { //nolint:unparam // that is the mistake
			require.Equal(t, repo.Exchanged, exchange(t, store, code.Request()).Outcome)
			_, _ = tx.ExecContext(ctx, "SELECT 1/0")
			return nil
		}
		require.ErrorContains(t, store.InTx(t.Context(), swallow), "swallowed")
		require.Zero(t, count(t, store, "gpt_sessions", "TRUE"))

		db := store.DB().(*bun.DB)
		err := db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error { return swallow(ctx, store.With(tx), tx) })
		require.NoError(t, err, "Bun's own RunInTx says committed, which is why InTx exists")
		require.Zero(t, count(t, store, "gpt_sessions", "TRUE"))
	})

	t.Run("AFailedBeginIsNotDone", func(t *testing.T) {
		t.Parallel()
		store := withProfiles(t)
		never := func(context.Context, *repo.Store, bun.Tx) error { panic("has run") }
		over, cancel := context.WithCancel(t.Context())
		cancel()
		err := store.InTx(over, never)
		require.ErrorIs(t, err, context.Canceled)
		var failure *repo.DatabaseError
		require.ErrorAs(t, err, &failure)
		require.Equal(t, repo.NotDone, failure.Effect)
		require.Equal(t, "Store.InTx", failure.Op)

		err = store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, tx bun.Tx) error {
			_, _ = tx.ExecContext(ctx, "SELECT 1/0")
			return store.InTx(ctx, never) // a savepoint, in a transaction that is aborted for good
		})
		require.ErrorAs(t, err, &failure)
		require.Equal(t, repo.Refused, failure.Effect)
		require.Equal(t, "25P02", failure.SQLState())
	})

	t.Run("AFailedCommitIsUnsure", func(t *testing.T) {
		t.Parallel()
		store := withProfiles(t)
		_, err := store.DB().ExecContext(t.Context(), "CREATE TABLE late (id int PRIMARY KEY REFERENCES late DEFERRABLE INITIALLY DEFERRED, up int REFERENCES late DEFERRABLE INITIALLY DEFERRED)")
		require.NoError(t, err)
		err = store.InTx(t.Context(), func(ctx context.Context, _ *repo.Store, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO late VALUES (1, 2)")
			return err
		})
		var failure *repo.DatabaseError
		require.ErrorAs(t, err, &failure)
		require.Equal(t, repo.Unsure, failure.Effect)
	})
}

// TestIsolation: an older snapshot would miss living rows, so that every call that reads state refuses it.
func TestIsolation(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 2)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	code := repotest.NewCode(t, store, repo.IssueParams{})
	for _, level := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
		for name, call := range map[string]func(store *repo.Store) error{
			"Issue":    func(s *repo.Store) error { _, err := s.AuthCodes.Issue(t.Context(), code.Issued); return err },
			"Exchange": func(s *repo.Store) error { _, err := s.AuthCodes.Exchange(t.Context(), code.Request()); return err },
			"Rotate": func(s *repo.Store) error {
				_, err := s.RefreshTokens.Rotate(t.Context(), session.Request(0))
				return err
			},
			"Revoke": func(s *repo.Store) error {
				_, err := s.RefreshTokens.Revoke(t.Context(), repo.RevokeParams{RefreshToken: session.Tokens[0], ClientID: "client_1"})
				return err
			},
			"Touch": func(s *repo.Store) error { _, err := s.Sessions.Touch(t.Context(), session.SessionID); return err },
			"End": func(s *repo.Store) error {
				_, err := s.Sessions.End(t.Context(), repo.EndParams{SessionID: session.SessionID, Reason: "x"})
				return err
			},
			"EndAll": func(s *repo.Store) error {
				_, err := s.Sessions.EndAll(t.Context(), repo.EndAllParams{ClerkUserID: session.ClerkUserID, Reason: "x"})
				return err
			},
			"EndUser": func(s *repo.Store) error { _, err := s.EndUser(t.Context(), session.ClerkUserID, "x"); return err },
		} {
			tx, err := store.DB().BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
			require.NoError(t, err)
			err = call(store.With(tx))
			require.NoError(t, tx.Rollback())
			var failure *repo.DatabaseError
			require.ErrorAs(t, err, &failure, name)
			require.Equal(t, repo.Refused, failure.Effect)
			require.ErrorContains(t, err, "READ COMMITTED", name)
			require.ErrorContains(t, err, "25001", name)
		}
		tx, err := store.DB().BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
		require.NoError(t, err)
		require.NoError(t, store.With(tx).Events.Append(t.Context(), repo.AppendParams{Type: "job_search"}), "appending reads nothing")
		require.NoError(t, tx.Rollback())
	}
	requireAlive(t, store, session.SessionID, true)
}

// TestOverPgx: a *bun.DB over another driver serves as well.
func TestOverPgx(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig(repotest.URL(t))
	require.NoError(t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	db := bun.NewDB(stdlib.OpenDB(*config), pgdialect.New())
	t.Cleanup(func() { _ = db.Close() })
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)

	session := repotest.NewSession(t, store, repo.IssueParams{Scope: "a b", Data: []byte(`{"a": "'?1\\"}`)}, 2)
	require.JSONEq(t, `{"a": "'?1\\"}`, string(session.Data))
	require.Equal(t, repo.Retried, rotate(t, store, session.Request(1)).Outcome)
	requireAlive(t, store, session.SessionID, true)
	looked, err := store.RefreshTokens.Lookup(t.Context(), session.Tokens[2])
	require.NoError(t, err)
	require.True(t, looked.Active)
	require.NoError(t, store.Events.Append(t.Context(), repo.AppendParams{Type: "job_search", ClerkUserID: session.ClerkUserID}))
	require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome)
	result, err := store.EndUser(t.Context(), session.ClerkUserID, "done")
	require.NoError(t, err)
	require.Zero(t, result)
	require.Equal(t, []string{
		"authorize", "token_exchange", "token_refresh", "token_refresh", "token_retry", "job_search", "token_reuse",
	}, trail(t, store, session.ClerkUserID))
	require.Zero(t, count(t, store, "pg_prepared_statements", "TRUE"))
}
