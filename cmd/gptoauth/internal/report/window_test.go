package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestWindowsAreWholeButForTheirEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 14, 25, 31, 0, time.UTC)
	for days, want := range map[int]struct {
		since, each   string
		buckets       int
		first, latest string
	}{
		1:   {"2026-11-25T15:00:00Z", "hour", 24, "Wed 25 Nov, 15:00–16:00", "Thu 26 Nov, 14:00–14:25"},
		3:   {"2026-11-23T15:00:00Z", "hour", 72, "Mon 23 Nov, 15:00–16:00", "Thu 26 Nov, 14:00–14:25"},
		7:   {"2026-11-19T18:00:00Z", "six hours", 28, "Thu 19 Nov, 18:00–00:00", "Thu 26 Nov, 12:00–14:25"},
		30:  {"2026-10-28T00:00:00Z", "day", 30, "Wed 28 Oct 2026", "Thu 26 Nov 2026, so far"},
		100: {"2026-08-19T00:00:00Z", "week", 15, "19 Aug – 20 Aug 2026", "20 Nov – 26 Nov 2026"},
		400: {"2025-10-23T00:00:00Z", "week", 58, "Thu 23 Oct 2025", "20 Nov – 26 Nov 2026"},
	} {
		w := newWindow(now, days)
		require.Equal(t, want.since, w.since.Format(time.RFC3339), days)
		require.Equal(t, want.each, w.each(), days)
		require.Equal(t, want.buckets, w.buckets(), days)
		require.Equal(t, want.first, w.label(0), days)
		require.Equal(t, want.latest, w.label(w.buckets()-1), days)
		require.Equal(t, w.buckets()-1, w.index(now), days)
		require.Equal(t, w.buckets()-1, w.index(now.Add(time.Hour*24*365)), "a clock that was set back")
		require.Zero(t, w.index(w.since), days)
		for i := range w.buckets() {
			require.Equal(t, i, w.index(w.begin(i)), days)
			require.Equal(t, i, w.index(w.begin(i+1).Add(-1)), days)
		}
	}
	midnight := newWindow(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), 30)
	require.Equal(t, 29, midnight.index(midnight.until))
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"0", "999", "-1,000", "1,234,567"}, []string{thousands(0), thousands(999), thousands(-1000), thousands(1_234_567)})
	require.Equal(t, []string{"9,999,999", "12.3 M", "4.0 G"}, []string{compact(9_999_999), compact(12_345_678), compact(4_000_000_000)})
	require.Equal(t, []string{"8,000", "15k", "7.5M"}, []string{short(8000), short(15_000), short(7_500_000)})
	require.Equal(t, []string{"0 B", "8.0 kB", "16 kB", "1.5 GB"}, []string{bytesText(0), bytesText(8 << 10), bytesText(16 << 10), bytesText(3 << 29)})
	require.Equal(t, []string{"0 seconds", "1 second", "59 minutes", "47 hours", "2 days"},
		[]string{span(-299 * time.Second), span(time.Second), span(time.Hour - 1), span(48*time.Hour - 1), span(48 * time.Hour)})
	require.Equal(t, []string{"0 %", "under 1 %", "50 %", "over 99 %", "100 %"},
		[]string{percent(0, 0), percent(1, 1000), percent(1, 2), percent(999, 1000), percent(5, 5)})
	for highest, want := range map[int]int{0: 2, 1: 2, 3: 3, 7: 8, 11: 15, 99: 100, 101: 150, 2_100: 3_000, 7_777_777: 8_000_000} {
		require.Equal(t, want, niceTop(highest), highest)
	}
}

func TestRatesHaveNoExponent(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]int{
		"0 a day": 0, "under 0.01 a day": 1, "0.1 a day": 40, "1.25 a day": 500, "1.04 an hour": 10_000, "1.74 a minute": 1_000_000, "1,736 a minute": 1_000_000_000,
	} {
		require.Equal(t, want, perTime(n, 400*day))
	}
	require.Equal(t, "0.05 per 100 refreshes", rate(0.05)+" per 100 refreshes")
}

// Ids that differ only in their ends stay apart, and no client can call itself what we call those that have no name.
func TestNamesAreToldApart(t *testing.T) {
	t.Parallel()
	long := "https://client.example/" + strings.Repeat("a/", 40)
	one, two := clientName(long+"one", false), clientName(long+"two", false)
	require.NotEqual(t, one.Text, two.Text)
	require.Equal(t, maxName, utf8.RuneCountInString(one.Text))
	require.Equal(t, long+"one", one.Whole)
	require.True(t, clientName("", false).Ours)
	require.False(t, clientName("no client", false).Ours)
	r := Report{Days: 1, window: newWindow(time.Now(), 1), Living: &Living{Sessions: 3, Clients: []LivingClient{
		{ClientID: long + "one", Sessions: 1}, {ClientID: "no client", Sessions: 1}, {ClientID: "", Sessions: 1},
	}}}
	text := pageOf(t, r)
	require.Contains(t, text, "<bdi>"+long+"one</bdi>", "in the table it is whole")
	require.Contains(t, text, "<bdi>"+one.Text+"</bdi>")
	require.Contains(t, text, "<bdi>no client</bdi>")
	require.Contains(t, text, "<i>no client</i>")
}

func TestAdviceShowsItsCommands(t *testing.T) {
	t.Parallel()
	for advice, want := range map[string][]string{
		"gptoauth events list --type token_reuse --since 30d, then gptoauth tokens trace with the session's id: was it?": {
			"gptoauth events list --type token_reuse --since 30d", "gptoauth tokens trace",
		},
		"gptoauth purge now, and repo.Janitor in your servers; say so with --codes, --sessions and --events.": {
			"gptoauth purge", "repo.Janitor", "--codes", "--sessions", "--events",
		},
		"VACUUM public.gpt_sessions; if it comes back, look for long transactions": {"VACUUM public.gpt_sessions"},
		"ALTER TABLE public.gpt_sessions RESET (autovacuum_enabled);":              {"ALTER TABLE public.gpt_sessions RESET (autovacuum_enabled);"},
		"Raise repo.Config.Grace (90 seconds by default)":                          {"repo.Config.Grace"},
		"Look for timeouts of proxies":                                             nil,
	} {
		var got []string
		var text strings.Builder
		for _, word := range commands(advice) {
			text.WriteString(word.Text)
			if word.Command {
				got = append(got, word.Text)
			}
		}
		require.Equal(t, want, got)
		require.Equal(t, advice, text.String())
	}
}
