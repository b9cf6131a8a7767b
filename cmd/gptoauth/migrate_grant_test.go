package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
)

// TestGrant has a server of its own, because roles belong to a server.
func TestGrant(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{})
	require.NoError(t, err)
	databaseURL := server.URL("postgres")
	const role = "auth_server"
	execIn(t, databaseURL, "CREATE ROLE "+role)

	o := gptoauth(t, databaseURL, "migrate", "grant", role)
	require.Equal(t, exitFailed, o.code)
	require.Contains(t, o.stderr, "this database is not migrated")
	require.Empty(t, schemaOf(t, databaseURL), "not even the bookkeeping is left behind")
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "up").code)
	bare := schemaOf(t, databaseURL)

	o = gptoauth(t, databaseURL, "migrate", "grant", "--dry-run", role)
	require.Equal(t, exitDone, o.code, o.stderr)
	require.Contains(t, o.stdout, "+ grant EXECUTE on function public.gpt_touch_session_v1(uuid,bigint) to "+role+"\n")
	require.NotContains(t, o.stdout, "successor_nonce")
	require.Equal(t, bare, schemaOf(t, databaseURL))
	granted := gptoauth(t, databaseURL, "migrate", "grant", role)
	require.Equal(t, exitDone, granted.code)
	require.Equal(t, o.stdout, granted.stdout)
	require.Regexp(t, `^auth_server has its rights changed: \d+ added, 0 removed\n$`, granted.stderr)
	require.Equal(t, outcome{exitDone, "nothing to change\n", ""}, gptoauth(t, databaseURL, "migrate", "grant", role))

	// What a migration adds is granted to no one, and that is said.
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "rollback", "--yes", "--steps", "99").code)
	o = gptoauth(t, databaseURL, "migrate", "up")
	require.Equal(t, exitDone, o.code)
	require.Regexp(t, `(?m)^the role auth_server lacks \d+ rights: gptoauth migrate grant auth_server$`, o.stderr)
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "grant", role).code)
	require.Equal(t, outcome{exitDone, "nothing is pending\n", ""}, gptoauth(t, databaseURL, "migrate", "up"))

	execIn(t, databaseURL, "GRANT TRUNCATE ON public.gpt_oauth_events TO "+role)
	o = gptoauth(t, databaseURL, "migrate", "grant", role, "--json")
	requireDocumented(t, "migrate grant", []byte(o.stdout))
	requireJSON(t, `{"role": "auth_server", "dry_run": false, "added": [], "removed": ["grant TRUNCATE on table public.gpt_oauth_events to auth_server"]}`, o)

	// The SQL needs no database, and does the same.
	withGrant := schemaOf(t, databaseURL)
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "grant", "--revoke", role).code)
	require.Equal(t, bare, schemaOf(t, databaseURL))
	o = gptoauth(t, "", "migrate", "grant", "--dry-run", "--show-sql", role)
	require.Equal(t, exitDone, o.code)
	execIn(t, databaseURL, o.stdout)
	require.Equal(t, withGrant, schemaOf(t, databaseURL))
	var shown map[string]string
	require.NoError(t, json.Unmarshal([]byte(gptoauth(t, "", "migrate", "grant", "--dry-run", "--show-sql", "--json", role).stdout), &shown))
	require.Equal(t, o.stdout, shown["sql"])

	for _, refused := range []struct {
		args []string
		code int
		why  string
	}{
		{nil, exitUsage, "ROLE is missing"},
		{[]string{""}, exitUsage, "the role is empty"},
		{[]string{"--show-sql", role}, exitUsage, "--show-sql is for --dry-run"},
		{[]string{"--erase", "--revoke", role}, exitUsage, "--erase is not for it"},
		{[]string{strings.Repeat("x", 64)}, exitUsage, "no name in PostgreSQL"},
		{[]string{"nobody"}, exitFailed, "there is no role nobody"},
		{[]string{"postgres"}, exitFailed, "has the rights of the owner"},
	} {
		o := gptoauth(t, databaseURL, append([]string{"migrate", "grant"}, refused.args...)...)
		require.Equal(t, refused.code, o.code, refused.why)
		require.Contains(t, o.stderr, refused.why)
		require.Empty(t, o.stdout)
	}
	require.Equal(t, withGrant, schemaOf(t, databaseURL))
	require.NoError(t, migrations.Check(t.Context(), openTest(t, databaseURL)))
}
