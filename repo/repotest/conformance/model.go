package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// family is the model: an authorization code and all that came of it, for calls that are made one after the other. It is a
// value: a step returns the family as it is afterwards.
type family struct {
	rules  *repo.Config // the durations
	now    time.Duration
	issued repo.IssueParams

	code     string // its text; empty until it is issued
	codeEnds time.Duration
	used     bool

	session     uuid.UUID // Nil if no one was told
	sessionEnds time.Duration
	tokens      []generation // oldest first; the last one is current
	retries     int
	ended       string // why; empty while it has not been ended

	trail []string // the events, without what belongs to the person as a whole
}

// generation is a refresh token of a family. Text and id are empty if no one was told.
type generation struct {
	text         string
	id           uuid.UUID
	issued, ends time.Duration
}

// unsure is the answer to a call that may have taken effect.
type unsure struct{}

// lost marks a call whose first answer was lost after it had taken effect.
type lost struct{ call any }

// repeated marks a call that follows an attempt of its own, which may have taken effect.
type repeated struct{ call any }

// observation is what a list of sessions says of one family: nil if it is not in the list.
type observation struct{ session *repo.Session }

// partial is the answer to a call that ends many sessions, as far as one family of several can check it.
type partial struct{}

// endUser is a call of EndUser.
type endUser struct{ ClerkUserID, Reason string }

// active, touch and lookup are calls of these names.
type (
	active struct{ SessionID uuid.UUID }
	touch  struct{ SessionID uuid.UUID }
	lookup struct{ RefreshToken string }
)

// step returns the family after a call that was answered so, or says why no such answer is right.
func (f family) step(call, answer any) (family, error) {
	lostOne, wasLost := call.(lost)
	if wasLost {
		call = lostOne.call
	}
	switch call := call.(type) {
	case repeated:
		if result, ok := answer.(repo.ExchangeResult); ok && result.Outcome == repo.Ended {
			return f, want("the session that this exchange gave is alive", false, f.alive() || !f.used)
		}
		return f.step(call.call, answer)
	case repo.IssueParams:
		return f.issue(answer)
	case repo.ExchangeParams:
		return f.exchange(call, answer)
	case repo.RotateParams:
		return f.rotate(call, answer, wasLost)
	case repo.RevokeParams:
		return f.revoke(call, answer, wasLost)
	case repo.EndParams:
		return f.end(call, answer, wasLost)
	case repo.EndAllParams:
		return f.endAll(call, answer, wasLost)
	case endUser:
		return f.endAll(repo.EndAllParams{Reason: call.Reason}, answer, wasLost)
	case active, touch:
		return f, want("alive", f.alive(), answer)
	case lookup:
		return f, f.checkLookup(call, answer.(repo.LookupResult))
	case repo.SessionListParams:
		return f, f.checkListed(answer.(observation))
	default:
		panic(fmt.Sprintf("conformance: no model of %T", call))
	}
}

func want(what string, want, got any) error {
	if _, ok := got.(unsure); ok || reflect.DeepEqual(want, got) {
		return nil
	}
	return fmt.Errorf("%s: want %v, got %v", what, want, got)
}

func (f family) issue(answer any) (family, error) {
	if f.code != "" {
		return f, errors.New("issued twice")
	}
	result, _ := answer.(repo.IssueResult)
	f.code = string(result.Code)
	f.codeEnds = f.now + f.rules.CodeTTL
	return f.event(repo.EventAuthorize), nil
}

func (f family) event(eventType string) family {
	f.trail = append(slices.Clip(f.trail), eventType)
	return f
}

// current is the current token's generation; -1 without a session.
func (f family) current() int { return len(f.tokens) - 1 }

func (f family) generationOf(token string) int {
	return slices.IndexFunc(f.tokens, func(g generation) bool { return g.text == token })
}

// generationWith is the generation that has an id; -1 if none has, as far as anyone was told.
func (f family) generationWith(id uuid.UUID) int {
	return slices.IndexFunc(f.tokens, func(g generation) bool { return id != uuid.Nil && g.id == id })
}

// isOld says whether the token with an id was rotated away.
func (f family) isOld(id uuid.UUID) bool {
	generation := f.generationWith(id)
	return generation >= 0 && generation < f.current()
}

// over says whether the session has been ended or is past its absolute end.
func (f family) over() bool {
	return f.ended != "" || (f.sessionEnds != 0 && f.sessionEnds <= f.now)
}

func (f family) alive() bool {
	return f.used && !f.over() && f.tokens[f.current()].ends > f.now
}

func (f family) close(reason string) family {
	if f.ended == "" {
		f.ended = reason
	}
	return f
}

// grant adds a generation.
func (f family) grant(granted repo.Grant) family {
	next := generation{text: string(granted.RefreshToken), id: granted.RefreshTokenID, issued: f.now, ends: f.now + f.rules.RefreshTTL}
	if f.sessionEnds != 0 {
		next.ends = min(next.ends, f.sessionEnds)
	}
	f.tokens = append(slices.Clip(f.tokens), next)
	return f
}

// mismatch is the rule about the parameters of an exchange (RFC 6749 4.1.3, RFC 7636 4.6).
func (f family) mismatch(call repo.ExchangeParams) bool {
	withoutURI := call.RedirectURI == "" && !f.issued.WithoutPKCE
	verified := repotest.Challenge(call.CodeVerifier) == f.issued.CodeChallenge
	if f.issued.WithoutPKCE {
		verified = call.CodeVerifier == "" && call.ClientAuthenticated
	}
	return call.ClientID != f.issued.ClientID || (call.RedirectURI != f.issued.RedirectURI && !withoutURI) || !verified
}

func (f family) exchange(call repo.ExchangeParams, answer any) (family, error) {
	outcome := repo.Exchanged
	switch {
	case f.code == "" || call.Code != f.code:
		outcome = repo.Unknown
	case f.mismatch(call):
		outcome = repo.Mismatch
	case f.used:
		outcome = repo.Replayed
	case f.codeEnds <= f.now:
		outcome = repo.Expired
	}
	result, sure := answer.(repo.ExchangeResult)
	if sure {
		if err := want("outcome", outcome, result.Outcome); err != nil {
			return f, err
		}
		if err := f.checkGrant(result.Grant, outcome, outcome == repo.Exchanged); err != nil {
			return f, err
		}
	}
	if outcome == repo.Mismatch {
		return f.event(repo.EventCodeMismatch), nil
	}
	if outcome == repo.Replayed {
		return f.close("code_replay").event(repo.EventCodeReplay), nil
	}
	if outcome != repo.Exchanged {
		return f, nil
	}
	f.used = true
	f.session = result.SessionID
	if f.rules.SessionTTL > 0 {
		f.sessionEnds = f.now + f.rules.SessionTTL
	}
	return f.grant(result.Grant).event(repo.EventTokenExchange), nil
}

func (f family) rotateOutcome(call repo.RotateParams) repo.Outcome {
	presented, current := f.generationOf(call.RefreshToken), f.current()
	switch {
	case call.RefreshToken == "" || presented < 0:
		return repo.Unknown
	case call.ClientID != f.issued.ClientID:
		return repo.Mismatch
	case f.over():
		return repo.Ended
	case presented == current && f.tokens[current].ends <= f.now:
		return repo.Expired
	case presented == current:
		return repo.Rotated
	case presented < current-1 || f.rules.Grace <= 0 || f.tokens[current].issued+f.rules.Grace <= f.now:
		return repo.Reused
	case f.tokens[current].ends <= f.now:
		return repo.Expired
	default:
		return repo.Retried
	}
}

func (f family) rotate(call repo.RotateParams, answer any, wasLost bool) (family, error) {
	outcome := f.rotateOutcome(call)
	result, sure := answer.(repo.RotateResult)
	if sure {
		said := outcome
		if wasLost && outcome == repo.Reused {
			said = repo.Ended
		}
		if err := want("outcome", said, result.Outcome); err != nil {
			return f, err
		}
		if err := f.checkGrant(result.Grant, outcome, outcome == repo.Rotated || outcome == repo.Retried); err != nil {
			return f, err
		}
	}
	if outcome == repo.Mismatch {
		return f.event(repo.EventTokenMismatch), nil
	}
	if outcome == repo.Reused {
		return f.close("token_reuse").event(repo.EventTokenReuse), nil
	}
	if outcome == repo.Rotated {
		return f.grant(result.Grant).event(repo.EventTokenRefresh), nil
	}
	if outcome == repo.Retried {
		return f.retry(result.Grant).event(repo.EventTokenRetry), nil
	}
	return f, nil
}

func (f family) retry(told repo.Grant) family {
	f.retries++
	if current := f.current(); f.tokens[current].text == "" && told.RefreshToken != "" { // no one had been told before
		f.tokens = slices.Clone(f.tokens)
		f.tokens[current].text, f.tokens[current].id = string(told.RefreshToken), told.RefreshTokenID
	}
	return f
}

// checkGrant: a success has all that was consented to and a token that is new, or with Retried the current one; anything
// else has at most the names of the session and the person.
func (f family) checkGrant(got repo.Grant, outcome repo.Outcome, success bool) error {
	if got.SessionID != uuid.Nil && f.session != uuid.Nil && got.SessionID != f.session {
		return fmt.Errorf("session: want %v, got %v", f.session, got.SessionID)
	}
	if !success {
		return want("grant of an outcome that grants nothing", repo.Grant{SessionID: got.SessionID, ClerkUserID: got.ClerkUserID}, got)
	}
	if err := f.checkConsent(got.ClerkUserID, got.Scope, got.Resource, got.Data); err != nil {
		return err
	}
	known := f.generationOf(string(got.RefreshToken))
	current := f.current()
	switch {
	case got.SessionID == uuid.Nil || got.RefreshToken == "" || got.RefreshTokenID == uuid.Nil:
		return fmt.Errorf("%s without a session or a token", outcome)
	case outcome != repo.Retried && (known >= 0 || f.generationWith(got.RefreshTokenID) >= 0):
		return fmt.Errorf("%s with a token that was issued before", outcome)
	case outcome == repo.Retried && known < 0 && f.tokens[current].text != "":
		return errors.New("retried with a token that is not the current one: the chain is forked")
	case outcome == repo.Retried && known >= 0 && known != current:
		return fmt.Errorf("retried with generation %d, the current one is %d", known, current)
	case outcome == repo.Retried && f.isOld(got.RefreshTokenID):
		return fmt.Errorf("retried with the id %v of a token that was rotated away", got.RefreshTokenID)
	}
	return nil
}

func (f family) checkConsent(user, scope, resource string, data json.RawMessage) error {
	for _, field := range []struct{ name, want, got string }{
		{"person", f.issued.ClerkUserID, user},
		{"scope", f.issued.Scope, scope},
		{"resource", f.issued.Resource, resource},
	} {
		if err := want(field.name, field.want, field.got); err != nil {
			return err
		}
	}
	if len(f.issued.Data) == 0 && len(data) == 0 {
		return nil
	}
	var wanted, got any
	if json.Unmarshal(f.issued.Data, &wanted) != nil || json.Unmarshal(data, &got) != nil || !reflect.DeepEqual(wanted, got) {
		return fmt.Errorf("data: want %s, got %s", f.issued.Data, data)
	}
	return nil
}
