package conformance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gptoauth/gptoauth/repo"
)

// person is the model of all that belongs to one person, for calls that are made one after the other.
type person struct {
	id       string
	families []family
	trail    []string // the types of all events, oldest first
}

// age lets time pass.
func (p *person) age(d time.Duration) {
	for i := range p.families {
		p.families[i].now += d
	}
}

// step takes a call and its answer to the families that they concern, or says why no such answer is right.
func (p *person) step(call, answer any) error {
	plain := call
	if l, ok := call.(lost); ok {
		plain = l.call
	}
	switch plain.(type) {
	case repo.EndAllParams, endUser:
		return p.endAll(call, answer)
	case repo.SessionListParams:
		return p.list(answer.([]repo.Session))
	}
	for i := range p.families {
		if p.families[i].concerns(plain) {
			return p.replace(i, call, answer)
		}
	}
	return fmt.Errorf("no family of %s has to do with this call", p.id)
}

func (p *person) replace(i int, call, answer any) error {
	before := p.families[i]
	after, err := before.step(call, answer)
	p.families[i] = after
	p.trail = append(p.trail, after.trail[len(before.trail):]...)
	return err
}

// concerns says whether a call names this family.
func (f family) concerns(call any) bool {
	switch call := call.(type) {
	case repo.ExchangeParams:
		return call.Code == f.code
	case repo.RotateParams:
		return f.generationOf(call.RefreshToken) >= 0
	case repo.RevokeParams:
		return f.generationOf(call.RefreshToken) >= 0
	case lookup:
		return f.generationOf(call.RefreshToken) >= 0
	case repo.EndParams:
		return f.used && call.SessionID == f.session
	case active:
		return f.used && call.SessionID == f.session
	case touch:
		return f.used && call.SessionID == f.session
	default:
		return false
	}
}

// endAll sums up over all families.
func (p *person) endAll(call, answer any) error {
	var total repo.EndedResult
	for i, before := range p.families {
		if err := p.replace(i, call, partial{}); err != nil {
			return err
		}
		after := p.families[i]
		if after.codeEnds != before.codeEnds {
			total.Codes++
		}
		if after.ended != before.ended {
			total.Sessions++
		}
	}
	l, wasLost := call.(lost)
	if wasLost {
		call = l.call
	}
	if _, ok := call.(endUser); ok && total != (repo.EndedResult{}) {
		p.trail = append(p.trail, repo.EventUserEnd)
	}
	if wasLost {
		total = repo.EndedResult{}
	}
	return want("ended", total, answer)
}

// list wants every session once, newest first.
func (p *person) list(sessions []repo.Session) error {
	if !slices.IsSortedFunc(sessions, func(a, b repo.Session) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
		return errors.New("the list is not sorted by time, newest first")
	}
	listed := 0
	for _, f := range p.families {
		var seen observation
		for _, session := range sessions {
			if f.used && session.ID == f.session {
				seen.session = &session
				listed++
			}
		}
		if err := f.checkListed(seen); err != nil {
			return err
		}
	}
	return want("sessions in the list", listed, len(sessions))
}
