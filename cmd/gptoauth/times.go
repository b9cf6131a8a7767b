package main

import (
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// parseTime reads a point in time as people write it: "2h" ago (s, m, h, d, w), a date, a date and time in UTC, RFC 3339.
func parseTime(text string, now time.Time) (time.Time, bool) {
	if ago, ok := parseSpan(text); ok {
		return now.Add(-ago), true
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02 15:04:05Z", time.RFC3339Nano} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseSpan reads a length of time: Go's, or a number of days (7d) or weeks (2w).
func parseSpan(text string) (time.Duration, bool) {
	for suffix, unit := range map[string]time.Duration{"d": day, "w": week} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			n, err := strconv.ParseUint(number, 10, 16)
			return time.Duration(n) * unit, err == nil // 16 bits of weeks are no overflow
		}
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}

// spanText is how a length of time is written so that parseSpan reads it: 1h and not 1h0m0s.
func spanText(d time.Duration) string {
	text := d.String()
	if d%time.Minute == 0 && d > 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 && d > 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
