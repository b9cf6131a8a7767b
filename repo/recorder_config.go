package repo

import (
	"cmp"
	"time"
)

const (
	defaultQueue         = 10_000
	maxQueue             = 10_000_000
	defaultBatchInterval = 100 * time.Millisecond
	maxBatchInterval     = time.Minute
	defaultWriters       = 4
	maxWriters           = 64
)

// RecorderConfig says how a [Recorder] collects. Its zero value works.
type RecorderConfig struct {
	// Queue is how many events the recorder holds at most, those on their way to the database included. At most
	// 10,000,000. Defaults to 10,000: at 200 bytes each 2 MB, with the 16 KB of metadata that an event may have 160 MB.
	Queue int

	// DropWhenFull has [Recorder.Record] return [ErrQueueFull] when the queue is full, and count the event as dropped. Defaults
	// to false: it waits for room.
	DropWhenFull bool

	// Batch is how many events one call writes at most; it may be fewer if their metadata comes to 1 MB. At most 1,000, and
	// no more than Queue. Defaults to 1,000.
	Batch int

	// Interval is how long an event waits for others to fill its batch. At most a minute. Defaults to 100 milliseconds.
	Interval time.Duration

	// Writers is how many batches are on their way at once; each takes a connection of the pool for that time. At most 64.
	// Defaults to 4: more gain nothing on two cores.
	Writers int

	// OnError, if set, is called when a batch could not be written. Most often the database does not answer, or lets this
	// role write nothing; then lost is empty, and the batch will be sent again. Else lost is the one event that the
	// database refuses for good, whose batch goes on without it. Several writers call it, at once, and write nothing until
	// it returns. Defaults to none: [Recorder.Stats] counts what is refused.
	OnError func(err error, lost ...AppendParams)
}

func (c RecorderConfig) withDefaults() (RecorderConfig, error) {
	c.Queue = cmp.Or(c.Queue, defaultQueue)
	c.Batch = cmp.Or(c.Batch, min(maxBatch, c.Queue))
	c.Interval = cmp.Or(c.Interval, defaultBatchInterval)
	c.Writers = cmp.Or(c.Writers, defaultWriters)
	switch {
	case c.Queue < 0 || c.Queue > maxQueue:
		return c, &InputError{"RecorderConfig.Queue", "must be between 1 and 10,000,000"}
	case c.Batch < 0 || c.Batch > min(maxBatch, c.Queue):
		return c, &InputError{"RecorderConfig.Batch", "must be between 1 and 1,000, and at most Queue"}
	case c.Writers < 0 || c.Writers > maxWriters:
		return c, &InputError{"RecorderConfig.Writers", "must be between 1 and 64"}
	}
	return c, checkDuration("RecorderConfig.Interval", c.Interval, maxBatchInterval)
}
