package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrQueueFull says that a [Recorder] holds as many events as it may. The event is not recorded.
var ErrQueueFull = errors.New("the queue is full")

// ErrRecorderClosed says that a [Recorder] takes no more events. The event is not recorded.
var ErrRecorderClosed = errors.New("the recorder is closed")

var errGivenUp = errors.New("an earlier call has given up")

const (
	// maxBatchBytes ends a batch whose events are large before their number does.
	maxBatchBytes = 1 << 20

	// refusedPause is the time until a batch is sent again to a database that lets no one write, whatever it is.
	refusedPause = time.Second
)

// Recorder writes events of the host's own in batches, in the background: for those that come by the thousand and need not
// be in the transaction of anything. Whoever must know that an event is written before going on uses [Events.Append].
//
// An event gets its id when it is recorded. A batch whose answer was lost is sent again with the same ids, for as long as it
// takes, so that a database that goes away and comes back has each event once. Events are not written in the order in which
// they were recorded, and their time is that of the writing. What has not been written when the process dies is lost.
//
// It is safe for use by many goroutines.
type Recorder struct {
	conn    *conn
	config  RecorderConfig
	queue   chan AppendParams // never blocks: whoever sends has a slot
	slots   chan struct{}     // one is taken for each event, until it is written or refused
	turn    sync.Mutex        // of the writer that collects: two at a time would halve the batches
	writers sync.WaitGroup
	done    chan struct{} // closed when all writers have ended
	giveUp  context.CancelFunc

	closed    chan struct{}
	close     sync.Once
	recording sync.RWMutex // the queue is closed when no one is between looking at closed and sending

	dropped atomic.Int64
	mu      sync.Mutex // of what follows, and of the giving back of slots
	written int64
	refused int64
}

// Recorder starts a recorder. It sends nothing until there is something to record. The caller closes it, and keeps the
// database open until then. The error is an [*InputError], about config, or because the store is part of a transaction.
func (e *Events) Recorder(config RecorderConfig) (*Recorder, error) {
	if !e.conn.owns {
		return nil, &InputError{"Events.Recorder", "must not be called on a store that is part of a transaction"}
	}
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recorder{
		conn:   e.conn,
		config: config,
		queue:  make(chan AppendParams, config.Queue),
		slots:  make(chan struct{}, config.Queue),
		done:   make(chan struct{}),
		giveUp: cancel,
		closed: make(chan struct{}),
	}
	for range config.Writers {
		r.writers.Go(func() { r.run(ctx) })
	}
	go func() {
		r.writers.Wait()
		cancel()
		close(r.done)
	}()
	return r, nil
}

// Record hands over an event, and returns before it is written. If the queue is full it waits for room until ctx ends, or
// with DropWhenFull not at all.
//
// Bad params, or a type that the store itself writes, are an [*InputError]. Any other error means that the event was not
// recorded, and is counted as dropped: it wraps [ErrQueueFull] and the cause of ctx, or [ErrRecorderClosed].
func (r *Recorder) Record(ctx context.Context, event AppendParams) error {
	if err := event.check(); err != nil {
		return err
	}
	if err := r.enqueue(ctx, event); err != nil {
		r.dropped.Add(1)
		return fmt.Errorf("repo: Recorder.Record: %w", err)
	}
	return nil
}

func (r *Recorder) enqueue(ctx context.Context, event AppendParams) error {
	r.recording.RLock()
	defer r.recording.RUnlock()
	select {
	case <-r.closed:
		return ErrRecorderClosed
	default:
	}
	if err := r.takeSlot(ctx); err != nil {
		return err
	}
	event.Metadata = bytes.Clone(event.Metadata) // the caller may use it again
	r.queue <- event.withID()
	return nil
}

func (r *Recorder) takeSlot(ctx context.Context) error {
	select {
	case r.slots <- struct{}{}:
		return nil
	default:
	}
	if r.config.DropWhenFull {
		return ErrQueueFull
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrQueueFull, context.Cause(ctx))
	case <-r.closed:
		return ErrRecorderClosed
	}
}

// Close takes no more events, writes those that are recorded, and returns when all are written or ctx ends; while the
// database does not answer that is for ever, so give ctx a deadline. Its error says how many are left, and wraps the cause
// of ctx; of these, what was on its way may yet arrive. Close may be called again.
func (r *Recorder) Close(ctx context.Context) error {
	r.close.Do(func() {
		close(r.closed)
		r.recording.Lock()
		close(r.queue)
		r.recording.Unlock()
	})
	cause := errGivenUp
	select {
	case <-r.done:
	case <-ctx.Done():
		cause = context.Cause(ctx)
		r.giveUp()
	}
	if left := r.Stats().Queued; left > 0 {
		return fmt.Errorf("repo: Recorder.Close: %d events are not written: %w", left, cause)
	}
	return nil
}

// RecorderStats counts events. Recorded is the sum of Written, Refused and Queued.
type RecorderStats struct {
	Recorded int64 // that Record has taken
	Written  int64 // that are in the database
	Refused  int64 // that the database has refused for good; OnError was given each
	Queued   int64 // that wait or are on their way
	Dropped  int64 // that Record has not taken: the queue was full, or the recorder closed
}

// Stats says what has become of the events so far.
func (r *Recorder) Stats() RecorderStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	queued := int64(len(r.slots))
	return RecorderStats{
		Recorded: r.written + r.refused + queued,
		Written:  r.written,
		Refused:  r.refused,
		Queued:   queued,
		Dropped:  r.dropped.Load(),
	}
}

// settle counts what has become of events and makes room for others.
func (r *Recorder) settle(written, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written += int64(written)
	r.refused += int64(refused)
	for range written + refused {
		<-r.slots
	}
}
