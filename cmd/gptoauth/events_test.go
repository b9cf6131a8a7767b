package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEventsUsage(t *testing.T) {
	t.Parallel()
	for args, stderr := range map[string]string{
		"events list --since yesterday":                      `events list: --since is no time: write "2h"`,
		"events list --until 2026-13-01":                     "events list: --until is no time",
		"events list --session 7":                            "events list: --session is not an id",
		"events list --ip localhost":                         "events list: --ip is not an address",
		"events list --limit 0":                              "events list: --limit is 0, want at least 1",
		"events timeline":                                    "events timeline: say whose: --session or --user",
		"events timeline --user a --session " + storySession: "events timeline: say whose: --session or --user",
		"events stats --by colour":                           "events stats: --by is unknown, want type, user, client or ip",
		"events stats --bucket 1":                            "events stats: --bucket is no length of time",
		"events stats --bucket 1500ms":                       "events stats: --bucket is no length of time",
		"events stats --bucket 1s --since 1d":                "events stats: there would be more than 10,000 buckets",
		"events stats --since 2026-03-02 --until 2026-03-01": "events stats: --since is not before --until",
		"events stats --top 0":                               "events stats: --top is 0, want 1 to 1,000",
		"events tail --interval 0s":                          "events tail: --interval is 0s, want 1ms to 1h",
		"events tail --overlap 2h":                           "events tail: --overlap is 2h0m0s, want 1ms to 1h",
		"tokens stats --timeout=-1s":                         "tokens stats: --timeout is -1s, want at least 0",
		"tokens stats --since 2026-03-02 --until 2026-03-01": "tokens stats: --since is not before --until",
		"tokens trace a b":                                   "tokens trace: there are 2 arguments and only 1 wanted",
	} {
		o := gptoauth(t, "postgres://127.0.0.1:1/nowhere", strings.Fields(args)...)
		require.Equal(t, exitUsage, o.code, args)
		require.Empty(t, o.stdout, args)
		require.Contains(t, o.stderr, "gptoauth: "+stderr, args)
		require.Equal(t, 1, strings.Count(o.stderr, "\n"), o.stderr)
	}
}

func TestEventsListGoesOnAtItsCursor(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	var ids []string
	for cursor := ""; ; {
		o := gptoauth(t, databaseURL, "events", "list", "--json", "--limit", "5", "--cursor", cursor)
		require.Equal(t, exitDone, o.code, o.stderr)
		var page eventsResult
		require.NoError(t, json.Unmarshal([]byte(o.stdout), &page))
		for _, event := range page.Events {
			ids = append(ids, event.ID.String()[24:32])
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, "000000eb 000000ea 000000e9 000000e8 000000e7 000000e6 000000e5 000000e4 000000e3 000000e2 000000e1 000000e0", strings.Join(ids, " "))

	text := gptoauth(t, databaseURL, "events", "list", "--limit", "5")
	require.Equal(t, 5, strings.Count(text.stdout, "\n"))
	require.Contains(t, text.stderr, "there are more: raise --limit, or go on with --cursor ")
	require.Contains(t, gptoauth(t, databaseURL, "events", "list", "--cursor", "x").stderr, "EventListParams.Cursor must be the Next of an earlier page")
}

// A figure that takes too long is left out, and the others are there.
func TestTokensStatsGivesUp(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	// A table behind which reading never ends.
	execIn(t, databaseURL,
		`ALTER TABLE public.gpt_oauth_events RENAME TO slow`,
		`CREATE VIEW public.gpt_oauth_events AS SELECT event_type, created_at FROM public.slow, pg_catalog.pg_sleep(3600)`)
	o := gptoauth(t, databaseURL, "tokens", "stats", "--json", "--timeout", "2s")
	require.Equal(t, exitDone, o.code, o.stderr)
	var got tokensStats
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &got))
	require.Nil(t, got.Activity)
	require.Equal(t, 1, got.Families.Living)
	require.Equal(t, 3, got.Longest.Generations)
	require.Contains(t, gptoauth(t, databaseURL, "tokens", "stats", "--timeout", "100ms").stdout, "not counted within the time: raise --timeout")
}
