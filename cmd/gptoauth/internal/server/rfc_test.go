package server

import (
	"slices"
	"testing"
)

// rule is one MUST or SHOULD that falls on this server and its store.
type rule struct {
	section string // RFC and section
	level   string // MUST, SHOULD or MAY
	demand  string // in short, and the name of the test
	check   func(h *harness)
}

func (r rule) name() string { return r.section + " " + r.level + " " + r.demand }

func allRules() []rule {
	return slices.Concat(authorizeRules, tokenRules, resourceRules, pageRules, mcpRules)
}

// TestRFC checks each rule on a running server. The rules stand in rfc_*_test.go, by what they are about; that none is left
// out is for [TestRFCLists] to show.
func TestRFC(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, r := range allRules() {
		t.Run(r.name(), func(t *testing.T) {
			t.Parallel()
			r.check(h.in(t))
		})
	}
}
