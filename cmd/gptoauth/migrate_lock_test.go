package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestHold(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "rollback", "--yes").code)
	requireJSON(t, `{"held": false, "hold": null}`, gptoauth(t, databaseURL, "migrate", "unlock", "--json"))
	require.Equal(t, outcome{exitDone, "nothing was held\n", ""}, gptoauth(t, databaseURL, "migrate", "unlock"))

	o := gptoauth(t, databaseURL, "migrate", "lock", "--holder", "ada", "--reason", "backup\x1b[31m", "--json")
	requireJSON(t, `{"held": true, "hold": {"holder": "ada", "reason": "backup\u001b[31m", "since": "TIME", "age_seconds": 0}}`, o)
	execIn(t, databaseURL, `UPDATE public.gpt_migration_locks SET since = since - interval '90 minutes'`)

	held := `migrations are held by ada for 1 h 30 min: backup?[31m; gptoauth migrate unlock lifts it` + "\n"
	before := schemaOf(t, databaseURL)
	for _, command := range [][]string{{"up"}, {"rollback", "--yes"}, {"lock"}} {
		o := gptoauth(t, databaseURL, append([]string{"migrate"}, command...)...)
		require.Equal(t, outcome{exitFailed, "", "gptoauth: migrate " + command[0] + ": " + held}, o)
	}
	require.Equal(t, before, schemaOf(t, databaseURL))
	o = gptoauth(t, databaseURL, "migrate", "up", "--dry-run")
	require.Equal(t, exitDone, o.code)
	require.Equal(t, "this would fail now: "+held, o.stderr)
	o = gptoauth(t, databaseURL, "migrate", "status")
	require.Regexp(t, `\n1?\d applied, 1 pending\nheld by ada since [-0-9]{10} [:0-9]{8}Z \(1 h 30 min\): backup\?\[31m\n$`, o.stdout)
	require.Contains(t, gptoauth(t, databaseURL, "migrate", "status", "--json").stdout, `"holder": "ada"`)

	require.Regexp(t, `^lifted: held by ada since .*\(1 h 30 min\): backup`, gptoauth(t, databaseURL, "migrate", "unlock").stdout)
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "up").code)

	// Who holds is known without saying it.
	require.Regexp(t, `^held by \S+@\S+ since .* \(less than a second\): no reason given\n$`, gptoauth(t, databaseURL, "migrate", "lock").stdout)
	requireJSON(t, `{"ok": true, "problem": "", "migrations": []}`, gptoauth(t, databaseURL, "migrate", "check", "--json"))
}
