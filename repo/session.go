package repo

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Sessions reads, touches and ends sessions. Ending them is what RFC 9700 4.14.2 asks for on sign-out, on a change of password and
// the like.
type Sessions struct {
	conn *conn
}

// Session is what a person has granted to a client: one family of refresh tokens.
type Session struct {
	bun.BaseModel `bun:"table:public.gpt_sessions,alias:s"`

	ID             uuid.UUID       `bun:"id,pk,type:uuid"`
	ClerkUserID    string          `bun:"clerk_user_id"`
	ClientID       string          `bun:"client_id"`                  // empty for rows older than gptoauth: they cannot be refreshed
	Scope          string          `bun:"scope"`                      // space-separated (RFC 6749 3.3)
	Resource       string          `bun:"resource"`                   // space-separated (RFC 8707)
	Data           json.RawMessage `bun:"data,type:jsonb"`            // the host's own, as given to Issue; nil if none was
	RefreshTokenID uuid.UUID       `bun:"refresh_token_id,type:uuid"` // the current token
	LastActiveAt   time.Time       `bun:"last_active"`                // its last exchange, rotation, retry or written Touch
	CreatedAt      time.Time       `bun:"created_at"`                 // the exchange
	ExpiresAt      time.Time       `bun:"expires_at,nullzero"`        // absolute end; zero if there is none
	EndedAt        time.Time       `bun:"ended_at,nullzero"`          // zero if it has not been ended
	EndReason      string          `bun:"end_reason"`                 // token_reuse, code_replay, token_revoke, or the host's own
	Retries        int             `bun:"retries"`                    // how often a client was given its successor again
	IPAddress      string          `bun:"ip_address"`                 // of the exchange
	UserAgent      string          `bun:"user_agent"`                 // of the exchange

	RefreshExpiresAt time.Time `bun:"refresh_expires_at,scanonly"` // of the current token
	// Alive, by the database's clock when it was read: not ended, before its absolute end, its current token unexpired.
	Alive bool `bun:"alive,scanonly"`
}

// sessionColumns needs s, the session, and l, its current token. successor_nonce is not among them: no role but the owner
// may read it.
const (
	aliveExpr = "(s.ended_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())" +
		" AND coalesce(l.expires_at > clock_timestamp(), false))"
	sessionColumns = "s.id, s.clerk_user_id, s.client_id, s.scope, s.resource, s.data, s.refresh_token_id, s.last_active," +
		" s.created_at, s.expires_at, s.ended_at, s.end_reason, s.retries, s.ip_address, s.user_agent," +
		" l.expires_at AS refresh_expires_at, " + aliveExpr + " AS alive"
	joinCurrentToken = "LEFT JOIN public.gpt_refresh_tokens AS l ON l.id = s.refresh_token_id"
)

func (s *Sessions) selectInto(model any) *bun.SelectQuery {
	return s.conn.db.NewSelect().Model(model).ColumnExpr(sessionColumns).Join(joinCurrentToken)
}

// Get reads a session, alive or not. [ErrNotFound] if there is none with this id; any other error is a [*DatabaseError].
func (s *Sessions) Get(ctx context.Context, id uuid.UUID) (_ Session, err error) {
	ctx, op := s.conn.begin(ctx, "Sessions.Get")
	defer op.end(&err)
	var found []Session
	err = s.conn.repeat(ctx, op, func(ctx context.Context) error {
		found = nil
		return s.selectInto(&found).Where("s.id = ?", id).Scan(ctx)
	})
	switch {
	case err != nil:
		return Session{}, err
	case len(found) == 0:
		return Session{}, ErrNotFound
	default:
		return found[0], nil
	}
}

// Active says whether a session is alive now: not ended, before its absolute end, its current token unexpired. It is the
// question to ask, with the sid of an access token, where revocation must work at once (RFC 7009 2.1). A session that
// does not exist is not alive. An error is a [*DatabaseError].
func (s *Sessions) Active(ctx context.Context, id uuid.UUID) (_ bool, err error) {
	ctx, op := s.conn.begin(ctx, "Sessions.Active")
	defer op.end(&err)
	var alive []bool
	err = s.conn.repeat(ctx, op, func(ctx context.Context) error {
		alive = nil
		return s.conn.db.NewSelect().Model((*Session)(nil)).ColumnExpr(aliveExpr).Join(joinCurrentToken).
			Where("s.id = ?", id).Scan(ctx, &alive)
	})
	return len(alive) == 1 && alive[0], err
}

// SessionListParams says which sessions to list. A filter that is zero filters nothing.
type SessionListParams struct {
	ClerkUserID string        // of this person; required unless Everyone is set
	Everyone    bool          // of all people, for operators: never by leaving ClerkUserID empty by mistake
	ClientID    string        // of this client; empty for all
	AliveOnly   bool          // leaves out what has ended or expired
	IdleOver    time.Duration // not active for at least this long; zero for any
	Cursor      string        // Next of the page before, with the same filters; empty for the first
	Limit       int           // at most 1,000; defaults to 100
}

func (p SessionListParams) check() error {
	if p.IdleOver != 0 {
		if err := checkDuration("SessionListParams.IdleOver", p.IdleOver, maxTTL); err != nil {
			return err
		}
	}
	if p.Everyone && p.ClerkUserID != "" {
		return &InputError{"SessionListParams.Everyone", "must not be set together with ClerkUserID"}
	}
	if !p.Everyone {
		if err := checkRequired("SessionListParams.ClerkUserID", p.ClerkUserID, maxIDLen); err != nil {
			return err
		}
	}
	return checkText("SessionListParams.ClientID", p.ClientID, maxClientIDLen)
}

// page selects and orders. Those of a person are read by the index on the person; those of everyone by the primary key,
// whose ids begin with a time too.
func (p SessionListParams) page(query *bun.SelectQuery, after position, limit int) *bun.SelectQuery {
	if p.ClientID != "" {
		query = query.Where("s.client_id = ?", literal(p.ClientID))
	}
	if p.AliveOnly {
		query = query.Where(aliveExpr)
	}
	if p.IdleOver != 0 {
		query = query.Where("s.last_active <= statement_timestamp() - ? * interval '1 us'", p.IdleOver.Microseconds())
	}
	query = query.Limit(int64(limit) + 1)
	if p.Everyone {
		if p.Cursor != "" {
			query = query.Where("s.id < ?", after.id)
		}
		return query.OrderExpr("s.id DESC")
	}
	if p.Cursor != "" {
		query = query.Where("(s.created_at, s.id) < (?, ?)", after.at, after.id)
	}
	return query.Where("s.clerk_user_id = ?", literal(p.ClerkUserID)).OrderExpr("s.created_at DESC, s.id DESC")
}

// SessionPage is a page of sessions.
type SessionPage struct {
	Sessions []Session // newest first
	Next     string    // the cursor of the next page; empty if this is the last
}

// List reads sessions, alive or not, newest first, a page at a time. Those of a person are read by an index. For
// everyone it walks over all sessions by id, which begins with a time unless the row is older than gptoauth, and a filter that few of
// them pass makes it walk far: give its store time for it. Bad params are an [*InputError]; any other error is a [*DatabaseError].
func (s *Sessions) List(ctx context.Context, params SessionListParams) (_ SessionPage, err error) {
	ctx, op := s.conn.begin(ctx, "Sessions.List")
	defer op.end(&err)
	limit, err := pageLimit("SessionListParams.Limit", params.Limit)
	if err != nil {
		return SessionPage{}, err
	}
	if err := params.check(); err != nil {
		return SessionPage{}, err
	}
	var after position
	if params.Cursor != "" {
		if after, err = parseCursor("SessionListParams.Cursor", params.Cursor); err != nil {
			return SessionPage{}, err
		}
	}

	var page SessionPage
	err = s.conn.repeat(ctx, op, func(ctx context.Context) error {
		page.Sessions = nil
		return params.page(s.selectInto(&page.Sessions), after, limit).Scan(ctx)
	})
	if err != nil {
		return SessionPage{}, err
	}
	if len(page.Sessions) > limit {
		page.Sessions = page.Sessions[:limit]
		last := page.Sessions[limit-1]
		page.Next = position{at: last.CreatedAt, id: last.ID}.cursor()
	}
	return page, nil
}

// Touch says whether a session is alive, like Active, and notes that it is in use. However often it is called, it writes at
// most once in Config.TouchInterval, and then a heap-only tuple: no index is touched. It writes no event. An error is a
// [*DatabaseError].
func (s *Sessions) Touch(ctx context.Context, id uuid.UUID) (alive bool, err error) {
	ctx, op := s.conn.begin(ctx, "Sessions.Touch")
	defer op.end(&err)
	call := s.conn.newCall("gpt_touch_session_v1").id(id).micros(s.conn.config.TouchInterval)
	answer, err := s.conn.run(ctx, op, call)
	return answer == sqlTrue, err
}

// TouchAll is Touch for many sessions, at most 1,000, in one transaction and one round trip: for servers that collect which
// were used and say so once in a while. It returns those that are alive, in no order and each once. It waits for no one: one
// that is just being rotated or ended is left to that.
//
// Too many sessions are an [*InputError]; any other error is a [*DatabaseError].
func (s *Sessions) TouchAll(ctx context.Context, ids ...uuid.UUID) (alive []uuid.UUID, err error) {
	ctx, op := s.conn.begin(ctx, "Sessions.TouchAll")
	defer op.end(&err)
	if len(ids) == 0 {
		return nil, nil
	}
	if len(ids) > maxBatch {
		return nil, &InputError{"TouchAll ids", "must be at most 1,000 a call"}
	}
	call := s.conn.newCall("gpt_touch_sessions_v1").
		array("uuid[]", len(ids), func(b []byte, i int) []byte { return appendID(b, ids[i]) }).
		micros(s.conn.config.TouchInterval)
	answer, err := s.conn.run(ctx, op, call)
	if err != nil {
		return nil, err
	}
	alive, err = parseIDs(answer)
	return alive, done(op, err)
}

// EndParams says which session to end, and why.
type EndParams struct {
	SessionID uuid.UUID
	Reason    string     // for the audit trail, such as "sign_out"; required; at most 255 bytes
	IPAddress netip.Addr // of the request; optional, for the audit trail
}

// End ends one session, in one transaction and one round trip, and costs the same however often its token was rotated.
// Its refresh tokens are Ended from then on. Ending twice keeps the first time and reason, and a session that does not
// exist is as good as ended: the result then counts none.
//
// Bad params are an [*InputError]; any other error is a [*DatabaseError].
func (s *Sessions) End(ctx context.Context, params EndParams) (_ EndedResult, err error) {
	ctx, op := s.conn.begin(ctx, "Sessions.End")
	defer op.end(&err)
	if err := checkRequired("EndParams.Reason", params.Reason, maxReasonLen); err != nil {
		return EndedResult{}, err
	}
	call := s.conn.newCall("gpt_end_session_v1").
		id(params.SessionID).
		text(params.Reason).
		nullable(addressText(params.IPAddress)).
		eventID(routeOfID(params.SessionID))
	ended, err := s.conn.run(ctx, op, call)
	if err != nil || ended != sqlTrue {
		return EndedResult{}, err
	}
	return EndedResult{Sessions: 1}, nil
}

// EndAllParams says which sessions of a person to end, and why.
type EndAllParams struct {
	ClerkUserID string
	ClientID    string     // only those with this client; empty for all
	Except      uuid.UUID  // spares this one ("sign out everywhere else"); zero spares none
	Reason      string     // for the audit trail; required; at most 255 bytes
	IPAddress   netip.Addr // of the request; optional, for the audit trail
}

// EndAll ends the sessions of a person, or of a person with one client, or all but one, in one transaction, and lets the
// matching unused codes expire, so that an exchange that races it either comes first, and its session is ended, or comes
// too late. One session_end event is written a session.
//
// Bad params are an [*InputError]; any other error is a [*DatabaseError].
func (s *Sessions) EndAll(ctx context.Context, params EndAllParams) (_ EndedResult, err error) {
	ctx, op := s.conn.begin(ctx, "Sessions.EndAll")
	defer op.end(&err)
	if err := firstError(
		checkRequired("EndAllParams.ClerkUserID", params.ClerkUserID, maxIDLen),
		checkText("EndAllParams.ClientID", params.ClientID, maxClientIDLen),
		checkRequired("EndAllParams.Reason", params.Reason, maxReasonLen),
	); err != nil {
		return EndedResult{}, err
	}
	call := s.conn.newCall("gpt_end_sessions_v1").
		text(params.ClerkUserID).
		optional(params.ClientID).
		optionalID(params.Except).
		text(params.Reason).
		nullable(addressText(params.IPAddress))
	return s.conn.runEnding(ctx, op, call)
}
