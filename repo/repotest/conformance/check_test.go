package conformance

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gptoauth/gptoauth/repo"
)

// signedIn is the history of a session whose refresh token is a, and what may be called and answered then.
type signedIn struct {
	*history

	retried, rotated, ended, end, alive, retriedOnce porcupine.Operation
	kinds                                            []porcupine.Operation
}

func newSignedIn(rules *repo.Config) *signedIn {
	session, first, second, third := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	s := &signedIn{history: &history{start: family{
		rules: rules, issued: repo.IssueParams{ClientID: "client_1", WithoutPKCE: true}, code: "code", codeEnds: time.Minute, used: true, session: session,
		tokens: []generation{{text: "a", id: first, ends: timeless.RefreshTTL}},
	}}}
	call := func(input, output any) porcupine.Operation { return porcupine.Operation{Input: input, Output: output} }
	rotate := func(token string, outcome repo.Outcome, grant repo.Grant) porcupine.Operation {
		grant.SessionID = session
		return call(repo.RotateParams{RefreshToken: token, ClientID: "client_1"}, repo.RotateResult{Outcome: outcome, Grant: grant})
	}
	looked := func(s repo.Session) porcupine.Operation {
		token := repo.RefreshToken{ID: first, RevokedAt: s.EndedAt}
		if s.RefreshTokenID != first {
			token.RotatedTo, token.RevokedAt = second, time.Unix(1, 0)
		}
		s.ID, s.ClientID = session, "client_1"
		return call(lookup{"a"}, repo.LookupResult{Active: s.Alive && s.RefreshTokenID == first, Token: token, Session: s})
	}
	listed := func(s repo.Session) porcupine.Operation {
		s.ID, s.ClientID = session, "client_1"
		return call(repo.SessionListParams{}, observation{&s})
	}
	revoke := func(token string, outcome repo.Outcome) porcupine.Operation {
		return call(repo.RevokeParams{RefreshToken: token, ClientID: "client_1"}, repo.RevokeResult{Outcome: outcome, SessionID: session})
	}
	over := repo.Session{EndedAt: time.Unix(1, 0), EndReason: "sign_out"}
	over.RefreshTokenID = second
	b, c := repo.Grant{RefreshToken: "b", RefreshTokenID: second}, repo.Grant{RefreshToken: "c", RefreshTokenID: third}
	exchange := repo.ExchangeParams{Code: "code", ClientID: "client_1", ClientAuthenticated: true}
	signOut, endAll := repo.EndParams{SessionID: session, Reason: "sign_out"}, repo.EndAllParams{Reason: "sign_out"}

	s.retried, s.rotated, s.ended = rotate("a", repo.Retried, b), rotate("a", repo.Rotated, b), rotate("a", repo.Ended, repo.Grant{})
	s.end, s.alive = call(signOut, repo.EndedResult{Sessions: 1}), call(active{session}, true)
	s.retriedOnce = looked(repo.Session{RefreshTokenID: second, Alive: true, Retries: 1})
	s.kinds = []porcupine.Operation{
		s.retried, s.rotated, s.ended, s.end, s.alive, s.retriedOnce,
		rotate("b", repo.Ended, repo.Grant{}), rotate("b", repo.Rotated, c), rotate("b", repo.Retried, c), rotate("a", repo.Reused, repo.Grant{}),
		rotate("z", repo.Unknown, repo.Grant{}),
		call(repo.RotateParams{RefreshToken: "a", ClientID: "client_1"}, unsure{}),
		call(repeated{repo.RotateParams{RefreshToken: "a", ClientID: "client_1"}}, repo.RotateResult{Outcome: repo.Ended}),
		revoke("a", repo.Revoked), revoke("a", repo.Ended), call(repo.RevokeParams{RefreshToken: "a", ClientID: "client_1"}, unsure{}),
		call(exchange, repo.ExchangeResult{Outcome: repo.Replayed, Grant: repo.Grant{SessionID: session}}), call(exchange, unsure{}),
		call(signOut, repo.EndedResult{}), call(signOut, unsure{}), call(endAll, repo.EndedResult{Sessions: 1}), call(endAll, partial{}),
		looked(repo.Session{RefreshTokenID: first, Alive: true}), looked(repo.Session{RefreshTokenID: second, Alive: true}), looked(over),
		listed(repo.Session{RefreshTokenID: first, Alive: true}), listed(repo.Session{RefreshTokenID: second, Alive: true}), listed(over),
		call(active{session}, false), call(touch{session}, true),
	}
	return s
}

func (s *signedIn) add(o porcupine.Operation, from, to int) {
	o.Call, o.Return = int64(from), int64(to)
	s.operations = append(s.operations, o)
}

// plain is the verdict of a search that is spared nothing.
func (s *signedIn) plain() bool {
	return porcupine.CheckOperations(porcupine.Model{
		Init: func() any { return s.start },
		Step: func(state, call, answer any) (bool, any) {
			next, err := state.(family).step(call, answer)
			return err == nil, next
		},
		Equal: func(a, b any) bool { return a.(family).equal(b.(family)) },
	}, s.operations)
}

func (s *signedIn) verdict() porcupine.CheckResult {
	s.layOut()
	return porcupine.CheckOperationsTimeout(s.model(s.operations), takeTurns(s.operations), checkTimeout)
}

// Histories have an order if and only if they have one in which calls that are alike take turns, and no bound is passed. Most
// are made by calling one thing after the other, as the model says, and stretching the times around.
func TestWhatIsSparedChangesNoVerdict(t *testing.T) {
	t.Parallel()
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		rules := timeless
		if rapid.Bool().Draw(t, "no grace") {
			rules.Grace = 0
		}
		s := newSignedIn(&rules)
		at := s.start
		for i := range rapid.IntRange(1, 12).Draw(t, "calls") {
			kinds := s.kinds
			if rapid.IntRange(0, 19).Draw(t, "any") > 0 {
				kinds = slices.DeleteFunc(slices.Clone(kinds), func(o porcupine.Operation) bool {
					_, err := at.step(o.Input, o.Output)
					return err != nil
				})
			}
			o := rapid.SampledFrom(kinds).Draw(t, "kind")
			if next, err := at.step(o.Input, o.Output); err == nil {
				at = next
			}
			s.add(o, 10*i-rapid.IntRange(0, 40).Draw(t, "before"), 10*i+rapid.IntRange(0, 40).Draw(t, "after"))
		}
		want := s.plain()
		require.Equal(t, want, s.verdict() == porcupine.Ok)
		verdicts[want]++
	})
	require.Greater(t, verdicts[true], 10)
	require.Greater(t, verdicts[false], 10)
}

// The first of two that are alike is not first if it is answered later: the look in between saw one retry.
func TestAnswersDecideWhoIsFirst(t *testing.T) {
	t.Parallel()
	s := newSignedIn(&timeless)
	s.add(s.rotated, 0, 1)
	s.add(s.alive, 2, 5)
	s.add(s.retried, 3, 100)
	s.add(s.retried, 10, 20)
	s.add(s.retriedOnce, 30, 40)
	require.True(t, s.plain())
	require.Equal(t, porcupine.Ok, s.verdict())
}

// Without turns the search would go through the sets of those that may have been first, of which there are 2^64; and without
// bounds, where calls overlap only in part, through nearly as many once it has let the session end too early.
func TestManyCallsOfOneMomentAreDecided(t *testing.T) {
	t.Parallel()
	for name, stretch := range map[string]int{"AllAtOnce": 1000, "OneAfterTheOther": 25} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSignedIn(&timeless)
			random := rand.New(rand.NewPCG(1, 2))
			at := 0
			several := func(n int, o porcupine.Operation) {
				for range n {
					s.add(o, at-random.IntN(stretch), at+1+random.IntN(stretch))
					at++
				}
			}
			several(1, s.rotated)
			several(45, s.retried)
			several(1, s.end)
			several(16, s.ended)
			require.Equal(t, porcupine.Ok, s.verdict())

			s.add(s.alive, at+stretch+1, at+stretch+2) // after the end
			require.Equal(t, porcupine.Illegal, s.verdict())
		})
	}
}

// What is wrong counts more than what is not known of another history.
func TestASearchThatIsGivenUpIsUndecided(t *testing.T) {
	t.Parallel()
	lost := newSignedIn(&timeless)
	session := repo.Session{ID: lost.start.session, ClientID: "client_1", RefreshTokenID: lost.start.tokens[0].id, EndedAt: time.Unix(1, 0)}
	for i := range 40 { // any of which, in any order, may have been before that one
		call := repo.EndParams{SessionID: session.ID, Reason: strconv.Itoa(i)}
		lost.add(porcupine.Operation{Input: call, Output: unsure{}}, i, math.MaxInt)
	}
	session.EndReason = "no one's"
	lost.add(porcupine.Operation{Input: repo.SessionListParams{}, Output: observation{&session}}, 50, 51)
	hs := histories{all: []*history{lost.history}}
	require.ErrorIs(t, hs.check(time.Millisecond), ErrUndecided)

	wrong := newSignedIn(&timeless)
	wrong.add(wrong.end, 0, 1)
	wrong.add(wrong.alive, 2, 3)
	hs.all = append(hs.all, wrong.history)
	err := hs.check(100 * time.Millisecond)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrUndecided)
}
