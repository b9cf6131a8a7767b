package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2h":                        "2026-03-08T10:00:00Z",
		"1h30m":                     "2026-03-08T10:30:00Z",
		"7d":                        "2026-03-01T12:00:00Z",
		"2w":                        "2026-02-22T12:00:00Z",
		"2026-03-01":                "2026-03-01T00:00:00Z",
		"2026-03-01 14:30":          "2026-03-01T14:30:00Z",
		"2026-03-01 14:30:15":       "2026-03-01T14:30:15Z",
		"2026-03-01 14:30:15Z":      "2026-03-01T14:30:15Z", // as the commands print it
		"2026-03-01T14:30:15Z":      "2026-03-01T14:30:15Z",
		"2026-03-01T14:30:15+02:00": "2026-03-01T12:30:15Z",
	} {
		got, ok := parseTime(text, now)
		require.True(t, ok, text)
		require.Equal(t, want, got.UTC().Format(time.RFC3339), text)
	}
	for _, text := range []string{"", "yesterday", "-2h", "2", "1.5d", "99999d", "2026-02-30", "01/03/2026"} {
		_, ok := parseTime(text, now)
		require.False(t, ok, text)
	}
}

func TestSpanText(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{"1h": time.Hour, "10m": 10 * time.Minute, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "48h": 2 * day} {
		require.Equal(t, want, spanText(d))
		back, ok := parseSpan(want)
		require.True(t, ok)
		require.Equal(t, d, back)
	}
}
