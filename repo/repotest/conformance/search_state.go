package conformance

import (
	"errors"

	"github.com/anishathalye/porcupine"
)

// ordered is a family after some of the calls of its history, in an order that the search has not given up.
type ordered struct {
	family family
	bounds []bound  // of all calls
	done   []uint64 // a bit for each call
}

var (
	errNotYet  = errors.New("it is another's turn")
	errDeadEnd = errors.New("a call is to come that cannot be answered so any more")
)

func newOrdered(start family, operations []porcupine.Operation) ordered {
	o := ordered{family: start, done: make([]uint64, (len(operations)+63)/64)}
	for _, operation := range operations {
		o.bounds = append(o.bounds, boundOf(operation.Input, operation.Output))
	}
	return o
}

func (o ordered) step(t turn, answer any) (ordered, error) {
	if t.first >= 0 && !o.has(t.first) {
		return o, errNotYet
	}
	family, err := o.family.step(t.call, answer)
	if err != nil {
		return o, err
	}
	family.trail = nil
	next := ordered{family: family, bounds: o.bounds, done: o.with(t.index)}
	if !family.equal(o.family) && next.isDeadEnd() {
		return o, errDeadEnd
	}
	return next, nil
}

func (o ordered) isDeadEnd() bool {
	for i, b := range o.bounds {
		if !o.has(i) && b.passed(o.family) {
			return true
		}
	}
	return false
}

func (o ordered) has(index int) bool { return o.done[index/64]>>(index%64)&1 == 1 }

func (o ordered) with(index int) []uint64 {
	done := append([]uint64(nil), o.done...)
	done[index/64] |= 1 << (index % 64)
	return done
}
