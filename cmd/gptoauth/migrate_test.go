package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// known are the migrations of this release, oldest first, as "<id>_<name>".
func known() []string {
	var list []string
	for _, m := range migrations.Migrations.Sorted() {
		list = append(list, fileOf(m.Name, m.Comment))
	}
	return list
}

// listJSON is the list in the JSON of migrations.
func listJSON(files []string, fields string) string {
	var list []string
	for _, file := range files {
		id, name, _ := strings.Cut(file, "_")
		list = append(list, fmt.Sprintf(`{"id": %q, "name": %q%s}`, id, name, fields))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func reversed(list []string) []string {
	var result []string
	for _, s := range list {
		result = append([]string{s}, result...)
	}
	return result
}

func lines(prefix string, files []string) string {
	var b strings.Builder
	for _, file := range files {
		b.WriteString(prefix + file + "\n")
	}
	return b.String()
}

func TestFromEmptyToMigratedAndBack(t *testing.T) {
	t.Parallel()
	databaseURL, all := emptyURL(t), known()
	n := len(all)
	newest := all[n-1:]
	nothing := schemaOf(t, databaseURL)

	// Looking changes nothing.
	o := gptoauth(t, databaseURL, "migrate", "status")
	require.Equal(t, exitDone, o.code)
	require.Equal(t, n, strings.Count(o.stdout, "  pending\n"))
	require.Contains(t, o.stdout, fmt.Sprintf("\n%d pending\n", n))
	requireJSON(t, `{"hold": null, "migrations": `+listJSON(all, `, "status": "pending"`)+`}`, gptoauth(t, databaseURL, "migrate", "status", "--json"))
	o = gptoauth(t, databaseURL, "migrate", "check")
	require.Equal(t, exitDrifted, o.code)
	require.Empty(t, o.stdout)
	require.Regexp(t, `^gptoauth: migrate check: pending migrations: \d{14}, .*; gptoauth migrate up applies them\n$`, o.stderr)
	require.Equal(t, outcome{exitDone, lines("would apply ", all), ""}, gptoauth(t, databaseURL, "migrate", "up", "--dry-run"))
	requireJSON(t, `{"dry_run": true, "migrations": `+listJSON(all, "")+`}`, gptoauth(t, databaseURL, "migrate", "up", "--dry-run", "--json"))
	o = gptoauth(t, databaseURL, "migrate", "up", "--dry-run", "--show-sql")
	require.Contains(t, o.stdout, "CREATE TABLE public.gpt_refresh_tokens")
	require.Equal(t, outcome{exitDone, "nothing is applied\n", ""}, gptoauth(t, databaseURL, "migrate", "rollback"))
	require.Equal(t, nothing, schemaOf(t, databaseURL))

	// Up.
	require.Equal(t, outcome{exitDone, fmt.Sprintf("%d migrations applied\n", n), lines("applied ", all)}, gptoauth(t, databaseURL, "migrate", "up"))
	require.Equal(t, outcome{exitDone, "nothing is pending\n", ""}, gptoauth(t, databaseURL, "migrate", "up"))
	require.Equal(t, outcome{exitDone, "nothing is pending\n", ""}, gptoauth(t, databaseURL, "migrate", "up", "--dry-run"))
	o = gptoauth(t, databaseURL, "migrate", "status")
	require.Regexp(t, `(?m)^`+strings.Replace(all[0], "_", "  ", 1)+` +applied  \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$`, o.stdout)
	require.Contains(t, o.stdout, fmt.Sprintf("\n%d applied\n", n))
	requireJSON(t, `{"hold": null, "migrations": `+listJSON(all, `, "status": "applied", "applied_at": "TIME"`)+`}`,
		gptoauth(t, databaseURL, "migrate", "status", "--json"))
	requireJSON(t, `{"ok": true, "problem": "", "migrations": []}`, gptoauth(t, databaseURL, "migrate", "check", "--json"))
	migrated := schemaOf(t, databaseURL)

	// Down asks first.
	require.Equal(t, outcome{exitDone, lines("would undo ", newest), ""}, gptoauth(t, databaseURL, "migrate", "rollback", "--dry-run"))
	o = gptoauth(t, databaseURL, "migrate", "rollback")
	require.Equal(t, exitUsage, o.code)
	require.Contains(t, o.stderr, "there is no terminal to ask on: confirm with --yes")
	require.Equal(t, migrated, schemaOf(t, databaseURL))
	require.Equal(t, outcome{exitDone, "1 migration undone\n", lines("undone ", newest)}, gptoauth(t, databaseURL, "migrate", "rollback", "--yes"))

	// Up again, and down to nothing, in JSON.
	o = gptoauth(t, databaseURL, "migrate", "check", "--json")
	require.Equal(t, exitDrifted, o.code)
	requireJSON(t, `{"ok": false, "problem": "pending", "migrations": ["`+newest[0][:14]+`"]}`, o)
	requireJSON(t, `{"dry_run": false, "migrations": `+listJSON(newest, `, "applied_at": "TIME"`)+`}`, gptoauth(t, databaseURL, "migrate", "up", "--json"))
	require.Equal(t, migrated, schemaOf(t, databaseURL))
	o = gptoauth(t, databaseURL, "migrate", "rollback", "--steps", "99", "-y", "--json")
	requireJSON(t, `{"dry_run": false, "migrations": `+listJSON(reversed(all), `, "applied_at": "TIME"`)+`}`, o)
	for _, line := range schemaOf(t, databaseURL) {
		require.Contains(t, line, "gpt_migration")
	}
}

func TestDryRunShowsTheSQLThatRuns(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	o := gptoauth(t, databaseURL, "migrate", "rollback", "--steps", "99", "--dry-run", "--show-sql", "--json")
	var down changes
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &down))
	require.True(t, down.DryRun)
	for _, m := range down.Migrations {
		execIn(t, databaseURL, m.SQL, `DELETE FROM public.gpt_migrations WHERE name = '`+m.ID+`'`)
	}
	require.Equal(t, outcome{exitDone, lines("would apply ", known()), ""}, gptoauth(t, databaseURL, "migrate", "up", "--dry-run"))
}

// The names of the db command in Bun's starter kit do what one expects there.
func TestBunsNamesWork(t *testing.T) {
	t.Parallel()
	databaseURL, dir := emptyURL(t), t.TempDir()
	for _, step := range []struct {
		args   []string
		stdout string
	}{
		{[]string{"db", "init"}, "public.gpt_migrations\n"},
		{[]string{"db", "migrate"}, "migrations applied\n"},
		{[]string{"db", "rollback", "--yes"}, "1 migration undone\n"},
		{[]string{"db", "lock"}, "): no reason given\n"},
		{[]string{"db", "unlock"}, "lifted: held by "},
		{[]string{"db", "status"}, "1 pending\n"},
		{[]string{"db", "mark_applied"}, "is recorded as applied already, since "},
		{[]string{"db", "create_go", "--dir", dir, "a"}, "_a.go\n"},
		{[]string{"db", "create_sql", "--dir", dir, "b"}, "_b.up.sql\n"},
		{[]string{"db", "create_tx_sql", "--dir", dir, "c"}, "_c.tx.up.sql\n"},
	} {
		o := gptoauth(t, databaseURL, step.args...)
		require.Equal(t, exitDone, o.code, "%s: %s", step.args, o.stderr)
		require.Contains(t, o.stdout, step.stdout, step.args)
	}
}

// What the history of the database can be, and what status, check and up say of it.
func TestDrift(t *testing.T) {
	t.Parallel()
	all := known()
	first, second := all[0], all[1]
	newest := all[len(all)-1]
	for name, test := range map[string]struct {
		change  string
		status  string
		code    int // of check and up
		problem string
		ids     string
		stderr  string
	}{
		"Changed": {
			`UPDATE public.gpt_migrations SET checksum = repeat('0', 64) WHERE name = '` + second[:14] + `'`,
			second[:14] + ".* changed ", exitDrifted, "changed", `"` + second[:14] + `"`,
			"migration " + second + " was edited after it was applied",
		},
		"Unknown": {
			`INSERT INTO public.gpt_migrations (name, comment, checksum, group_id) VALUES ('20260220000002', E'lost\x1b[31m', '', 9)`,
			`20260220000002  lost\?\[31m +unknown `, exitDrifted, "unknown", `"20260220000002"`,
			"applied migrations unknown to this binary: 20260220000002; use the release that has them",
		},
		"OutOfOrder": {
			`DELETE FROM public.gpt_migrations WHERE name = '` + first[:14] + `'`,
			first[:14] + ".* pending", exitDrifted, "out_of_order", `"` + first[:14] + `"`,
			"migration " + first[:14] + " is out of order: the newer " + newest[:14] + " is applied",
		},
		"Ahead": {
			`INSERT INTO public.gpt_migrations (name, comment, checksum, group_id) VALUES ('29990101000000', 'of_tomorrow', '', 9)`,
			`29990101000000  of_tomorrow +ahead `, exitDone, "", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL := repotest.URL(t)
			execIn(t, databaseURL, test.change)
			o := gptoauth(t, databaseURL, "migrate", "status")
			require.Equal(t, exitDone, o.code)
			require.Regexp(t, test.status, o.stdout)

			o = gptoauth(t, databaseURL, "migrate", "check", "--json")
			require.Equal(t, test.code, o.code)
			requireJSON(t, fmt.Sprintf(`{"ok": %t, "problem": %q, "migrations": [%s]}`, test.problem == "", test.problem, test.ids), o)
			for _, command := range []string{"check", "up"} {
				o := gptoauth(t, databaseURL, "migrate", command)
				require.Equal(t, test.code, o.code)
				require.Contains(t, o.stderr, test.stderr)
				require.LessOrEqual(t, strings.Count(o.stderr, "\n"), 1)
			}
			require.Equal(t, exitDrifted, gptoauth(t, databaseURL, "migrate", "rollback", "--yes").code)
		})
	}
}
