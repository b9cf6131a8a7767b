package conformance

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gptoauth/gptoauth/repo"
)

// signedIn is the history of a session whose refresh token is a, and what may have been called and answered.
func signedIn() (*history, []porcupine.Operation) {
	session, first, successor := uuid.New(), uuid.New(), uuid.New()
	h := &history{start: family{
		rules: &timeless, code: "code", used: true, session: session,
		tokens: []generation{{text: "a", id: first, ends: timeless.RefreshTTL}},
	}}
	rotate := func(token string, outcome repo.Outcome, grant repo.Grant) porcupine.Operation {
		grant.SessionID = session
		return porcupine.Operation{Input: repo.RotateParams{RefreshToken: token}, Output: repo.RotateResult{Outcome: outcome, Grant: grant}}
	}
	looked := func(s repo.Session) repo.LookupResult {
		token := repo.RefreshToken{ID: first, RevokedAt: s.EndedAt}
		if s.RefreshTokenID != first {
			token.RotatedTo, token.RevokedAt = successor, time.Unix(1, 0)
		}
		return repo.LookupResult{Active: s.Alive && s.RefreshTokenID == first, Token: token, Session: s}
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
		rotate("b", repo.Rotated, repo.Grant{RefreshToken: "c", RefreshTokenID: uuid.New()}),
		rotate("b", repo.Retried, repo.Grant{RefreshToken: "c", RefreshTokenID: uuid.New()}),
		rotate("a", repo.Reused, repo.Grant{}),
		{Input: lookup{"a"}, Output: looked(repo.Session{ID: session, RefreshTokenID: first, Alive: true})},
		{Input: lookup{"a"}, Output: looked(repo.Session{ID: session, RefreshTokenID: successor, Alive: true})},
		{Input: lookup{"a"}, Output: looked(repo.Session{ID: session, RefreshTokenID: successor, Alive: true, Retries: 1})},
		{Input: lookup{"a"}, Output: looked(repo.Session{ID: session, RefreshTokenID: successor, EndedAt: time.Unix(1, 0), EndReason: "sign_out"})},
		{Input: active{session}, Output: true},
		{Input: active{session}, Output: false},
	}
}

// plainModel is that of the family and no more: it spares the search nothing.
func plainModel(h *history) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return h.start },
		Step: func(state, call, answer any) (bool, any) {
			next, err := state.(family).step(call, answer)
			return err == nil, next
		},
		Equal: func(a, b any) bool { return a.(family).equal(b.(family)) },
	}
}

// Histories have an order if and only if they have one in which calls that are alike take turns, and no bound is passed.
func TestWhatIsSparedChangesNoVerdict(t *testing.T) {
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
		want := porcupine.CheckOperations(plainModel(h), h.operations)
		require.Equal(t, want, porcupine.CheckOperations(h.model(h.operations), takeTurns(h.operations)))
		verdicts[want]++
	})
	t.Log(verdicts)
	require.Len(t, verdicts, 2, "both kinds of history must have been there")
}

// Without turns the search would go through the sets of those that may have been first, of which there are 2^64.
func TestManyCallsOfOneMomentAreDecided(t *testing.T) {
	t.Parallel()
	h, kinds := signedIn()
	for kind, n := range []int{30, 1, 16, 0, 0, 1, 15} {
		for range n {
			o := kinds[kind]
			o.Call = int64(rand.IntN(1000))
			o.Return = 1000 + int64(rand.IntN(1000))
			h.operations = append(h.operations, o)
		}
	}
	decide := func() porcupine.CheckResult {
		return porcupine.CheckOperationsTimeout(h.model(h.operations), takeTurns(h.operations), checkTimeout)
	}
	require.Equal(t, porcupine.Ok, decide())

	alive := porcupine.Operation{Input: active{h.start.session}, Output: true}
	alive.Call, alive.Return = 2000, 2001 // after the end
	h.operations = append(h.operations, alive)
	require.Equal(t, porcupine.Illegal, decide())
}
