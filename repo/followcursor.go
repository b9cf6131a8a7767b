package repo

import (
	"time"

	"github.com/google/uuid"
)

// FollowCursor says which events have been dealt with, so that a later [Events.Follow] misses none and repeats none. Its
// zero value is new. Keep it with the next one's [FollowParams]; as JSON it is the text to store, with about 70 bytes for each event
// of the last minute that passed the filter.
//
// Follow counts an event as dealt with when the loop comes back for the next one. To store it earlier, call Done in the loop:
//
//	for event, err := range store.Events.Follow(ctx, repo.FollowParams{Cursor: cursor}) {
//		if err != nil { ... }
//		deal with event; cursor.Done(event); store cursor
//	}
//
// Whoever stops between dealing with an event and storing the cursor gets that event again: at least once is what a cursor
// can promise, so use the id of the event to know it again. It is not safe for use beside the loop.
type FollowCursor struct {
	// Settled: every event before it has been dealt with. It moves on with time, also when there are no events.
	Settled time.Time `json:"settled,omitzero"`
	// Dealt are the events dealt with that are not before Settled, with their times.
	Dealt map[uuid.UUID]time.Time `json:"dealt,omitempty"`
}

// Done counts an event as dealt with.
func (c *FollowCursor) Done(event Event) {
	if event.CreatedAt.Before(c.Settled) {
		return
	}
	if c.Dealt == nil {
		c.Dealt = make(map[uuid.UUID]time.Time)
	}
	c.Dealt[event.ID] = event.CreatedAt
}

// Has says whether an event has been dealt with.
func (c *FollowCursor) Has(event Event) bool {
	_, ok := c.Dealt[event.ID]
	return ok || event.CreatedAt.Before(c.Settled)
}

// settle forgets what is before limit, or before read, up to which everything was read, if there is more.
func (c *FollowCursor) settle(limit, read time.Time, more bool) {
	if more && read.Before(limit) {
		limit = read
	}
	if !limit.After(c.Settled) {
		return
	}
	c.Settled = limit
	for id, at := range c.Dealt {
		if at.Before(limit) {
			delete(c.Dealt, id)
		}
	}
}
