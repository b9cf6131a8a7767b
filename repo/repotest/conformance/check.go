package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/gptoauth/gptoauth/repo"
)

// checkTimeout is for one family. A history of some hundred calls takes milliseconds, unless very many answers were lost.
const checkTimeout = 20 * time.Second

// ErrUndecided is wrapped by the error of [Recorder.Check] if nothing is known to be wrong, but for some history the search
// for an order was given up after 20 seconds. The more calls overlap and the more answers are lost, the longer it takes.
var ErrUndecided = errors.New("no order was found in time, and none was ruled out")

func (h *history) check(timeout time.Duration) error {
	h.layOut()
	model := h.model(h.operations)
	result, info := porcupine.CheckOperationsVerbose(model, takeTurns(h.operations), timeout)
	switch result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("%d calls: %w", len(h.operations), ErrUndecided)
	case porcupine.Illegal:
	}
	return fmt.Errorf("no order of %d calls explains the answer to %s%s:\n%s",
		len(h.operations), h.culprit(), drawn(model, info), h)
}

// culprit is the first answer that nothing explains: up to the one before, the history is that of some order.
func (h *history) culprit() string {
	byAnswer := slices.Clone(h.operations)
	slices.SortStableFunc(byAnswer, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	for _, last := range byAnswer {
		var before []porcupine.Operation
		for _, o := range h.operations {
			if o.Call > last.Return {
				continue
			}
			if o.Return > last.Return { // not answered yet
				o.Output, o.Return = unsure{}, int64(never)
			}
			if o.Return <= last.Return || changes(o.Input) {
				before = append(before, o)
			}
		}
		if porcupine.CheckOperationsTimeout(h.model(before), takeTurns(before), checkTimeout) == porcupine.Illegal {
			return describeStep(last)
		}
	}
	return "some of them"
}

// describeStep is a call with its answer, and which token that gave.
func describeStep(o porcupine.Operation) string {
	text := describe(o.Input) + ": " + outcomeOf(o.Output)
	var given repo.Secret
	switch answer := o.Output.(type) {
	case repo.ExchangeResult:
		given = answer.RefreshToken
	case repo.RotateResult:
		given = answer.RefreshToken
	}
	if given != "" {
		text += " to " + tag(string(given))
	}
	return text
}

// model is that of the family, for a search among operations that take turns.
func (h *history) model(operations []porcupine.Operation) porcupine.Model {
	start := newOrdered(h.start, operations)
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(state, call, answer any) (bool, any) {
			next, err := state.(ordered).step(call.(turn), answer)
			return err == nil, next
		},
		Equal: func(a, b any) bool { return a.(ordered).family.equal(b.(ordered).family) },
		DescribeOperation: func(call, answer any) string {
			return describeStep(porcupine.Operation{Input: call.(turn).call, Output: answer})
		},
		DescribeState: func(state any) string { return state.(ordered).family.String() },
	}
}

// layOut gives each operation a lane in which none overlaps it, for the drawing.
func (h *history) layOut() {
	slices.SortStableFunc(h.operations, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var lanes []int64 // the end of the last operation in each
	for i := range h.operations {
		o := &h.operations[i]
		lane := slices.IndexFunc(lanes, func(end int64) bool { return end < o.Call })
		if lane < 0 {
			lane = len(lanes)
			lanes = append(lanes, 0)
		}
		lanes[lane] = o.Return
		o.ClientId = lane
	}
}

// drawn writes a drawing of the history for a browser, and says where.
func drawn(model porcupine.Model, info porcupine.LinearizationInfo) string {
	file, err := os.CreateTemp("", "history-*.html")
	if err != nil {
		return ""
	}
	defer file.Close() //nolint:errcheck // a drawing more or less
	if err := porcupine.Visualize(model, info, file); err != nil {
		return ""
	}
	return " (drawn in " + file.Name() + ")"
}
