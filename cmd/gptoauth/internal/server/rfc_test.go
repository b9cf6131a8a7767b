package server

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule is one MUST or SHOULD that falls on this server and its store.
type rule struct {
	section string // RFC and section
	level   string // MUST, SHOULD or MAY
	demand  string // in short, and the name of the test
	check   func(h *harness)

	// unmet says why a rule is not met. The README lists it among the limits.
	unmet string
}

// TestRFC checks each rule on a running server. The rules stand in rfc_*_test.go, by what they are about.
func TestRFC(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	readme, err := os.ReadFile("../../../../README.md")
	require.NoError(t, err)
	for _, r := range slices.Concat(authorizeRules, tokenRules, resourceRules, pageRules, mcpRules) {
		t.Run(r.section+" "+r.level+" "+r.demand, func(t *testing.T) {
			t.Parallel()
			if r.unmet != "" {
				if !strings.Contains(string(readme), r.section) {
					t.Error("a rule that is not met is a limit, and the README lists it")
				}
				return
			}
			r.check(h.in(t))
		})
	}
}

var unmetRules = []rule{
	{section: "RFC 9700 2.2.1", level: "SHOULD", demand: "access tokens are sender-constrained", unmet: "no DPoP and no mutual TLS"},
	{section: "RFC 9700 2.5", level: "RECOMMENDED", demand: "clients authenticate with asymmetric keys", unmet: "no private_key_jwt and no mutual TLS"},
	{section: "MCP Client ID Metadata Documents", level: "SHOULD", demand: "client ids that are URLs are fetched", unmet: "clients are registered by the operator"},
}
