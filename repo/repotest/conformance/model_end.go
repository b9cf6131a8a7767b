package conformance

import (
	"cmp"
	"fmt"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
)

func (f family) revoke(call repo.RevokeParams, answer any, wasLost bool) (family, error) {
	outcome := repo.Revoked
	switch {
	case call.RefreshToken == "" || f.generationOf(call.RefreshToken) < 0:
		outcome = repo.Unknown
	case call.ClientID != f.issued.ClientID:
		outcome = repo.Mismatch
	case f.ended != "":
		outcome = repo.Ended
	}
	if result, sure := answer.(repo.RevokeResult); sure {
		said := outcome
		if wasLost && outcome == repo.Revoked {
			said = repo.Ended
		}
		if err := want("outcome", said, result.Outcome); err != nil {
			return f, err
		}
		if result.SessionID != uuid.Nil && f.session != uuid.Nil && result.SessionID != f.session {
			return f, fmt.Errorf("session: want %v, got %v", f.session, result.SessionID)
		}
	}
	if outcome == repo.Mismatch {
		return f.event(repo.EventTokenMismatch), nil
	}
	if outcome == repo.Revoked {
		return f.close("token_revoke").event(repo.EventTokenRevoke), nil
	}
	return f, nil
}

func (f family) end(call repo.EndParams, answer any, wasLost bool) (family, error) {
	var ended repo.EndedResult
	if f.used && f.ended == "" && call.SessionID == f.session {
		f = f.close(call.Reason).event(repo.EventSessionEnd)
		if !wasLost {
			ended.Sessions = 1
		}
	}
	return f, want("ended", ended, answer)
}

// endAll counts nothing of what a first call did whose answer was lost.
func (f family) endAll(call repo.EndAllParams, answer any, wasLost bool) (family, error) {
	var ended repo.EndedResult
	if call.ClientID == "" || call.ClientID == f.issued.ClientID {
		if f.code != "" && !f.used && f.codeEnds > f.now {
			f.codeEnds = f.now
			ended.Codes = 1
		}
		if f.used && f.ended == "" && (call.Except == uuid.Nil || call.Except != f.session) {
			f = f.close(call.Reason).event(repo.EventSessionEnd)
			ended.Sessions = 1
		}
	}
	if wasLost {
		ended = repo.EndedResult{}
	}
	if _, ok := answer.(partial); ok { // it counts other families too
		return f, nil
	}
	return f, want("ended", ended, answer)
}

func (f family) checkListed(seen observation) error {
	if seen.session == nil || !f.used {
		return want("a session in the list", f.used, seen.session != nil)
	}
	return f.checkSession(*seen.session)
}

func (f family) checkSession(got repo.Session) error {
	if err := f.checkConsent(got.ClerkUserID, got.Scope, got.Resource, got.Data); err != nil {
		return err
	}
	current := f.tokens[f.current()].id
	if f.isOld(got.RefreshTokenID) {
		return fmt.Errorf("the current token is %v, which was rotated away", got.RefreshTokenID)
	}
	return cmp.Or(
		want("session", cmp.Or(f.session, got.ID), got.ID),
		want("client", f.issued.ClientID, got.ClientID),
		want("current token", cmp.Or(current, got.RefreshTokenID), got.RefreshTokenID),
		want("retries", f.retries, got.Retries),
		want("ended", f.ended != "", !got.EndedAt.IsZero()),
		want("end reason", f.ended, got.EndReason),
		want("alive", f.alive(), got.Alive),
	)
}

func (f family) checkLookup(call lookup, got repo.LookupResult) error {
	presented := f.generationOf(call.RefreshToken)
	if presented < 0 {
		return want("lookup of an unknown token", uuid.Nil, got.Token.ID)
	}
	isCurrent := presented == f.current()
	next := uuid.Nil
	if !isCurrent {
		next = f.tokens[presented+1].id
	}
	if err := cmp.Or(
		want("token", f.tokens[presented].id, got.Token.ID),
		want("active", isCurrent && f.alive(), got.Active),
		want("revoked", !isCurrent || f.ended != "", !got.Token.RevokedAt.IsZero()),
		want("successor", cmp.Or(next, got.Token.RotatedTo), got.Token.RotatedTo),
	); err != nil {
		return err
	}
	if isCurrent && got.Token.RotatedTo != uuid.Nil {
		return fmt.Errorf("the current token has the successor %v", got.Token.RotatedTo)
	}
	return f.checkSession(got.Session)
}
