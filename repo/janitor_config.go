package repo

import (
	"cmp"
	"io"
	"time"
)

const (
	defaultCodeRetention    = 24 * time.Hour
	defaultSessionRetention = 30 * 24 * time.Hour
	defaultEventRetention   = 400 * 24 * time.Hour
	minRetention            = time.Minute    // longer than any call is repeated
	minRotatedRetention     = 24 * time.Hour // far longer than any grace period

	defaultBatchSize = 5000
	maxBatchSize     = 10_000
	maxArchiveBatch  = 1000 // of up to 16 KB each

	defaultPurgeInterval = time.Hour
)

// JanitorConfig says how long the [Janitor] keeps what is over. Its zero value works. All times are the database's.
type JanitorConfig struct {
	// Codes is how long an authorization code is kept after it has expired. Until then a replay is detected, afterwards it
	// is Unknown. At least a minute. Defaults to 24 hours; [Off] keeps codes for ever, and with them the sessions they gave.
	Codes time.Duration

	// Sessions is how long a session and all its tokens are kept after it died: after it was ended, or if it was not, after
	// its last token expired. A session is not deleted before the code that gave it. At least a minute. Defaults to 30
	// days; [Off] keeps them for ever.
	Sessions time.Duration

	// Rotated is how long a living session keeps the tokens that were rotated away, except its current token's direct
	// predecessor, which it always keeps. At least 24 hours. Defaults to as long as the session lives, about 52,000 rows a
	// year at ten-minute refreshes.
	//
	// A token that has been trimmed is Unknown instead of Reused: whoever presents it is turned away, but the session goes
	// on. If it was a thief who rotated it away, this was the owner's only way to end the thief's session by coming back,
	// so set it well above the time for which an honest client may stay away, RefreshTTL.
	Rotated time.Duration

	// Events is how long audit events are kept. At least a minute. Defaults to 400 days; [Off] keeps them for ever.
	Events time.Duration

	// Archive, if set, takes every event before it is deleted: one JSON object a line, synced before the delete commits. A
	// crash in between leaves events both in the archive and in the database, and the next purge archives them again, so
	// that whoever reads the archive drops repeated ids; none is lost. [OpenArchive] makes one of a file.
	Archive Archive

	// BatchSize is how many rows one transaction deletes at most, of sessions as many with their current tokens and as many
	// older tokens; how many it does depends on how long they take. At most 10,000. Defaults to 5,000.
	BatchSize int

	// Interval is how often [Janitor.Run] purges, give or take a fifth. Defaults to an hour.
	Interval time.Duration

	// OnBatch, if set, is called after each batch has been committed, for progress and metrics.
	OnBatch func(Batch)

	// OnPurge, if set, is called by [Janitor.Run] after each purge, for logs and metrics.
	OnPurge func(PurgeResult, error)

	// Observer, if set, hears of every call, purge and batch, for metrics and traces; see package repootel. Defaults to none.
	Observer Observer
}

// Archive is where deleted events go. An *os.File is one.
type Archive interface {
	io.Writer
	// Sync returns once what was written is on stable storage.
	Sync() error
}

// PurgeCounts counts rows.
type PurgeCounts struct {
	Codes    int `json:"codes"`
	Sessions int `json:"sessions"`
	Tokens   int `json:"tokens"`
	Nonces   int `json:"nonces"` // cleared, in sessions that go on
	Events   int `json:"events"`
}

// Total is how many rows that is.
func (c PurgeCounts) Total() int {
	return c.Codes + c.Sessions + c.Tokens + c.Nonces + c.Events
}

// Plus adds up.
func (c PurgeCounts) Plus(other PurgeCounts) PurgeCounts {
	return PurgeCounts{
		Codes:    c.Codes + other.Codes,
		Sessions: c.Sessions + other.Sessions,
		Tokens:   c.Tokens + other.Tokens,
		Nonces:   c.Nonces + other.Nonces,
		Events:   c.Events + other.Events,
	}
}

// Batch is what one transaction of the janitor has done.
type Batch struct {
	PurgeCounts

	Step  string        // such as "codes"
	Took  time.Duration // without the round trips
	Pause time.Duration // that follows
}

// PurgeResult is what a purge has done. If it ended with an error or was interrupted, what it counts is done all the same.
type PurgeResult struct {
	PurgeCounts

	Batches int           `json:"batches"`
	Took    time.Duration `json:"took_ns"`
	Paused  time.Duration `json:"paused_ns"` // of Took: to let others work, or another janitor
	// Skipped: another janitor was at work, so that [Janitor.Run] left the rest to it.
	Skipped bool `json:"skipped"`
}

func (c JanitorConfig) withDefaults() (JanitorConfig, error) {
	retentions := []struct {
		field             string
		value             *time.Duration
		fallback, atLeast time.Duration
	}{
		{"Codes", &c.Codes, defaultCodeRetention, minRetention},
		{"Sessions", &c.Sessions, defaultSessionRetention, minRetention},
		{"Rotated", &c.Rotated, Off, minRotatedRetention},
		{"Events", &c.Events, defaultEventRetention, minRetention},
	}
	for _, r := range retentions {
		switch {
		case *r.value == 0:
			*r.value = r.fallback
		case *r.value == Off:
		case *r.value < r.atLeast || *r.value > 10*maxTTL:
			return c, &InputError{"JanitorConfig." + r.field, "must be at least " + r.atLeast.String() + " and at most 100 years"}
		}
	}
	switch {
	case c.BatchSize < 0 || c.BatchSize > maxBatchSize:
		return c, &InputError{"JanitorConfig.BatchSize", "must be between 1 and 10,000"}
	case c.Interval < 0:
		return c, &InputError{"JanitorConfig.Interval", "must be positive"}
	}
	c.BatchSize = cmp.Or(c.BatchSize, defaultBatchSize)
	c.Interval = cmp.Or(c.Interval, defaultPurgeInterval)
	return c, nil
}
