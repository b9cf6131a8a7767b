package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/migrations"
)

func TestDriftIsFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statement string
		texts     []string
	}{
		"AMissingIndex": {
			"DROP INDEX public.idx_gpt_sessions_ended_at",
			[]string{"The index idx_gpt_sessions_ended_at on public.gpt_sessions is missing."},
		},
		"AnInvalidIndex": {
			"UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'public.idx_gpt_sessions_ended_at'::regclass",
			[]string{"The index idx_gpt_sessions_ended_at on public.gpt_sessions is invalid"},
		},
		"AnExtraIndex": {
			"CREATE INDEX \"my own\" ON public.gpt_sessions (scope)",
			[]string{"The index \"my own\" on public.gpt_sessions is not made by any migration"},
		},
		"AChangedIndex": {
			"DROP INDEX public.idx_gpt_sessions_ended_at; CREATE INDEX idx_gpt_sessions_ended_at ON public.gpt_sessions (ended_at)",
			[]string{"The index idx_gpt_sessions_ended_at on public.gpt_sessions was changed"},
		},
		"AMissingConstraint": {
			"ALTER TABLE public.gpt_authorization_codes DROP CONSTRAINT gpt_authorization_codes_session_id_fkey",
			[]string{"The constraint gpt_authorization_codes_session_id_fkey on public.gpt_authorization_codes is missing."},
		},
		"AnExtraConstraint": {
			"ALTER TABLE public.gpt_sessions ADD CONSTRAINT mine CHECK (scope <> 'x')",
			[]string{"The constraint mine on public.gpt_sessions is not made by any migration"},
		},
		"AChangedColumn": {
			"ALTER TABLE public.gpt_sessions ALTER scope DROP NOT NULL",
			[]string{"The column public.gpt_sessions.scope was changed: it is text DEFAULT ''::text and should be text NOT NULL DEFAULT ''::text."},
		},
		"AnExtraColumn": {
			"ALTER TABLE public.gpt_sessions ADD mine int",
			[]string{"The column public.gpt_sessions.mine is not made by any migration"},
		},
		"AChangedFunction": {
			"ALTER FUNCTION public.gpt_end_user_v1(text, text, uuid) SET lock_timeout = '9s'",
			[]string{"The function public.gpt_end_user_v1(text,text,uuid) is not the one that the migrations make"},
		},
		"AnOverload": {
			"CREATE FUNCTION public.gpt_end_user_v1(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION public.gpt_end_user_v1(int) FROM PUBLIC",
			[]string{"The function public.gpt_end_user_v1(integer) is not made by any migration"},
		},
		"ATrigger": {
			"CREATE TRIGGER mine BEFORE UPDATE ON public.gpt_sessions FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
			[]string{"The trigger on public.gpt_sessions CREATE TRIGGER mine"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, db := newDatabase(t)
			exec(t, db, test.statement)
			requireOnly(t, examined(t, Patient{DB: db}), "drift", test.texts...)
		})
	}
}

// The fix of a missing index is the statement that makes it.
func TestAMissingIndexIsMendedByItsFix(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	for _, index := range []string{"idx_gpt_sessions_ended_at", "idx_gpt_refresh_tokens_rotated_to"} {
		exec(t, db, "DROP INDEX public."+index)
	}
	for _, finding := range examined(t, Patient{DB: db})["drift"].Findings {
		exec(t, db, finding.Fix)
	}
	require.Equal(t, OK, examined(t, Patient{DB: db})["drift"].Status)
}

// What a host has for itself is no drift, whatever it is called.
func TestTheHostsOwnTablesAreNoDrift(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	exec(t, db, "CREATE TABLE public.gpt_profiles (id int PRIMARY KEY, session uuid REFERENCES public.gpt_sessions)",
		"CREATE FUNCTION public.gpt_mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "GRANT ALL ON public.gpt_profiles TO anon")
	for id, result := range examined(t, Patient{DB: db}) {
		require.Equal(t, OK, result.Status, "%s: %+v", id, result)
	}
}

func TestMigrationsAreLookedAt(t *testing.T) {
	t.Parallel()
	t.Run("Pending", func(t *testing.T) {
		t.Parallel()
		_, db := newDatabase(t)
		require.NoError(t, migrations.Down(t.Context(), db, 1))
		results := examined(t, Patient{DB: db})
		requireFindings(t, results["migrations"], "1 migration pending: 20260310000003_tune_sessions.")
		require.Equal(t, NotLooked, results["drift"].Status)
		require.Contains(t, results["drift"].Reason, "see migrations")
	})
	t.Run("None", func(t *testing.T) {
		t.Parallel()
		_, db := newDatabase(t)
		exec(t, db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
		requireFindings(t, examined(t, Patient{DB: db})["migrations"], "8 migrations pending")
	})
	t.Run("ChangedUnknownAndHeld", func(t *testing.T) {
		t.Parallel()
		_, db := newDatabase(t)
		require.NoError(t, migrations.Lock(t.Context(), db, "ada", "backup"))
		exec(t, db, "UPDATE public.gpt_migrations SET checksum = 'x' WHERE name = '20260310000001'",
			"INSERT INTO public.gpt_migrations SELECT (jsonb_populate_record(m, '{\"id\": 99, \"name\": \"20260220000002\"}')).* FROM public.gpt_migrations AS m WHERE name = '20260220000001'",
			"UPDATE public.gpt_migration_locks SET since = since - interval '3 hours'")
		requireFindings(t, examined(t, Patient{DB: db})["migrations"], "1 migration edited after being applied: 20260310000001_erase_user.",
			"1 migration applied that this release should know and does not: 20260220000002_", "ada holds migrations back for 3 hours now: backup.")
	})
}

func TestRowSecurityIsLookedAt(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	exec(t, db, "ALTER TABLE public.gpt_sessions DISABLE ROW LEVEL SECURITY", "ALTER TABLE public.gpt_oauth_events FORCE ROW LEVEL SECURITY",
		"CREATE POLICY mine ON public.gpt_refresh_tokens FOR SELECT TO authenticated USING (true)")
	requireOnly(t, examined(t, Patient{DB: db}), "rls", "The policy mine on public.gpt_refresh_tokens is not one of gptoauth's",
		"Row level security is forced on public.gpt_oauth_events", "Row level security is off for public.gpt_sessions")
	for _, finding := range examined(t, Patient{DB: db})["rls"].Findings[1:] {
		exec(t, db, finding.Fix)
	}
	requireFindings(t, examined(t, Patient{DB: db})["rls"], "The policy mine")
}

func TestGrantsAreLookedAt(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	stranger := newName("stranger")
	exec(t, db, "CREATE ROLE "+stranger,
		"GRANT SELECT, INSERT ON public.gpt_sessions TO anon",
		"GRANT SELECT (code) ON public.gpt_authorization_codes TO authenticated",
		"GRANT EXECUTE ON FUNCTION public.gpt_end_user_v1(text, text, uuid) TO PUBLIC",
		"GRANT DELETE ON public.gpt_oauth_events TO "+stranger)
	results := examined(t, Patient{DB: db})
	requireOnly(t, results, "grants",
		stranger+" may DELETE on the table public.gpt_oauth_events.",
		"Every role (PUBLIC) may EXECUTE on the function public.gpt_end_user_v1(text,text,uuid).",
		"anon, and with it Supabase's API, may INSERT, SELECT on the table public.gpt_sessions.",
		"authenticated, and with it Supabase's API, may SELECT (code) on the table public.gpt_authorization_codes.")
	for _, finding := range results["grants"].Findings[1:] {
		exec(t, db, finding.Fix)
	}
	requireFindings(t, examined(t, Patient{DB: db})["grants"], stranger)
}

func TestApplicationRolesAreExplained(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	app := newName("app")
	exec(t, db, "CREATE ROLE "+app)
	_, err := migrations.Grant(t.Context(), db, migrations.GrantParams{Role: app})
	require.NoError(t, err)
	results := examined(t, Patient{DB: db})
	require.Equal(t, OK, results["grants"].Status, "%+v", results["grants"])
	require.Equal(t, OK, results["rls"].Status, "%+v", results["rls"])
	require.Contains(t, results["grants"].Seen, app)

	exec(t, db, "REVOKE EXECUTE ON FUNCTION public.gpt_end_user_v1(text, text, uuid) FROM "+app)
	requireOnly(t, examined(t, Patient{DB: db}), "grants", "The role "+app+" lacks 1 right that the store needs")
}
