package conformance_test

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

const flawVariable = "GPTOAUTH_CONFORMANCE_FLAW"

// TestFlawsAreFound is the negative control: each flaw passes the whole table, one call after the other, and fails where
// it is wrong. As a failed test fails its parents, the kit runs in a process of its own, which is this test again.
func TestFlawsAreFound(t *testing.T) {
	t.Parallel()
	if f := flaw(os.Getenv(flawVariable)); f != noFlaw {
		factory := peerFactory(f)
		conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
			return factory(forgetful{t}, config)
		})
		return
	}
	for _, tc := range []struct {
		flaw      flaw
		runs      string // besides StateMachine
		situation string // of StateMachine and Schedules
		race      string // of Races
		says      []string
	}{
		{doubleSpend, "Schedules|Races", "issued", "a_code_is_spent_once", []string{
			"--- FAIL: TestFlawsAreFound/Schedules ",
			"--- FAIL: TestFlawsAreFound/Races/a_code_is_spent_once ",
			`"exchange" and then "exchange", both at the code`,
		}},
		{forkedChain, "Schedules|Races", "rotated_twice", "parallel_refreshes_get_the_same_successor", []string{
			"--- FAIL: TestFlawsAreFound/Schedules ",
			"--- FAIL: TestFlawsAreFound/Races/parallel_refreshes_get_the_same_successor ",
			"no order of ",
			`"rotate current" and then "rotate current", both at the session`,
		}},
		{livingToken, "Schedules|Races", "rotated_twice", "no_token_outlives_the_end", []string{
			"--- FAIL: TestFlawsAreFound/Schedules ",
			"--- FAIL: TestFlawsAreFound/Races/no_token_outlives_the_end ",
			"an ended session has no living token",
		}},
		{lostRetry, "Random", "rotated_twice", "none", []string{
			"--- FAIL: TestFlawsAreFound/Random ",
			"its answer lost",
			"-rapid.seed=",
		}},
	} {
		t.Run(string(tc.flaw), func(t *testing.T) {
			t.Parallel()
			output, err := runFlawed(t, tc.flaw, "^(StateMachine|"+tc.runs+")$/^("+tc.situation+"|"+tc.race+")$")
			require.Error(t, err, "the kit has found nothing:\n%s", output)
			for _, text := range append(tc.says, "--- PASS: TestFlawsAreFound/StateMachine ") {
				if !strings.Contains(output, text) { // testify would print the output on one line
					t.Errorf("%q is not in:\n%s", text, output)
				}
			}
		})
	}
}

var drawings = regexp.MustCompile(`drawn in ([^)]+)`)

// removeDrawings removes what no one will look at.
func removeDrawings(text string) {
	for _, drawing := range drawings.FindAllStringSubmatch(text, -1) {
		_ = os.Remove(drawing[1])
	}
}

// runFlawed runs parts of the kit in a process of its own.
func runFlawed(t *testing.T, f flaw, parts string) (string, error) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0],
		"-test.v", "-test.run=^TestFlawsAreFound$/"+parts, "-rapid.nofailfile", "-rapid.shrinktime=5s")
	cmd.Env = append(os.Environ(), flawVariable+"="+string(f), "GPTOAUTH_CONFORMANCE_TIME=30s") // it ends when the flaw is found
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	removeDrawings(output.String())
	return strings.ToValidUTF8(output.String(), "?"), err
}

// forgetful drops its database even if the test fails, as it is expected to.
type forgetful struct{ testing.TB }

func (forgetful) Failed() bool { return false }
