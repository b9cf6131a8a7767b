package conformance

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gptoauth/gptoauth/internal/invariants"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const (
	maxPersons   = 2
	maxCodes     = 3 // a person
	minSequences = 20
)

// testRandom makes random calls of two clients for two persons, lets time pass in between and answers get lost, and
// compares each answer with the model. A sequence that fails is shrunk, and printed with its seed.
func testRandom(t *testing.T, factory Factory) {
	subject := factory(t, usual)
	deadline := time.Now().Add(effort(t))
	sequences, calls, failed := 0, 0, false
	for first := true; first || time.Now().Before(deadline); first = false {
		rapid.Check(t, func(rt *rapid.T) {
			if !failed && sequences >= minSequences && time.Now().After(deadline) {
				return // enough; but not once something has failed and is being shrunk and shown
			}
			s := newSequence(subject)
			passed := false
			defer func() { failed = failed || !passed }()
			s.run(rt)
			passed = true
			sequences++
			calls += s.calls
		})
	}
	checkInvariants(t, subject)
	t.Logf("%d sequences of %d calls", sequences, calls)
}

// sequence is one random sequence of calls.
type sequence struct {
	subject Subject
	clients []*client
	calls   int
}

func newSequence(subject Subject) *sequence {
	s := &sequence{subject: subject}
	for range maxPersons {
		s.clients = append(s.clients, newClient(subject, &usual))
	}
	return s
}

func (s *sequence) run(t *rapid.T) {
	actions := map[string]func(*rapid.T){
		"issue":    s.issue,
		"exchange": func(t *rapid.T) { s.call(t, "exchange") },
		"rotate":   func(t *rapid.T) { s.call(t, "rotate current") },
		"retry":    func(t *rapid.T) { s.call(t, "rotate predecessor") },
		"any":      func(t *rapid.T) { s.call(t, calls[rapid.IntRange(0, len(calls)-1).Draw(t, "call")].name) },
		"stranger": s.stranger,
	}
	if s.subject.canAge() {
		actions["age"] = s.age
	}
	t.Repeat(actions)

	for _, c := range s.clients {
		if err := c.settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.subject.DB == nil {
		return
	}
	findings, err := invariants.Check(t.Context(), s.subject.DB)
	if err != nil || len(findings) > 0 {
		t.Fatal(findings, err)
	}
}

func (s *sequence) client(t *rapid.T) *client {
	return s.clients[rapid.IntRange(0, len(s.clients)-1).Draw(t, "person")]
}

func (s *sequence) issue(t *rapid.T) {
	c := s.client(t)
	if len(c.person.families) == maxCodes {
		t.Skip("enough codes")
	}
	params := consent
	params.ClientID = rapid.SampledFrom([]string{consent.ClientID, otherClient}).Draw(t, "client")
	params.WithoutPKCE = rapid.Bool().Draw(t, "without PKCE")
	s.calls++
	if err := c.issue(t.Context(), params); err != nil {
		t.Fatal(err)
	}
}

// call makes one of the calls of the table, whatever the situation, and looks at what became of the person's sessions.
func (s *sequence) call(t *rapid.T, name string) {
	c := s.client(t)
	if len(c.person.families) == 0 {
		t.Skip("this person has no code")
	}
	f := c.person.families[rapid.IntRange(0, len(c.person.families)-1).Draw(t, "code")]
	call := callNamed(name, c, f)
	if call == nil || !can(s.subject.Store, call) {
		t.Skip("there is no such call yet")
	}
	if s.subject.Lose != nil && changes(call) && rapid.IntRange(0, 5).Draw(t, "lost") == 5 {
		call = lost{call}
	}
	s.calls++
	answer, err := c.do(t.Context(), call)
	if err == nil {
		t.Logf("%s: %s", describe(call), outcomeOf(answer))
		_, err = c.do(t.Context(), repo.SessionListParams{ClerkUserID: c.person.id, Limit: 2})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stranger presents what was never issued.
func (s *sequence) stranger(t *rapid.T) {
	secret := rapid.SampledFrom([]string{
		"", "x", "gptr_", "gptc_",
		"gptr_AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", // the checksum is wrong
		"gptc_AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	}).Draw(t, "secret")
	exchanged, err := s.subject.Store.Exchange(t.Context(), repo.ExchangeParams{
		Code: secret, ClientID: consent.ClientID, RedirectURI: consent.RedirectURI, CodeVerifier: repotest.NewVerifier(),
	})
	if err == nil {
		err = want("exchange of no code", repo.ExchangeResult{Outcome: repo.Unknown}, exchanged)
	}
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := s.subject.Store.Rotate(t.Context(), repo.RotateParams{RefreshToken: secret, ClientID: consent.ClientID})
	if err == nil {
		err = want("rotation of no token", repo.RotateResult{Outcome: repo.Unknown}, rotated)
	}
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := s.subject.Store.Revoke(t.Context(), repo.RevokeParams{RefreshToken: secret, ClientID: consent.ClientID})
	if err == nil {
		err = want("revocation of no token", repo.RevokeResult{Outcome: repo.Unknown}, revoked)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.calls += 3
}

func (s *sequence) age(t *rapid.T) {
	c := s.client(t)
	d := rapid.SampledFrom([]time.Duration{2 * time.Minute, pastGrace, pastCode, pastRefresh}).Draw(t, "time passes")
	if err := c.age(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// changes says whether a call may change anything, so that its answer can be lost to an effect.
func changes(call any) bool {
	switch call.(type) {
	case active, touch, lookup, repo.SessionListParams:
		return false
	default:
		return true
	}
}
