package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

// thousands is how numbers are written.
func thousands(n int) string { return draw.Thousands(n) }

// compact is for places that are narrow: from ten millions on, the first digits are enough.
func compact(n int) string {
	switch {
	case n >= 1_000_000_000:
		return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " G"
	case n >= 10_000_000:
		return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " M"
	default:
		return thousands(n)
	}
}

// short is for the numbers beside a chart, which have few digits that are not zero.
func short(n int) string {
	switch {
	case n >= 1_000_000:
		return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) + "M"
	case n >= 10_000:
		return strconv.FormatFloat(float64(n)/1e3, 'f', -1, 64) + "k"
	default:
		return thousands(n)
	}
}

// bytesText counts by 1,024, as PostgreSQL does.
func bytesText(n int64) string {
	const step = 1024
	if n < step {
		return strconv.FormatInt(n, 10) + " B"
	}
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	value, unit := float64(n)/step, 0
	for value >= step && unit < len(units)-1 {
		value /= step
		unit++
	}
	if value < 10 {
		return fmt.Sprintf("%.1f %s", value, units[unit])
	}
	return fmt.Sprintf("%.0f %s", value, units[unit])
}

// span is a length of time in words.
func span(d time.Duration) string {
	d = max(d, 0) // a clock was set back
	switch {
	case d < time.Minute:
		return count(int(d/time.Second), "second", "seconds")
	case d < time.Hour:
		return count(int(d/time.Minute), "minute", "minutes")
	case d < 2*day:
		return count(int(d/time.Hour), "hour", "hours")
	default:
		return count(int(d/day), "day", "days")
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// percent is a share; what is there is never called nothing, nor what is missing a whole.
func percent(part, whole int) string {
	if whole == 0 {
		return "0 %"
	}
	share := float64(part) / float64(whole) * 100
	switch {
	case part > 0 && share < 1:
		return "under 1 %"
	case part < whole && share > 99:
		return "over 99 %"
	default:
		return strconv.Itoa(int(math.Round(share))) + " %"
	}
}

// rate is a number of three digits, or all its whole ones, and never has an exponent.
func rate(r float64) string {
	switch {
	case r >= 100:
		return thousands(int(math.Round(r)))
	case r > 0 && r < 0.01:
		return "under 0.01"
	default:
		return strconv.FormatFloat(r, 'g', 3, 64)
	}
}

// perTime is how often something happens, by the shortest time in which it happens at all.
func perTime(n int, length time.Duration) string {
	often := float64(n) / length.Minutes()
	switch {
	case often >= 1:
		return rate(often) + " a minute"
	case often*60 >= 1:
		return rate(often*60) + " an hour"
	default:
		return rate(often*24*60) + " a day"
	}
}

// maxName is as much of a name as anyone reads.
const maxName = 72

// label is how someone is called: by an id that others chose, or by words of ours, which stand in italics so that no one
// can take their place.
type label struct {
	Text  string // cut to what anyone reads
	Whole string
	Ours  bool
}

func ours(words string) label { return label{words, words, true} }

// name is what others chose. What would turn the line around is replaced. It is cut in the middle: ids are told apart by their ends.
func name(s string) label {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	runes := []rune(s)
	if len(runes) <= maxName {
		return label{Text: s, Whole: s}
	}
	const head = maxName / 2
	return label{Text: string(runes[:head]) + "…" + string(runes[len(runes)-(maxName-head-1):]), Whole: s}
}

func clientName(id string, others bool) label {
	switch {
	case others:
		return ours("all other clients")
	case id == "":
		return ours("no client")
	default:
		return name(id)
	}
}

func reasonName(reason string, others bool) label {
	switch {
	case others:
		return ours("the host's own reasons")
	case reason == "":
		return ours("no reason given")
	default:
		return name(reason)
	}
}

// minute is a time as the page shows it.
func minute(t time.Time) string { return t.Format("2 Jan 2006, 15:04 UTC") }
