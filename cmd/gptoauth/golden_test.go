package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

var update = flag.Bool("update", false, "write the golden files anew")

//go:embed testdata/story.sql
var storySQL string

// storyToken is the second generation of the first session of the story.
const storyToken = "gptr_AZ2cAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8hmNMV"

const (
	storySession = "01990000-0000-7000-8000-00000051beef"
	storyDays    = "--since 2026-03-01 --until 2026-03-03"
)

// storyURL is a database with the story in it. All its ids and times are written there, so that what is printed is always
// the same.
func storyURL(t testing.TB) string {
	t.Helper()
	databaseURL := repotest.URL(t)
	execIn(t, databaseURL, storySQL)
	return databaseURL
}

// What the commands print, to the letter: go test -run TestGolden -update ./cmd/gptoauth writes it anew, to be read in the diff.
func TestGolden(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	for name, test := range map[string]struct {
		args  string // separated by spaces
		stdin string
	}{
		"events_list":                   {args: "events list"},
		"events_list_alarms":            {args: "events list --type token_reuse --since 2026-03-01"},
		"events_list_by_address":        {args: "events list --ip 203.0.113.66"},
		"events_list_by_client_in_time": {args: "events list --client client_1 --since 2026-03-01T13:30:00Z --until 2026-03-02"},
		"events_list_by_session_json":   {args: "events list --session " + storySession + " --limit 2 --json"},
		"events_list_nothing":           {args: "events list --user nobody"},
		"events_list_nothing_json":      {args: "events list --user nobody --json"},
		"events_timeline_user":          {args: "events timeline --user user_2ada"},
		"events_timeline_session":       {args: "events timeline --session " + storySession},
		"events_timeline_json":          {args: "events timeline --user user_2eve --json"},
		"events_stats":                  {args: "events stats " + storyDays},
		"events_stats_buckets":          {args: "events stats --by type --bucket 1h " + storyDays},
		"events_stats_buckets_json":     {args: "events stats --by client --bucket 1d --top 1 --json " + storyDays},
		"events_stats_by_user":          {args: "events stats --by user --top 1 " + storyDays},
		"events_stats_by_ip":            {args: "events stats --by ip " + storyDays},
		"tokens_trace_token":            {args: "tokens trace", stdin: storyToken + "\n"},
		"tokens_trace_session":          {args: "tokens trace 01990000-0000-7000-8000-00000053beef"},
		"tokens_trace_hash":             {args: "tokens trace " + digestOf("b1")[:12]},
		"tokens_trace_json":             {args: "tokens trace 01990000-0000-7000-8000-000000a1beef --json"},
		"tokens_stats":                  {args: "tokens stats --timeout 0 " + storyDays},
		"tokens_stats_json":             {args: "tokens stats --json --timeout 0 " + storyDays},
		"help_events":                   {args: "events --help"},
		"help_events_list":              {args: "events list --help"},
		"help_events_tail":              {args: "events tail --help"},
		"help_events_timeline":          {args: "events timeline --help"},
		"help_events_stats":             {args: "events stats --help"},
		"help_tokens_trace":             {args: "tokens trace --help"},
		"help_tokens_stats":             {args: "tokens stats --help"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := runWith(t.Context(), t, map[string]string{databaseVariable: databaseURL}, strings.NewReader(test.stdin), strings.Fields(test.args)...)
			require.Equal(t, exitDone, o.code, o.stderr)
			require.NotContains(t, o.stdout+o.stderr, storyToken)
			requireGolden(t, name, "$ gptoauth "+test.args+"\n"+o.stdout+onStderr(o.stderr))
		})
	}
}

// onStderr marks what went there, so that a golden file shows which is which.
func onStderr(text string) string {
	var marked strings.Builder
	for line := range strings.Lines(text) {
		marked.WriteString("[stderr] " + line)
	}
	return marked.String()
}

func requireGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))), got)
}

// A golden file without its test would be read by no one.
func TestEveryGoldenFileIsOfATest(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.txt")
	require.NoError(t, err)
	source, err := os.ReadFile("golden_test.go")
	require.NoError(t, err)
	for _, file := range files {
		require.Contains(t, string(source), `"`+strings.TrimSuffix(filepath.Base(file), ".txt")+`":`)
	}
}

// digestOf is what the story stores of a token whose text is this.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
