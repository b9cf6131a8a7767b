package report

import "time"

const day = 24 * time.Hour

// window is the time that a report is about, in buckets of one length, of which the last is not over yet. Weeks end today, and
// the first of them is shorter, so that the last does not look like a collapse.
type window struct {
	days         int
	since, until time.Time
	bucket       time.Duration
}

// newWindow is today and the days before it, in UTC, or if it is few days, the last 24 hours for each. Its buckets are as many as a
// telephone is wide enough for.
func newWindow(now time.Time, days int) window {
	w := window{days: days, until: now}
	switch {
	case days <= 3:
		w.bucket = time.Hour
	case days <= 14:
		w.bucket = 6 * time.Hour
	case days <= 92:
		w.bucket = day
	default:
		w.bucket = 7 * day
	}
	w.since = now.UTC().Truncate(w.unit()).Add(w.unit() - time.Duration(days)*day)
	return w
}

// unit is what begins at the same times for everyone, as a week does not.
func (w window) unit() time.Duration { return min(w.bucket, day) }

// buckets is how many there are.
func (w window) buckets() int {
	return int((time.Duration(w.days)*day + w.bucket - 1) / w.bucket)
}

// begin is where a bucket begins.
func (w window) begin(i int) time.Time {
	if i == 0 {
		return w.since
	}
	return w.end().Add(time.Duration(i-w.buckets()) * w.bucket)
}

// end is where the last bucket ends, in the future.
func (w window) end() time.Time { return w.since.Add(time.Duration(w.days) * day) }

// index is the bucket that a time is in. Clocks can be set back: what is still to come is of the last one.
func (w window) index(t time.Time) int {
	return min(max(w.buckets()-1-int((w.end().Sub(t)-1)/w.bucket), 0), w.buckets()-1)
}

// label is how people call a bucket. That of the last does not reach into the future.
func (w window) label(i int) string {
	begin, end := w.begin(i), w.begin(i+1)
	switch {
	case w.bucket < day:
		if end.After(w.until) {
			end = w.until
		}
		return begin.Format("Mon 2 Jan, 15:04") + "–" + end.Format("15:04")
	case w.bucket == day && i == w.buckets()-1:
		return begin.Format("Mon 2 Jan 2006") + ", so far"
	case w.bucket == day || end.Sub(begin) == day:
		return begin.Format("Mon 2 Jan 2006")
	default:
		return begin.Format("2 Jan") + " – " + end.Add(-day).Format("2 Jan 2006")
	}
}

// short is label for an axis.
func (w window) short(i int) string {
	if w.days == 1 {
		return w.begin(i).Format("15:04")
	}
	return w.begin(i).Format("2 Jan")
}

// each names the length of a bucket.
func (w window) each() string {
	switch {
	case w.bucket == time.Hour:
		return "hour"
	case w.bucket == day:
		return "day"
	case w.bucket > day:
		return "week"
	default:
		return "six hours"
	}
}
