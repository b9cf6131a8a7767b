package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// thousands is how numbers are written.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

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

// rate is a number of three digits, or all its whole ones.
func rate(r float64) string {
	if r >= 100 {
		return thousands(int(math.Round(r)))
	}
	return strconv.FormatFloat(r, 'g', 3, 64)
}

// maxName is as much of a name as anyone reads.
const maxName = 72

// name is what others chose: clients their ids, hosts their reasons. What would turn the line around is replaced.
func name(s, none string, others bool, allOthers string) string {
	switch {
	case others:
		return allOthers
	case s == "":
		return none
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxName {
		return string(runes[:maxName-1]) + "…"
	}
	return s
}

func clientName(id string, others bool) string {
	return name(id, "no client", others, "all other clients")
}

func reasonName(reason string, others bool) string {
	return name(reason, "no reason given", others, "the host's own reasons")
}

// minute is a time as the page shows it.
func minute(t time.Time) string { return t.Format("2 Jan 2006, 15:04 UTC") }
