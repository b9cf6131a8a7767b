package repo

import (
	"context"
	"encoding/json"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Events appends to the audit trail and reads it.
type Events struct {
	conn *conn
}

// The types of the events that the store itself writes, each in the transaction of the change it tells of. Append refuses
// them, so that their presence proves the change.
const (
	EventAuthorize     = "authorize"      // a code was issued
	EventTokenExchange = "token_exchange" // a code was exchanged
	EventTokenRefresh  = "token_refresh"  // a refresh token was rotated
	EventTokenRetry    = "token_retry"    // a predecessor was answered with its successor again
	EventTokenRevoke   = "token_revoke"   // a client revoked its token
	EventTokenMismatch = "token_mismatch" // a token was presented by another client
	EventTokenReuse    = "token_reuse"    // a spent token was presented; the session was ended
	EventCodeMismatch  = "code_mismatch"  // a code was presented with a wrong client, redirect URI or verifier
	EventCodeReplay    = "code_replay"    // a spent code was presented; the session was ended
	EventSessionEnd    = "session_end"    // a session was ended by End, EndAll or EndUser
	EventUserEnd       = "user_end"       // a person was offboarded
	EventUserErase     = "user_erase"     // a person was erased
)

func isStoreEventType(eventType string) bool {
	return slices.Contains([]string{
		EventAuthorize, EventTokenExchange, EventTokenRefresh, EventTokenRetry, EventTokenRevoke, EventTokenMismatch,
		EventTokenReuse, EventCodeMismatch, EventCodeReplay, EventSessionEnd, EventUserEnd, EventUserErase,
	}, eventType)
}

// Event is an entry of the audit trail.
type Event struct {
	bun.BaseModel `bun:"table:public.gpt_oauth_events,alias:e"`

	ID          uuid.UUID       `bun:"id,pk,type:uuid"`
	Type        string          `bun:"event_type"`           // one of the Event constants, or the host's own
	ClerkUserID string          `bun:"clerk_user_id"`        // empty before authentication
	ClientID    string          `bun:"client_id"`            // empty if not known
	SessionID   uuid.UUID       `bun:"session_id,type:uuid"` // zero if it belongs to none
	Metadata    json.RawMessage `bun:"metadata,type:jsonb"`  // a JSON object
	IPAddress   string          `bun:"ip_address"`           // of the request; empty if not known
	CreatedAt   time.Time       `bun:"created_at"`           // by the database's clock
}

// maxBatch bounds the length of one statement.
const maxBatch = 1000

// AppendParams is an event of the host's own.
type AppendParams struct {
	Type        string          // such as "job_search": a lower-case letter, then up to 63 of a-z, 0-9, _ and .
	ID          uuid.UUID       // optional; the same id twice is appended once
	ClerkUserID string          // optional; at most 255 bytes
	ClientID    string          // optional; at most 2,048 bytes
	SessionID   uuid.UUID       // optional
	Metadata    json.RawMessage // optional; a JSON object of at most 16 KB
	IPAddress   netip.Addr      // optional
}

func (p AppendParams) check() error {
	return firstError(
		checkEventType("AppendParams.Type", p.Type),
		checkText("AppendParams.ClerkUserID", p.ClerkUserID, maxIDLen),
		checkText("AppendParams.ClientID", p.ClientID, maxClientIDLen),
		checkJSON("AppendParams.Metadata", p.Metadata),
	)
}

// withID gives an event its id before it is first sent, so that it can be sent again.
func (p AppendParams) withID() AppendParams {
	switch {
	case p.ID != uuid.Nil:
	case p.ClerkUserID == "" && p.SessionID != uuid.Nil:
		p.ID = newID(routeOfID(p.SessionID))
	default:
		p.ID = newID(routeOf(p.ClerkUserID))
	}
	return p
}

// Append writes events of the host's own types, at most 1,000, all or none, in one round trip. Their time is the
// database's. A [Recorder] takes more of them, and collects.
//
// Bad params, or a type that the store itself writes, are an [*InputError]; any other error is a [*DatabaseError].
func (e *Events) Append(ctx context.Context, events ...AppendParams) (err error) {
	ctx, op := e.conn.begin(ctx, "Events.Append")
	defer op.end(&err)
	if len(events) == 0 {
		return nil
	}
	if len(events) > maxBatch {
		return &InputError{"Append events", "must be at most 1,000 a call"}
	}
	rows := make([]AppendParams, len(events))
	for i, event := range events {
		if err := event.check(); err != nil {
			return err
		}
		rows[i] = event.withID()
	}

	return e.conn.appendEvents(ctx, op, rows)
}

// appendEvents writes events that are checked and have ids.
func (c *conn) appendEvents(ctx context.Context, op operation, events []AppendParams) error {
	n := len(events)
	call := c.newCall("gpt_append_events_v1").
		array("uuid[]", n, func(b []byte, i int) []byte { return appendID(b, events[i].ID) }).
		array("text[]", n, func(b []byte, i int) []byte { return appendElement(b, sqlText{text: events[i].Type}) }).
		array("text[]", n, func(b []byte, i int) []byte { return appendElement(b, optional(events[i].ClerkUserID)) }).
		array("text[]", n, func(b []byte, i int) []byte { return appendElement(b, optional(events[i].ClientID)) }).
		array("uuid[]", n, func(b []byte, i int) []byte { return appendOptionalID(b, events[i].SessionID) }).
		array("jsonb[]", n, func(b []byte, i int) []byte { return appendElement(b, optional(string(events[i].Metadata))) }).
		array("text[]", n, func(b []byte, i int) []byte { return appendElement(b, addressText(events[i].IPAddress)) })
	if _, err := c.run(ctx, op, call); err != nil {
		return err
	}
	op.wrote(n)
	return nil
}

// EventListParams filters the audit trail. A zero field filters nothing.
type EventListParams struct {
	Type        string   // one of the Event constants, or the host's own
	Types       []string // any of these
	ClerkUserID string
	ClientID    string
	SessionID   uuid.UUID
	IPAddress   netip.Addr
	Since       time.Time // at or after
	Until       time.Time // before
	Cursor      string    // Next of the page before; empty for the first
	Limit       int       // at most 1,000; defaults to 100
}

// EventPage is a page of the audit trail.
type EventPage struct {
	Events []Event // newest first
	Next   string  // the cursor of the next page; empty if this is the last
}

// List reads the audit trail, newest first, a page at a time. By person or session it reads an index in order, and of a
// type that is rare, as alarms are, all there are of it. The other filters have no index: they walk back through time past
// every event that does not match, so give them a Since. Bad params are an [*InputError]; any other error is a
// [*DatabaseError].
func (e *Events) List(ctx context.Context, params EventListParams) (_ EventPage, err error) {
	ctx, op := e.conn.begin(ctx, "Events.List")
	defer op.end(&err)
	limit, err := pageLimit("EventListParams.Limit", params.Limit)
	if err != nil {
		return EventPage{}, err
	}
	if err := params.check(); err != nil {
		return EventPage{}, err
	}
	var after position
	if params.Cursor != "" {
		if after, err = parseCursor("EventListParams.Cursor", params.Cursor); err != nil {
			return EventPage{}, err
		}
	}

	var page EventPage
	err = e.conn.repeat(ctx, op, func(ctx context.Context) error {
		page.Events = nil
		query := params.where(e.conn.db.NewSelect().Model(&page.Events))
		if params.Cursor != "" {
			query = query.Where("(e.created_at, e.id) < (?, ?)", after.at, after.id)
		}
		return query.OrderExpr("e.created_at DESC, e.id DESC").Limit(int64(limit) + 1).Scan(ctx)
	})
	if err != nil {
		return EventPage{}, err
	}
	if len(page.Events) > limit {
		page.Events = page.Events[:limit]
		last := page.Events[limit-1]
		page.Next = position{at: last.CreatedAt, id: last.ID}.cursor()
	}
	return page, nil
}

func (p EventListParams) check() error {
	for _, eventType := range p.Types {
		if err := checkText("EventListParams.Types", eventType, maxIDLen); err != nil {
			return err
		}
	}
	return firstError(
		checkText("EventListParams.Type", p.Type, maxIDLen),
		checkText("EventListParams.ClerkUserID", p.ClerkUserID, maxIDLen),
		checkText("EventListParams.ClientID", p.ClientID, maxClientIDLen),
	)
}

// where filters e, the events.
func (p EventListParams) where(query *bun.SelectQuery) *bun.SelectQuery {
	if p.Type != "" {
		query = query.Where("e.event_type = ?", literal(p.Type))
	}
	if len(p.Types) > 0 {
		query = query.Where("e.event_type IN (?)", bun.List(literals(p.Types)))
	}
	if p.ClerkUserID != "" {
		query = query.Where("e.clerk_user_id = ?", literal(p.ClerkUserID))
	}
	if p.ClientID != "" {
		query = query.Where("e.client_id = ?", literal(p.ClientID))
	}
	if p.SessionID != uuid.Nil {
		query = query.Where("e.session_id = ?", p.SessionID)
	}
	if p.IPAddress.IsValid() {
		query = query.Where("e.ip_address = ?", addressText(p.IPAddress).text)
	}
	if !p.Since.IsZero() {
		query = query.Where("e.created_at >= ?", p.Since)
	}
	if !p.Until.IsZero() {
		query = query.Where("e.created_at < ?", p.Until)
	}
	return query
}

// All is List as a sequence over all pages from params.Cursor on; params.Limit is the size of a page. It ends after the
// first error, which comes with a zero Event.
func (e *Events) All(ctx context.Context, params EventListParams) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			page, err := e.List(ctx, params)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, event := range page.Events {
				if !yield(event, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			params.Cursor = page.Next
		}
	}
}
