package conformance

import (
	"cmp"
	"reflect"
	"slices"
	"sort"

	"github.com/anishathalye/porcupine"
)

// turn is a call with its place among those that are like it.
type turn struct {
	call  any
	index int // in the history
	first int // index of the one that goes before it; -1 if any time will do
}

// takeTurns spares the search orders that differ in nothing. A and B are alike: the same call, answered the same. If A waited
// for no answer that B did not wait for, and was answered before every call that B was answered before, then an order with B
// first stays one when they change places. So the search tries only A first. Without this, 64 clients that make one call at the
// same moment have 2^64 sets of who was before.
func takeTurns(operations []porcupine.Operation) []porcupine.Operation {
	turns := slices.Clone(operations)
	var kinds [][]span // of operations that are alike
	for _, s := range spansOf(operations) {
		o := operations[s.index]
		kind := slices.IndexFunc(kinds, func(alike []span) bool { return isLike(operations[alike[0].index], o) })
		if kind < 0 {
			kind = len(kinds)
			kinds = append(kinds, nil)
		}
		turns[s.index].Input = turn{call: o.Input, index: s.index, first: s.predecessor(kinds[kind])}
		kinds[kind] = append(kinds[kind], s)
	}
	return turns
}

// span is when an operation was, as far as that decides which orders are possible.
type span struct {
	index         int
	answersBefore int // that were there before the call was made
	callsBefore   int // that were made before the answer was there
}

// spansOf puts first what must come first.
func spansOf(operations []porcupine.Operation) []span {
	calls, answers := make([]int64, len(operations)), make([]int64, len(operations))
	for i, o := range operations {
		calls[i], answers[i] = o.Call, o.Return
	}
	slices.Sort(calls)
	slices.Sort(answers)
	spans := make([]span, len(operations))
	for i, o := range operations {
		spans[i] = span{
			index:         i,
			answersBefore: sort.Search(len(answers), func(k int) bool { return answers[k] >= o.Call }),
			callsBefore:   sort.Search(len(calls), func(k int) bool { return calls[k] > o.Return }),
		}
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.answersBefore, b.answersBefore), cmp.Compare(a.callsBefore, b.callsBefore))
	})
	return spans
}

// predecessor is the index of one of the operations alike, which begin no later, that goes first; -1 if none must.
func (s span) predecessor(alike []span) int {
	for _, other := range slices.Backward(alike) {
		if other.callsBefore <= s.callsBefore {
			return other.index
		}
	}
	return -1
}

func isLike(a, b porcupine.Operation) bool {
	return reflect.DeepEqual(a.Input, b.Input) && reflect.DeepEqual(a.Output, b.Output)
}
