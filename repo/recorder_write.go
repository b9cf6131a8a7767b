package repo

import (
	"context"
	"errors"
	"time"
)

// run is a writer. It ends when the queue is closed and empty.
func (r *Recorder) run(ctx context.Context) {
	batch := make([]AppendParams, 0, r.config.Batch)
	for {
		batch = r.collect(batch[:0])
		if len(batch) == 0 {
			return
		}
		r.write(ctx, batch)
		clear(batch) // let go of the metadata
	}
}

// collect waits for an event, and then, for as long as Interval, for more of them.
func (r *Recorder) collect(batch []AppendParams) []AppendParams {
	r.turn.Lock()
	defer r.turn.Unlock()
	event, ok := <-r.queue
	if !ok {
		return batch
	}
	batch = append(batch, event)
	size := len(event.Metadata)
	timer := time.NewTimer(r.config.Interval)
	defer timer.Stop()
	for len(batch) < r.config.Batch && size < maxBatchBytes {
		select {
		case event, ok := <-r.queue:
			if !ok {
				return batch
			}
			batch = append(batch, event)
			size += len(event.Metadata)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// write repeats until each event of the batch is written or refused, or ctx ends. A batch that is refused is halved until
// the event that is to blame is alone.
func (r *Recorder) write(ctx context.Context, batch []AppendParams) {
	for ctx.Err() == nil {
		err := r.send(ctx, batch)
		switch {
		case err == nil:
			r.settle(len(batch), 0)
			return
		case ctx.Err() != nil: // Close has given up
			return
		case !isAboutRows(err):
			r.report(err)
			if isRefused(err) {
				wait(ctx, refusedPause)
			}
		case len(batch) == 1:
			r.settle(0, 1)
			r.report(err, batch[0])
			return
		default:
			r.write(ctx, batch[:len(batch)/2])
			r.write(ctx, batch[len(batch)/2:])
			return
		}
	}
}

func (r *Recorder) send(ctx context.Context, batch []AppendParams) (err error) {
	ctx, op := r.conn.begin(ctx, "Recorder")
	defer op.end(&err)
	return r.conn.appendEvents(ctx, op, batch)
}

func (r *Recorder) report(err error, lost ...AppendParams) {
	if r.config.OnError != nil {
		r.config.OnError(err, lost...)
	}
}

func isRefused(err error) bool {
	failure, ok := errors.AsType[*DatabaseError](err)
	return ok && failure.Effect == Refused
}

// isAboutRows says that the database refuses what was sent, and not who sends it, or that it does not know the function:
// those come to an end when someone has granted or migrated, and until then halving would refuse every event there is.
func isAboutRows(err error) bool {
	state := sqlState(err)
	if !isRefused(err) || len(state) != len("00000") {
		return false
	}
	switch state[:2] {
	case "0A", // feature_not_supported
		"0L", "0P", // invalid grantor, role
		"25",       // invalid_transaction_state
		"28",       // invalid_authorization_specification
		"3D", "3F", // invalid catalog, schema name
		"42": // insufficient_privilege, undefined_function
		return false
	default:
		return true
	}
}
