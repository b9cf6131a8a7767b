package migrations_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// supabaseRoles are those that Supabase's API acts as, made as Supabase makes them, and what their privileges default to in
// a schema whose tables @owner@ creates.
var supabaseRoles = []string{
	`DO $$ BEGIN
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
			CREATE ROLE anon NOLOGIN;
			CREATE ROLE authenticated NOLOGIN;
			CREATE ROLE service_role NOLOGIN BYPASSRLS;
			CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD '` + password + `';
			GRANT anon, authenticated, service_role TO authenticator;
		END IF;
	END $$`,
	`GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role`,
	`ALTER DEFAULT PRIVILEGES FOR ROLE @owner@ IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role`,
	`ALTER DEFAULT PRIVILEGES FOR ROLE @owner@ IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role`,
	`ALTER DEFAULT PRIVILEGES FOR ROLE @owner@ IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role`,
}

var apiRoles = []string{"anon", "authenticated", "service_role"}

// TestSupabase is one test, because its first part needs a server without these roles.
func TestSupabase(t *testing.T) {
	t.Parallel()

	before := newWorld(t)
	fill(t, before)
	for _, statement := range supabaseRoles {
		exec(t, before.super, strings.ReplaceAll(statement, "@owner@", owner(t, before)))
	}
	requireShutOut(t, before, "roles that come after the migrations")

	after := newWorld(t, supabaseRoles...)
	fill(t, after)
	requireShutOut(t, after, "roles that were there before")

	// A table of the host's own shows that the defaults are in force, and that the checks find what is open.
	for _, w := range []*world{before, after} {
		exec(t, w.owner, `CREATE TABLE public.host (id bigserial, note text)`)
		exec(t, w.owner, `CREATE FUNCTION public.host() RETURNS int LANGUAGE sql AS 'SELECT 1'`)
		api := w.as(t, "authenticator")
		for _, role := range apiRoles {
			for _, statement := range []string{"SELECT note FROM public.host", "TRUNCATE public.host", "SELECT nextval('public.host_id_seq')", "SELECT public.host()"} {
				require.Equal(t, "00000", stateAs(t, api, role, statement), "%s: %s", role, statement)
			}
		}
	}

	t.Run("DownAndUpLeavesNothingOpen", func(t *testing.T) {
		require.NoError(t, migrations.Down(t.Context(), after.owner, 99))
		require.NoError(t, migrations.Up(t.Context(), after.owner))
		fill(t, after)
		requireShutOut(t, after, "after down and up")
	})

	t.Run("AnApplicationRoleBesideThemWorks", func(t *testing.T) {
		role, db := after.newRole(t)
		after.grant(t, migrations.GrantParams{Role: role})
		runEverything(t, must(repo.New(db, repo.Config{})))
		requireShutOut(t, after, "beside an application role")
	})

	t.Run("ARoleOfTheAPIIsNoApplicationRole", func(t *testing.T) {
		role, _ := after.newRole(t)
		exec(t, after.super, "GRANT "+role+" TO authenticated")
		for _, role := range append(apiRoles, role) {
			_, err := migrations.Grant(t.Context(), after.owner, migrations.GrantParams{Role: role})
			require.ErrorContains(t, err, "is one of the API's", role)
		}
	})

	t.Run("AFieldGrantOpensNoTableToThoseUnderRowSecurity", func(t *testing.T) {
		exec(t, after.owner, "GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated") // from a tutorial
		api := after.as(t, "authenticator")
		for _, table := range tables(t, after) {
			for _, role := range apiRoles[:2] {
				require.Equal(t, "22012", stateAs(t, api, role, "SELECT 1 / count(*) FROM public."+table), "no row of %s", table)
				require.Equal(t, "00000", stateAs(t, api, role, "DELETE FROM public."+table), "no row of %s to delete", table)
			}
		}
		require.Contains(t, describe(t, after.owner), "grant SELECT on table public.gpt_sessions to anon", "and it shows")
	})
}

// fill puts rows into every table, a hold included.
func fill(t *testing.T, w *world) {
	t.Helper()
	repotest.NewSession(t, must(repo.New(w.owner, repo.Config{})), repo.IssueParams{}, 1)
	exec(t, w.owner, "INSERT INTO public.gpt_migration_locks (holder, reason) VALUES ('ann', 'test') ON CONFLICT DO NOTHING")
	for _, table := range tables(t, w) {
		require.Equal(t, "00000", stateOf(t, w.owner, "SELECT 1 / count(*) FROM public."+table), table)
	}
	_, err := migrations.Unlock(t.Context(), w.owner)
	require.NoError(t, err)
}

func tables(t *testing.T, w *world) []string {
	t.Helper()
	names := texts(t, w.owner, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^gpt_'`)
	require.GreaterOrEqual(t, len(names), 6)
	return names
}

func owner(t *testing.T, w *world) string {
	t.Helper()
	return texts(t, w.owner, "SELECT current_user")[0]
}

// requireShutOut tries every table, column, sequence and function, as each role of the API.
func requireShutOut(t *testing.T, w *world, when string) {
	t.Helper()
	api := w.as(t, "authenticator")
	statements := map[string]string{} // by what they try
	for _, table := range tables(t, w) {
		statements["count "+table] = "SELECT count(*) FROM public." + table
		statements["insert "+table] = "INSERT INTO public." + table + " DEFAULT VALUES"
		statements["delete "+table] = "DELETE FROM public." + table
		statements["truncate "+table] = "TRUNCATE public." + table + " CASCADE"
		statements["lock "+table] = "LOCK TABLE public." + table + " IN ACCESS SHARE MODE"
		statements["trigger "+table] = "CREATE TRIGGER t BEFORE INSERT ON public." + table + " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
		statements["copy "+table] = "COPY public." + table + " TO STDOUT"
	}
	for _, column := range texts(t, w.owner, `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name ~ '^gpt_'`) {
		table, name, _ := strings.Cut(column, ".")
		statements["select "+column] = "SELECT " + name + " FROM public." + table
		statements["update "+column] = "UPDATE public." + table + " SET " + name + " = NULL"
	}
	for _, sequence := range texts(t, w.owner, `SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND sequencename ~ '^gpt_'`) {
		statements["nextval "+sequence] = "SELECT nextval('public." + sequence + "')"
		statements["setval "+sequence] = "SELECT setval('public." + sequence + "', 1)"
		statements["select "+sequence] = "SELECT last_value FROM public." + sequence
	}
	for name, call := range nullCalls(t, w.owner) {
		statements["call "+name] = call
	}
	require.Greater(t, len(statements), 100)

	for _, role := range apiRoles {
		for what, statement := range statements {
			require.Equal(t, insufficientPrivilege, stateAs(t, api, role, statement), "%s, %s: %s", when, role, what)
		}
		for _, view := range []string{"tables", "columns", "table_privileges", "column_privileges", "triggers", "table_constraints"} {
			name := "table_name"
			if view == "triggers" {
				name = "event_object_table"
			}
			require.Equal(t, "22012", stateAs(t, api, role, "SELECT 1 / count(*) FROM information_schema."+view+" WHERE "+name+" ~ '^gpt_'"),
				"%s, %s sees something in %s", when, role, view)
		}
		require.Equal(t, "22012", stateAs(t, api, role, `SELECT 1 / count(*) FROM pg_catalog.pg_proc AS p
			WHERE p.proname ~ '^gpt_' AND has_function_privilege(p.oid, 'EXECUTE')`))
	}
	for _, line := range describe(t, w.owner) {
		for _, role := range append(apiRoles, "PUBLIC") {
			require.False(t, strings.HasPrefix(line, "grant ") && strings.HasSuffix(line, " to "+role), line)
		}
	}
}

// stateAs is stateOf for a role that the API takes on, as PostgREST does.
func stateAs(t *testing.T, api *bun.DB, role, statement string) string {
	t.Helper()
	return stateOf(t, api, "SET LOCAL ROLE "+role+"; "+statement)
}
