package report

import "time"

const day = 24 * time.Hour

// window is the time that a report is about, in buckets of one length. The last of them is not over yet.
type window struct {
	days         int
	since, until time.Time
	bucket       time.Duration
}

// newWindow is today and the days before it, in UTC, or the last hours if it is few days. Its buckets are as many as a
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
func (w window) begin(i int) time.Time { return w.since.Add(time.Duration(i) * w.bucket) }

// index is the bucket that a time is in. Clocks can be set back: what is still to come is of the last one.
func (w window) index(t time.Time) int {
	return min(max(int(t.Sub(w.since)/w.bucket), 0), w.buckets()-1)
}

// label is how people call a bucket.
func (w window) label(i int) string {
	begin := w.begin(i)
	switch {
	case w.bucket < day:
		return begin.Format("Mon 2 Jan, 15:04") + "–" + begin.Add(w.bucket).Format("15:04")
	case w.bucket == day:
		return begin.Format("Mon 2 Jan 2006")
	default:
		return begin.Format("2 Jan") + " – " + begin.Add(w.bucket-day).Format("2 Jan 2006")
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
