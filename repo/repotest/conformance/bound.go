package conformance

import (
	"slices"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
)

// bound is how far a family may have come when an answer is given. It only ever goes on: what has ended does not live again, a
// token that was rotated away is never the current one again, and retries are counted up. So a family that is past the bound of a
// call that is still to come is a dead end, and the search need not find that out by trying every other call first.
type bound struct {
	alive   bool      // not ended
	current uuid.UUID // this token is the current one; Nil: any
	rotated string    // the token of this text is the current one; empty: any
	retries int       // so many and no more; -1: any number
}

func boundOf(call, answer any) bound {
	b := bound{retries: -1}
	switch answer := answer.(type) {
	case repo.RotateResult:
		b.alive = slices.Contains([]repo.Outcome{repo.Rotated, repo.Retried, repo.Reused, repo.Expired}, answer.Outcome)
		if answer.Outcome == repo.Rotated {
			b.rotated = presentedBy(call)
		}
		if answer.Outcome == repo.Retried {
			b.current = answer.RefreshTokenID
		}
	case repo.RevokeResult:
		b.alive = answer.Outcome == repo.Revoked
	case repo.EndedResult:
		b.alive = answer.Sessions > 0
	case bool: // of Active and Touch
		b.alive = answer
	case repo.LookupResult:
		if answer.Token.ID != uuid.Nil {
			b = boundOfSession(answer.Session)
		}
	case observation:
		if answer.session != nil {
			b = boundOfSession(*answer.session)
		}
	}
	return b
}

func boundOfSession(s repo.Session) bound {
	return bound{alive: s.EndedAt.IsZero(), current: s.RefreshTokenID, retries: s.Retries}
}

func presentedBy(call any) string {
	switch call := call.(type) {
	case lost:
		return presentedBy(call.call)
	case repeated:
		return presentedBy(call.call)
	case repo.RotateParams:
		return call.RefreshToken
	default:
		return ""
	}
}

// passed says whether the family has come further. Of a token that no one has been told of it is not known.
func (b bound) passed(f family) bool {
	rotated := f.generationOf(b.rotated)
	return b.alive && f.ended != "" ||
		b.retries >= 0 && f.retries > b.retries ||
		b.rotated != "" && rotated >= 0 && rotated < f.current() ||
		f.isOld(b.current)
}
