package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// testStore is a store over the database that the program is run against.
func testStore(t testing.TB, databaseURL string) *repo.Store {
	t.Helper()
	store, err := repo.New(openTest(t, databaseURL), repo.Config{})
	require.NoError(t, err)
	return store
}

func TestPurge(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	store := testStore(t, databaseURL)
	repotest.NewSession(t, store, repo.IssueParams{}, 2)
	repotest.Age(t, store, 401*24*time.Hour)
	repotest.NewSession(t, store, repo.IssueParams{}, 2)

	const table = `                  %s
codes                            1
sessions                         1
tokens                           3
events                           4
nonces (cleared)                 0
`
	o := gptoauth(t, databaseURL, "purge", "--dry-run")
	require.Equal(t, outcome{exitDone, strings.ReplaceAll(table, "%s", "would be deleted"), ""}, o)
	counts := `{"codes": 1, "sessions": 1, "tokens": 3, "nonces": 0, "events": 4}`
	requireJSON(t, `{"dry_run": true, "complete": false, "counts": `+counts+`, "batches": 0, "seconds": 0, "paused_seconds": 0}`,
		gptoauth(t, databaseURL, "purge", "--dry-run", "--json"))

	o = gptoauth(t, databaseURL, "purge", "--codes", "off", "--sessions", "off", "--events", "500d")
	require.Equal(t, exitDone, o.code)
	require.Regexp(t, `events +0\n`, o.stdout)

	archive := filepath.Join(t.TempDir(), "events.ndjson")
	o = gptoauth(t, databaseURL, "purge", "--archive", archive)
	require.Equal(t, exitDone, o.code)
	require.Empty(t, o.stderr)
	require.Regexp(t, `^ +deleted\ncodes +1\nsessions +1\ntokens +3\nevents +4\nnonces \(cleared\) +0\n\d batches in \d+\.\d s, of which \d+\.\d s were pauses\n$`, o.stdout)
	lines, err := os.ReadFile(archive)
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(lines), "\n"))

	requireJSON(t, `{"dry_run": true, "complete": false, "counts": {"codes": 0, "sessions": 0, "tokens": 0, "nonces": 0, "events": 0}, "batches": 0, "seconds": 0, "paused_seconds": 0}`,
		gptoauth(t, databaseURL, "purge", "--dry-run", "--json"))
}

func TestPurgeCheck(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	require.Equal(t, outcome{exitDone, "no orphans, and every foreign key is in place\n", ""}, gptoauth(t, databaseURL, "purge", "--check"))
	requireJSON(t, `{"ok": true, "orphans": []}`, gptoauth(t, databaseURL, "purge", "--check", "--json"))

	execIn(t, databaseURL, `ALTER TABLE public.gpt_refresh_tokens DROP CONSTRAINT gpt_refresh_tokens_rotated_to_fkey`)
	o := gptoauth(t, databaseURL, "purge", "--check")
	require.Equal(t, exitDrifted, o.code)
	require.Equal(t, "1 foreign keys missing or not valid\n", o.stdout)
	requireJSON(t, `{"ok": false, "orphans": [{"name": "foreign keys missing or not valid", "rows": 1}]}`, gptoauth(t, databaseURL, "purge", "--check", "--json"))
}

func TestPurgeUsage(t *testing.T) {
	t.Parallel()
	for stderr, args := range map[string][]string{
		"--codes is not a duration such as 30d, 24h or 90m, nor off": {"--codes", "soon"},
		"--events is not a duration":                                 {"--events", "-1d"},
		"Sessions must be at least 1m0s":                             {"--sessions", "1s"},
		"Rotated must be at least 24h0m0s":                           {"--rotated", "1h"},
		"BatchSize must be between 1 and 10,000":                     {"--batch-size", "20000"},
	} {
		o := gptoauth(t, "", append([]string{"purge"}, args...)...)
		require.Equal(t, exitUsage, o.code, args)
		require.Contains(t, o.stderr, stderr)
	}
}

func TestProgressBar(t *testing.T) {
	t.Parallel()
	bar := &progressBar{total: 200, rows: 50}
	require.Equal(t, "[######------------------]  25 %  50 of 200  events  30.00 s left", bar.line("events", 10*time.Second))
	bar.rows = 300
	require.Equal(t, "[########################] 100 %  300 of 300  events", bar.line("events", 10*time.Second))
}
