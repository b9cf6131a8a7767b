package conformance

import (
	"math/rand/v2"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gptoauth/gptoauth/repo"
)

// signedIn is the history of a session whose refresh token is a, and what may have been called and answered.
func signedIn() (*history, []porcupine.Operation) {
	session, successor := uuid.New(), uuid.New()
	h := &history{start: family{
		rules: &timeless, code: "code", used: true, session: session,
		tokens: []generation{{text: "a", ends: timeless.RefreshTTL}},
	}}
	rotate := func(token string, outcome repo.Outcome, grant repo.Grant) porcupine.Operation {
		grant.SessionID = session
		return porcupine.Operation{Input: repo.RotateParams{RefreshToken: token}, Output: repo.RotateResult{Outcome: outcome, Grant: grant}}
	}
	b := repo.Grant{RefreshToken: "b", RefreshTokenID: successor}
	return h, []porcupine.Operation{
		rotate("a", repo.Retried, b),
		rotate("a", repo.Rotated, b),
		rotate("a", repo.Ended, repo.Grant{}),
		rotate("b", repo.Ended, repo.Grant{}),
		{Input: repo.RotateParams{RefreshToken: "a"}, Output: unsure{}},
		{Input: repo.EndParams{SessionID: session, Reason: "sign_out"}, Output: repo.EndedResult{Sessions: 1}},
		{Input: repo.EndParams{SessionID: session, Reason: "sign_out"}, Output: repo.EndedResult{}},
		{Input: active{session}, Output: true},
		{Input: active{session}, Output: false},
	}
}

// Histories have an order if and only if they have one in which calls that are alike take turns.
func TestTakingTurnsChangesNoVerdict(t *testing.T) {
	t.Parallel()
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		h, kinds := signedIn()
		for range rapid.IntRange(1, 9).Draw(t, "calls") {
			o := rapid.SampledFrom(kinds).Draw(t, "kind")
			o.Call = int64(rapid.IntRange(0, 12).Draw(t, "from"))
			o.Return = o.Call + int64(rapid.IntRange(0, 12).Draw(t, "took"))
			h.operations = append(h.operations, o)
		}
		h.layOut()
		anyOrder := make([]porcupine.Operation, len(h.operations))
		for i, o := range h.operations {
			anyOrder[i] = o
			anyOrder[i].Input = turn{call: o.Input, index: i, after: -1}
		}
		want := porcupine.CheckOperations(h.model(), anyOrder)
		require.Equal(t, want, porcupine.CheckOperations(h.model(), takeTurns(h.operations)))
		verdicts[want]++
	})
	require.Len(t, verdicts, 2, "both kinds of history must have been there")
}

// Without turns the search would go through the sets of those that may have been first, of which there are 2^64.
func TestManyCallsOfOneMomentAreDecided(t *testing.T) {
	t.Parallel()
	h, kinds := signedIn()
	for kind, n := range []int{30, 1, 16, 0, 0, 1, 15, 0, 1} {
		for range n {
			o := kinds[kind]
			o.Call = int64(rand.IntN(1000))
			o.Return = 1000 + int64(rand.IntN(1000))
			h.operations = append(h.operations, o)
		}
	}
	decide := func() porcupine.CheckResult {
		return porcupine.CheckOperationsTimeout(h.model(), takeTurns(h.operations), checkTimeout)
	}
	require.Equal(t, porcupine.Ok, decide())

	alive := kinds[7]
	alive.Call, alive.Return = 2000, 2001 // after the end
	h.operations = append(h.operations, alive)
	require.Equal(t, porcupine.Illegal, decide())
}
