package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	store := testStore(t, databaseURL)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	user := session.ClerkUserID
	other := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: user})

	o := gptoauth(t, databaseURL, "users", "show", user)
	require.Equal(t, exitDone, o.code)
	require.Regexp(t, `^1 session, 1 of them alive\n\nid +user +client.*\n`+session.SessionID.String()+` +`+user+` +client_1 +alive +\d{4}-.*\n\nnewest events\n(.+\n){5}$`, o.stdout)

	o = gptoauth(t, databaseURL, "users", "end", user)
	require.Equal(t, exitUsage, o.code, "without a reason")
	require.Equal(t, outcome{exitDone, "1 session ended, 1 unused code expired\n", ""}, gptoauth(t, databaseURL, "users", "end", user, "--reason", "offboarding"))
	requireJSON(t, `{"sessions": 0, "codes": 0}`, gptoauth(t, databaseURL, "users", "end", user, "--reason", "offboarding", "--json"))
	o = gptoauth(t, databaseURL, "users", "show", user, "--json")
	var shown userOutput
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &shown))
	require.Zero(t, shown.Living)
	require.Equal(t, "offboarding", shown.Sessions[0].EndReason)
	require.Equal(t, repo.EventUserEnd, shown.Events[0].Type)

	o = gptoauth(t, databaseURL, "users", "erase", user)
	require.Equal(t, exitUsage, o.code)
	require.Contains(t, o.stderr, "confirm with --yes")
	require.Equal(t, outcome{exitDone, "2 codes, 1 session and 3 tokens deleted; 7 events kept without the person\n", ""},
		gptoauth(t, databaseURL, "users", "erase", user, "--yes"))
	requireJSON(t, `{"codes": 0, "sessions": 0, "tokens": 0, "events": 0}`, gptoauth(t, databaseURL, "users", "erase", user, "--yes", "--json"))
	require.Equal(t, outcome{exitDone, "0 sessions, 0 of them alive\nno events\n", ""}, gptoauth(t, databaseURL, "users", "show", user))

	active, err := store.Sessions.Active(t.Context(), other.SessionID)
	require.NoError(t, err)
	require.True(t, active)
}
