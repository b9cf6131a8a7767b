package repo

import (
	"context"
	"net/netip"

	"github.com/google/uuid"
)

// SecurityEvent is a finding worth waking someone for: a code or a refresh token was presented that had been spent before, so
// that someone else has it too. The session has been ended.
type SecurityEvent struct {
	Type        string     // EventCodeReplay or EventTokenReuse
	ClerkUserID string     // whose session it was
	ClientID    string     // that presented it
	SessionID   uuid.UUID  // that has been ended
	IPAddress   netip.Addr // of the request, as the host gave it
}

// alarms collects the findings of a transaction that the store owns, until it is committed.
type alarms struct {
	pending []SecurityEvent
}

// alert hands a finding to Config.OnSecurityEvent: at once if the call was a transaction of its own, after the commit if it
// is part of one that the store owns, and not at all if the commit is the caller's, who alone knows of it.
func (c *conn) alert(ctx context.Context, op operation, event SecurityEvent) {
	switch {
	case c.config.OnSecurityEvent == nil:
	case c.owns:
		op.leaving()
		c.config.OnSecurityEvent(ctx, event)
		op.answered()
	case c.alarms != nil:
		c.alarms.pending = append(c.alarms.pending, event)
	}
}

// alertCommitted hands over what a committed transaction has found.
func (c *conn) alertCommitted(ctx context.Context, op operation, found *alarms) {
	for _, event := range found.pending {
		c.alert(ctx, op, event)
	}
}
