package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func listed(t *testing.T, databaseURL string, args ...string) []string {
	t.Helper()
	o := gptoauth(t, databaseURL, append([]string{"sessions", "list", "--json"}, args...)...)
	require.Equal(t, exitDone, o.code, o.stderr)
	var output sessionsOutput
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &output))
	ids := []string{}
	for _, session := range output.Sessions {
		ids = append(ids, session.ID.String())
	}
	return ids
}

func TestSessions(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	store := testStore(t, databaseURL)
	require.Equal(t, outcome{exitDone, "no sessions\n", ""}, gptoauth(t, databaseURL, "sessions", "list"))
	old := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_a"}, 2)
	repotest.AgeSession(t, store, old.SessionID, time.Hour)
	user := old.ClerkUserID
	second := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_b", ClerkUserID: user}, 0)
	third := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_b"}, 0)
	a, b, c := old.SessionID.String(), second.SessionID.String(), third.SessionID.String()

	require.Equal(t, []string{c, b, a}, listed(t, databaseURL))
	require.Equal(t, []string{b, a}, listed(t, databaseURL, "--user", user))
	require.Equal(t, []string{c, b}, listed(t, databaseURL, "--client", "client_b"))
	require.Equal(t, []string{a}, listed(t, databaseURL, "--idle-over", "1h"))
	o := gptoauth(t, databaseURL, "sessions", "list", "--limit", "2")
	require.Equal(t, "there are more than these 2: see --limit\n", o.stderr)
	require.Equal(t, 3, strings.Count(o.stdout, "\n"))
	require.Regexp(t, `^id +user +client +state +began +last active +address\n`, o.stdout)

	o = gptoauth(t, databaseURL, "sessions", "show", a)
	require.Equal(t, exitDone, o.code)
	require.Regexp(t, `^session +`+a+`\nstate +alive\nuser +`+user+`\nclient +client_a\n(.*\n)+tokens +3 generations, retried 0 times\n`, o.stdout)
	require.Regexp(t, `newest events\n\S+ \S+ +o +token_refresh .*\n`, o.stdout)
	o = gptoauth(t, databaseURL, "sessions", "show", "00000000-0000-0000-0000-000000000001")
	require.Equal(t, outcome{exitFailed, "", "gptoauth: sessions show: not found\n"}, o)

	o = gptoauth(t, databaseURL, "sessions", "end", a, "--reason", "stolen laptop")
	require.Equal(t, exitUsage, o.code)
	require.Contains(t, o.stderr, "confirm with --yes")
	requireJSON(t, `{"sessions": 1, "codes": 0}`, gptoauth(t, databaseURL, "sessions", "end", a, "--reason", "stolen laptop", "--yes", "--json"))
	require.Equal(t, []string{c, b}, listed(t, databaseURL, "--active"))
	require.Regexp(t, `state +ended: stolen laptop at \d{4}-`, gptoauth(t, databaseURL, "sessions", "show", a).stdout)
	repotest.NewCode(t, store, repo.IssueParams{ClientID: "client_b", ClerkUserID: user})
	require.Equal(t, outcome{exitDone, "1 session ended, 1 unused code expired\n", ""},
		gptoauth(t, databaseURL, "sessions", "end", "--user", user, "--client", "client_b", "--reason", "disconnected", "--yes"))
	require.Equal(t, outcome{exitDone, "1 session ended, 0 unused codes expired\n", ""},
		gptoauth(t, databaseURL, "sessions", "end", "--client", "client_b", "--reason", "leak", "--yes"))
	repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_c"}, 0)
	requireJSON(t, `{"sessions": 1, "codes": 0}`, gptoauth(t, databaseURL, "sessions", "end", "--all", "--reason", "incident", "--yes", "--json"))
	require.Empty(t, listed(t, databaseURL, "--active"))
}

func TestSessionsUsage(t *testing.T) {
	t.Parallel()
	const id = "00000000-0000-0000-0000-000000000001"
	for stderr, args := range map[string][]string{
		"--idle-over is not a duration":                          {"list", "--idle-over", "long"},
		"--limit is 0, want at least 1":                          {"list", "--limit", "0"},
		"ID is not the id of a session":                          {"show", "gptr_secret"},
		"sessions end: ID is not the id of a session":            {"end", "gptr_secret", "--reason", "r"},
		"name one of ID, --user and --client, or --all (see":     {"end", "--reason", "r"},
		"sessions end: name one of ID, --user and --client, or ": {"end", id, "--all", "--reason", "r"},
		"sessions end: Required flag":                            {"end", id},
		"there are 2 arguments and only 1 wanted":                {"end", id, id, "--reason", "r"},
	} {
		o := gptoauth(t, "", append([]string{"sessions"}, args...)...)
		require.Equal(t, exitUsage, o.code, args)
		require.Contains(t, o.stderr, stderr)
		require.NotContains(t, o.stderr, "secret")
	}
}
