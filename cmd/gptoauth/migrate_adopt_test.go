package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

// adoptable is the URL of a database with the four tables and no record of where they are from.
func adoptable(t testing.TB) string {
	t.Helper()
	databaseURL := repotest.URL(t)
	for _, file := range known()[1:] {
		require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "rollback", "--yes").code, file)
	}
	execIn(t, databaseURL, `DROP TABLE public.gpt_migrations, public.gpt_migration_locks`,
		`INSERT INTO public.gpt_oauth_events (event_type) VALUES ('job_search')`)
	return databaseURL
}

func TestMarkApplied(t *testing.T) {
	t.Parallel()
	databaseURL, first := adoptable(t), known()[0]
	recorded := `"migration": {"id": "` + first[:14] + `", "name": "` + first[15:] + `", "status": "applied", "applied_at": "TIME"}, "missing": [], "extra": []`
	o := gptoauth(t, databaseURL, "migrate", "mark-applied", "--json")
	require.Equal(t, exitDone, o.code, o.stderr)
	requireJSON(t, `{"adopted": true, `+recorded+`}`, o)
	o = gptoauth(t, databaseURL, "migrate", "mark-applied", "--json")
	requireJSON(t, `{"adopted": false, `+recorded+`}`, o)

	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "up").code)
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "check").code)
	var events int
	require.NoError(t, openTest(t, databaseURL).QueryRowContext(t.Context(), `SELECT count(*) FROM public.gpt_oauth_events`).Scan(&events))
	require.Equal(t, 1, events)
}

func TestMarkAppliedSaysWhatComesNext(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, adoptable(t), "migrate", "mark-applied")
	require.Equal(t, outcome{
		exitDone, "the tables are those of " + known()[0] + ", which is recorded as applied\n", "next: gptoauth migrate up\n",
	}, o)
}

func TestMarkAppliedShowsDrift(t *testing.T) {
	t.Parallel()
	databaseURL := adoptable(t)
	execIn(t, databaseURL, `ALTER TABLE public.gpt_sessions ADD COLUMN device text`, `DROP INDEX public.idx_gpt_auth_codes_active`)
	before := schemaOf(t, databaseURL)

	o := gptoauth(t, databaseURL, "migrate", "mark-applied")
	require.Equal(t, exitDrifted, o.code)
	require.Empty(t, o.stdout)
	require.Regexp(t, `^gptoauth: migrate mark-applied: the tables are not those of migration \d{14}
  missing: index on public.gpt_authorization_codes .*idx_gpt_auth_codes_active.*
  extra: column public.gpt_sessions.device text
$`, o.stderr)

	o = gptoauth(t, databaseURL, "migrate", "mark-applied", "--json")
	require.Equal(t, exitDrifted, o.code)
	var result adoptResult
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &result))
	require.False(t, result.Adopted)
	require.Equal(t, "pending", result.Migration.Status)
	require.Len(t, result.Missing, 1)
	require.Equal(t, []string{"column public.gpt_sessions.device text"}, result.Extra)
	require.Equal(t, before, schemaOf(t, databaseURL))
}

func TestMarkAppliedFindsNothing(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, emptyURL(t), "migrate", "mark-applied")
	require.Equal(t, outcome{
		exitFailed, "", "gptoauth: migrate mark-applied: none of the tables of the first migration exists; gptoauth migrate up makes them\n",
	}, o)
}

func TestInit(t *testing.T) {
	t.Parallel()
	databaseURL := emptyURL(t)
	for range 2 {
		requireJSON(t, `{"tables": ["public.gpt_migrations", "public.gpt_migration_locks"]}`, gptoauth(t, databaseURL, "migrate", "init", "--json"))
	}
	require.NotEmpty(t, schemaOf(t, databaseURL))
}
