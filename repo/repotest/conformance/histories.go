package conformance

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
)

// Check tells whether there is an order of all calls that explains every answer, session by session: one in which a call
// comes after all those that had been answered when it was made (linearizability). The error says which session's history
// has none, and where to look at it; or it wraps [ErrUndecided].
//
// A call that failed counts as not made if its [repo.DatabaseError] says so, and as one that may take effect at any time
// later if not. The history begins with the codes: what belongs to none that was issued here must be unknown.
func (r *Recorder) Check() error {
	r.mu.Lock()
	log := slices.Clone(r.log)
	r.mu.Unlock()

	histories := newHistories(&r.rules, r.Repeats)
	for _, done := range log {
		histories.learn(done)
	}
	for _, done := range log {
		if err := histories.add(done); err != nil {
			return fmt.Errorf("%s: %w", describe(done.call), err)
		}
	}
	return histories.check(checkTimeout)
}

// check looks at every history, for what is wrong in one counts more than what is not known of another.
func (hs *histories) check(timeout time.Duration) error {
	var undecided error
	for _, h := range hs.all {
		h.repeat()
		if err := h.check(timeout); errors.Is(err, ErrUndecided) {
			undecided = err
		} else if err != nil {
			return err
		}
	}
	return undecided
}

// history is that of one family.
type history struct {
	start      family
	operations []porcupine.Operation
}

// histories takes the records of many families apart.
type histories struct {
	rules   *repo.Config
	repeats bool

	all      []*history
	byCode   map[string]*history
	byToken  map[string]*history
	sessions map[uuid.UUID]*history
	persons  map[string][]*history
}

func newHistories(rules *repo.Config, repeats bool) *histories {
	return &histories{
		rules:    rules,
		repeats:  repeats,
		byCode:   map[string]*history{},
		byToken:  map[string]*history{},
		sessions: map[uuid.UUID]*history{},
		persons:  map[string][]*history{},
	}
}

// learn notes which codes, tokens and sessions belong together. Records are in the order of their answers, so that a
// code is issued before it is exchanged, and a token given before it is presented.
func (hs *histories) learn(done record) {
	switch answer := done.answer.(type) {
	case repo.IssueResult:
		if done.err != nil {
			return
		}
		params := done.call.(repo.IssueParams)
		h := &history{start: family{rules: hs.rules, issued: params}}
		hs.all = append(hs.all, h)
		hs.byCode[string(answer.Code)] = h
		hs.persons[params.ClerkUserID] = append(hs.persons[params.ClerkUserID], h)
	case repo.ExchangeResult:
		if h := hs.byCode[done.call.(repo.ExchangeParams).Code]; h != nil {
			hs.grant(h, answer.Grant)
		}
	case repo.RotateResult:
		if h := hs.byToken[done.call.(repo.RotateParams).RefreshToken]; h != nil {
			hs.grant(h, answer.Grant)
		}
	}
}

func (hs *histories) grant(h *history, granted repo.Grant) {
	if granted.SessionID != uuid.Nil {
		hs.sessions[granted.SessionID] = h
	}
	if granted.RefreshToken != "" {
		hs.byToken[string(granted.RefreshToken)] = h
	}
}

// add puts a record into the histories that it belongs to.
func (hs *histories) add(done record) error {
	switch call := done.call.(type) {
	case repo.EndAllParams:
		hs.addToPerson(call.ClerkUserID, done)
		return nil
	case endUser:
		hs.addToPerson(call.ClerkUserID, done)
		return nil
	case repo.SessionListParams:
		hs.addList(call.ClerkUserID, done)
		return nil
	}
	if h := hs.of(done); h != nil {
		h.add(done, hs.repeats)
		return nil
	}
	// It names nothing that was issued here.
	var err error
	if done.err == nil {
		_, err = family{rules: hs.rules}.step(done.call, done.answer)
	}
	return err
}

func (hs *histories) of(done record) *history {
	switch call := done.call.(type) {
	case repo.IssueParams:
		return hs.byCode[string(done.answer.(repo.IssueResult).Code)]
	case repo.ExchangeParams:
		return hs.byCode[call.Code]
	case repo.RotateParams:
		return hs.byToken[call.RefreshToken]
	case repo.RevokeParams:
		return hs.byToken[call.RefreshToken]
	case lookup:
		return hs.byToken[call.RefreshToken]
	case repo.EndParams:
		return hs.sessions[call.SessionID]
	case active:
		return hs.sessions[call.SessionID]
	case touch:
		return hs.sessions[call.SessionID]
	default:
		return nil
	}
}

// addToPerson is for calls that concern each family of a person. Their count can be checked where there is but one.
func (hs *histories) addToPerson(clerkUserID string, done record) {
	if len(hs.persons[clerkUserID]) > 1 {
		done.answer = partial{}
	}
	for _, h := range hs.persons[clerkUserID] {
		h.add(done, hs.repeats)
	}
}

func (hs *histories) addList(clerkUserID string, done record) {
	if done.err != nil {
		return
	}
	seen := map[*history]*repo.Session{}
	for _, session := range done.answer.([]repo.Session) {
		seen[hs.sessions[session.ID]] = &session
	}
	_, strange := seen[nil] // the answer to an exchange was lost, and so no one knows which one it was
	for _, h := range hs.persons[clerkUserID] {
		if seen[h] == nil && strange {
			continue
		}
		done.answer = observation{seen[h]}
		h.add(done, hs.repeats)
	}
}

// never is after all answers.
const never = time.Duration(math.MaxInt64)

// add takes a record in as what is known of it.
func (h *history) add(done record, repeats bool) {
	var failure *repo.DatabaseError
	var input *repo.InputError
	switch {
	case done.err == nil && repeats && maybeOwnDoing(done.answer):
		h.append(repeated{done.call}, done.answer, done.from, done.to)
	case done.err == nil:
		h.append(done.call, done.answer, done.from, done.to)
	case errors.As(done.err, &input), errors.As(done.err, &failure) && failure.Effect != repo.Unsure:
	case changes(done.call):
		h.append(done.call, unsure{}, done.from, never)
	}
}

// maybeOwnDoing says whether an answer may tell of what an earlier attempt of the same call has done.
func maybeOwnDoing(answer any) bool {
	switch answer := answer.(type) {
	case repo.ExchangeResult:
		return answer.Outcome == repo.Ended
	case repo.RotateResult:
		return answer.Outcome == repo.Ended || answer.Outcome == repo.Reused
	case repo.RevokeResult:
		return answer.Outcome == repo.Ended
	case repo.EndedResult:
		return answer == repo.EndedResult{}
	case partial:
		return true
	default:
		return false
	}
}

// repeat adds the attempts that may have been before the answers to repeated calls. None can have done anything to a
// session that was known to be ended when it was made, and most are made then.
func (h *history) repeat() {
	over := never
	for _, o := range h.operations {
		if ends(o.Output) {
			over = min(over, time.Duration(o.Return))
		}
	}
	for _, o := range h.operations {
		if call, ok := o.Input.(repeated); ok && time.Duration(o.Call) <= over {
			h.append(call.call, unsure{}, time.Duration(o.Call), never)
		}
	}
}

// ends says whether an answer shows that the session had been ended when it was given.
func ends(answer any) bool {
	switch answer := answer.(type) {
	case repo.ExchangeResult:
		return answer.Outcome == repo.Ended || answer.Outcome == repo.Replayed
	case repo.RotateResult:
		return answer.Outcome == repo.Ended || answer.Outcome == repo.Reused
	case repo.RevokeResult:
		return answer.Outcome == repo.Ended || answer.Outcome == repo.Revoked
	case repo.EndedResult:
		return answer.Sessions > 0
	case observation:
		return answer.session != nil && answer.session.EndReason != ""
	default:
		return false
	}
}

func (h *history) append(call, answer any, from, to time.Duration) {
	h.operations = append(h.operations, porcupine.Operation{Input: call, Output: answer, Call: int64(from), Return: int64(to)})
}

// equal compares what calls can change.
func (f family) equal(g family) bool {
	return f.code == g.code && f.codeEnds == g.codeEnds && f.used == g.used && f.session == g.session &&
		f.retries == g.retries && f.ended == g.ended && slices.Equal(f.tokens, g.tokens)
}

// String is the state in a word.
func (f family) String() string {
	switch {
	case f.code == "":
		return "not issued"
	case !f.used:
		return "unused"
	case f.ended != "":
		return fmt.Sprintf("ended (%s), generation %d", f.ended, f.current())
	default:
		return fmt.Sprintf("generation %d", f.current())
	}
}

// String lists the calls in the order in which they were made.
func (h *history) String() string {
	var b strings.Builder
	for _, o := range h.operations {
		until := "…"
		if o.Return != int64(never) {
			until = time.Duration(o.Return).String()
		}
		fmt.Fprintf(&b, "  %v to %s: %s\n", time.Duration(o.Call), until, describeStep(o))
	}
	return b.String()
}
