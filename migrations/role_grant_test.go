package migrations_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestGrantTakesAwayWhatTheRoleHadBefore: GRANT ALL is in many a tutorial.
func TestGrantTakesAwayWhatTheRoleHadBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role, db := w.newRole(t)
	w.grant(t, migrations.GrantParams{Role: role})
	granted := describe(t, w.owner)
	for _, what := range []string{"TABLES", "SEQUENCES", "FUNCTIONS"} {
		exec(t, w.owner, "GRANT ALL ON ALL "+what+" IN SCHEMA public TO "+role)
	}
	require.Equal(t, "00000", stateOf(t, db, "TRUNCATE public.gpt_oauth_events"), "row level security does not hold this back")

	changes := w.grant(t, migrations.GrantParams{Role: role})
	require.Empty(t, changes.Added)
	require.Contains(t, changes.Removed, "grant TRUNCATE on table public.gpt_oauth_events to "+role)
	require.Equal(t, granted, describe(t, w.owner))
	require.Equal(t, insufficientPrivilege, stateOf(t, db, "TRUNCATE public.gpt_oauth_events"))
	requireNoChange(t, w.grant(t, migrations.GrantParams{Role: role}))
}

func requireNoChange(t *testing.T, changes migrations.GrantChanges) {
	t.Helper()
	require.Empty(t, changes.Added)
	require.Empty(t, changes.Removed)
}

func TestGrantAndRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bare := describe(t, w.owner)
	first, _ := w.newRole(t)
	second, secondDB := w.newRole(t)

	planned, err := migrations.PlanGrant(t.Context(), w.owner, migrations.GrantParams{Role: first})
	require.NoError(t, err)
	require.Equal(t, bare, describe(t, w.owner), "a plan changes nothing")
	require.Equal(t, planned, w.grant(t, migrations.GrantParams{Role: first}))
	require.Empty(t, planned.Removed)
	one := describe(t, w.owner)

	// The statement that goes into a file does the same, for a second role beside the first.
	statement, err := migrations.GrantSQL(migrations.GrantParams{Role: second})
	require.NoError(t, err)
	exec(t, w.owner, "SET search_path = public, pg_catalog; "+statement)
	require.NoError(t, migrations.Check(t.Context(), secondDB))
	require.Contains(t, describe(t, w.owner), "policy gpt_app_read on public.gpt_sessions PERMISSIVE r TO "+first+", "+second+" USING (true) WITH CHECK ()")

	w.grant(t, migrations.GrantParams{Role: second, Revoke: true})
	require.Equal(t, one, describe(t, w.owner))
	require.Equal(t, insufficientPrivilege, stateOf(t, secondDB, "SELECT id FROM public.gpt_sessions"))
	requireNoChange(t, w.grant(t, migrations.GrantParams{Role: second, Revoke: true}))
	w.grant(t, migrations.GrantParams{Role: first, Revoke: true})
	require.Equal(t, bare, describe(t, w.owner))
	exec(t, w.super, "DROP ROLE "+first)
}

func TestGrantOfErasing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role, db := w.newRole(t)
	store := must(repo.New(db, repo.Config{}))
	erases := func() bool {
		grantees, err := migrations.Grantees(t.Context(), w.owner)
		require.NoError(t, err)
		require.Len(t, grantees, 1)
		require.Empty(t, grantees[0].Missing)
		return grantees[0].Erase
	}

	w.grant(t, migrations.GrantParams{Role: role})
	user := repotest.NewSession(t, store, repo.IssueParams{}, 1).ClerkUserID
	_, err := store.EraseUser(t.Context(), user)
	require.ErrorContains(t, err, insufficientPrivilege)
	require.False(t, erases())
	w.grant(t, migrations.GrantParams{Role: role, Erase: true})
	erased, err := store.EraseUser(t.Context(), user)
	require.NoError(t, err)
	require.Equal(t, 2, erased.Tokens)
	require.True(t, erases())
	exec(t, w.owner, `CREATE FUNCTION public.gpt_erase_user_v2() RETURNS void LANGUAGE sql SECURITY DEFINER AS '';
		REVOKE ALL ON FUNCTION public.gpt_erase_user_v2() FROM PUBLIC`)
	grantees, err := migrations.Grantees(t.Context(), w.owner)
	require.NoError(t, err)
	require.Equal(t, []string{"grant EXECUTE on function public.gpt_erase_user_v2() to " + role}, grantees[0].Missing, "a newer one is due")
	w.grant(t, migrations.GrantParams{Role: role})
	exec(t, w.owner, "DROP FUNCTION public.gpt_erase_user_v2()")
	require.False(t, erases(), "a grant without it takes it away")
	_, err = store.EraseUser(t.Context(), user)
	require.ErrorContains(t, err, insufficientPrivilege)
}

func TestGrantRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := texts(t, w.owner, "SELECT current_user")[0]
	group := newName("group")
	exec(t, w.super, "CREATE ROLE "+group+" ROLE "+owner)
	member, _ := w.newRole(t)
	exec(t, w.super, "GRANT "+owner+" TO "+member)
	before := describe(t, w.owner)
	for role, want := range map[string]string{
		"":                        "is empty",
		"nobody":                  "there is no role nobody",
		owner:                     "has the rights of the owner",
		"postgres":                "has the rights of the owner",
		member:                    "has the rights of the owner",
		strings.Repeat("x", 64):   "no name",
		"\xff":                    "no name",
		"a\x00":                   "no name",
		"\x1b[2J":                 "no name",
		"a$gptoauth_grant$; x":    "quote of the statement",
		`a'; DROP ROLE x; --`:     `there is no role "a'; DROP ROLE x; --"`,
		`a\'; DROP ROLE x; --\`:   `there is no role "a\'; DROP ROLE x; --\"`,
		`a"b@role@`:               `there is no role "a""b@role@"`,
		strings.ToUpper("nobody"): `there is no role "NOBODY"`,
	} {
		_, err := migrations.Grant(t.Context(), w.owner, migrations.GrantParams{Role: role})
		require.ErrorContains(t, err, want, "%q", role)
	}
	require.Equal(t, before, describe(t, w.owner))

	role, db := w.newRole(t)
	_, err := migrations.Grant(t.Context(), db, migrations.GrantParams{Role: role})
	require.ErrorContains(t, err, insufficientPrivilege, "an application role cannot grant itself more")
	require.NoError(t, migrations.Lock(t.Context(), w.owner, "ann", "backup"))
	_, err = migrations.Grant(t.Context(), w.owner, migrations.GrantParams{Role: role})
	var held *migrations.HeldError
	require.ErrorAs(t, err, &held)
	require.NoError(t, migrations.Down(t.Context(), w.unheld(t), 99))
	exec(t, w.owner, "DROP TABLE public.gpt_migrations, public.gpt_migration_locks")
	statement, err := migrations.GrantSQL(migrations.GrantParams{Role: role})
	require.NoError(t, err)
	require.Equal(t, "55000", stateOf(t, w.owner, statement), "not migrated")
}

// TestGrantOfAnOddName: names need quotes in some places and none in others.
func TestGrantOfAnOddName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := `It's "odd", \ @role@ ` + newName("é")
	quoted := `"` + strings.ReplaceAll(role, `"`, `""`) + `"`
	exec(t, w.super, "CREATE ROLE "+quoted+" LOGIN PASSWORD '"+password+"'")
	w.grant(t, migrations.GrantParams{Role: role})
	runEverything(t, must(repo.New(w.as(t, role), repo.Config{})))
	grantees, err := migrations.Grantees(t.Context(), w.owner)
	require.NoError(t, err)
	require.Len(t, grantees, 1)
	require.Equal(t, role, grantees[0].Role)
	require.Empty(t, grantees[0].Missing)
}

// TestMigratingAfterAGrant: nothing that is granted stands in the way of a rollback, nothing of it comes back by itself,
// and Grantees tells it from drift.
func TestMigratingAfterAGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bare := describe(t, w.owner)
	role, db := w.newRole(t)
	w.grant(t, migrations.GrantParams{Role: role})
	granted := describe(t, w.owner)
	n := len(migrations.Migrations.Sorted())

	grantees, err := migrations.Grantees(t.Context(), w.owner)
	require.NoError(t, err)
	require.Len(t, grantees, 1)
	require.Empty(t, grantees[0].Missing)
	require.Equal(t, bare, without(granted, grantees[0].Lines), "what is left is what the migrations make")
	exec(t, w.owner, "GRANT SELECT (successor_nonce), UPDATE ON public.gpt_sessions TO "+role)
	again, err := migrations.Grantees(t.Context(), w.owner)
	require.NoError(t, err)
	require.Equal(t, []string{
		"grant SELECT on column public.gpt_sessions.successor_nonce to " + role, "grant UPDATE on table public.gpt_sessions to " + role,
	}, without(describe(t, w.owner), append(bare, again[0].Lines...)), "drift")

	require.NoError(t, migrations.Down(t.Context(), w.owner, n-1))
	require.NoError(t, migrations.Up(t.Context(), w.owner))
	grantees, err = migrations.Grantees(t.Context(), w.owner)
	require.NoError(t, err)
	require.Contains(t, grantees[0].Missing, "grant EXECUTE on function public.gpt_touch_session_v1(uuid,bigint) to "+role)
	w.grant(t, migrations.GrantParams{Role: role})
	require.Equal(t, granted, describe(t, w.owner))
	runEverything(t, must(repo.New(db, repo.Config{})))

	require.NoError(t, migrations.Down(t.Context(), w.owner, n))
	var pending *migrations.PendingError
	require.ErrorAs(t, migrations.Check(t.Context(), db), &pending, "the role can still tell")
	require.NoError(t, migrations.Up(t.Context(), w.owner))
	w.grant(t, migrations.GrantParams{Role: role})
	require.Equal(t, granted, describe(t, w.owner))

	// Adopting tables of unknown origin does not mind it.
	require.NoError(t, migrations.Down(t.Context(), w.owner, n-1))
	w.grant(t, migrations.GrantParams{Role: role})
	exec(t, w.owner, "DELETE FROM public.gpt_migrations")
	require.NoError(t, migrations.MarkApplied(t.Context(), w.owner))
	require.NoError(t, migrations.Up(t.Context(), w.owner))
}

// TestGrantsAndMigrationsAtOnce: both change the same rows of the catalogue.
func TestGrantsAndMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	roles := make([]string, 4)
	errs := make(chan error)
	for i := range roles {
		roles[i], _ = w.newRole(t)
		go func() {
			_, err := migrations.Grant(ctx, w.owner, migrations.GrantParams{Role: roles[i]})
			errs <- err
		}()
	}
	go func() {
		err := migrations.Down(ctx, w.super, 2)
		if err == nil {
			err = migrations.Up(ctx, w.super)
		}
		errs <- err
	}()
	for range len(roles) + 1 {
		require.NoError(t, <-errs)
	}
	grantees, err := migrations.Grantees(ctx, w.owner)
	require.NoError(t, err)
	require.Len(t, grantees, len(roles))
}

// unheld lifts a hold.
func (w *world) unheld(t *testing.T) *bun.DB {
	t.Helper()
	_, err := migrations.Unlock(t.Context(), w.owner)
	require.NoError(t, err)
	return w.owner
}

func without(lines, taken []string) []string {
	var rest []string
	for _, line := range lines {
		if !slices.Contains(taken, line) {
			rest = append(rest, line)
		}
	}
	return rest
}
