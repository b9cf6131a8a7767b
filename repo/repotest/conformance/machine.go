package conformance

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// The durations of all tests but one. They differ by odd minutes and time passes by even ones, so that no deadline is
// ever near, however slow the machine.
var usual = repo.Config{
	CodeTTL:    9 * time.Minute,
	Grace:      3 * time.Minute,
	RefreshTTL: 31 * time.Minute,
	SessionTTL: 61 * time.Minute,
}

const (
	pastCode    = 10 * time.Minute
	pastGrace   = 4 * time.Minute
	pastRefresh = 32 * time.Minute
	pastSession = 62 * time.Minute
)

// consent is what the families of the table are about.
var consent = repo.IssueParams{
	ClientID:    "https://client.example/metadata.json",
	RedirectURI: "https://client.example/callback?a=b",
	Scope:       "openid offline_access",
	Resource:    "https://api.example/ https://mcp.example/",
	Data:        []byte(`{"nonce": "n-0S6_WzA2Mj", "auth_time": 1311280970, "quote": "'\" ?0 \\"}`),
}

const otherClient = "client_2"

// situation is a state of a family: what was done since the code was issued.
type situation struct {
	name string
	does []deed
}

// deed is something done to a family, the only one of its person.
type deed func(ctx context.Context, c *client) error

// situations are the states of the table.
var situations = []situation{
	{"issued", nil},
	{"issued without PKCE", nil}, // see begin
	{"code expired", []deed{passes(pastCode)}},
	{"code withdrawn", []deed{does("end all")}},

	{"exchanged", []deed{does("exchange")}},
	{"rotated", []deed{does("exchange"), does("rotate current")}},
	{"rotated, grace over", []deed{does("exchange"), does("rotate current"), passes(pastGrace)}},
	{"rotated twice", []deed{does("exchange"), does("rotate current"), does("rotate current")}},
	{"rotated twice, grace over", []deed{does("exchange"), does("rotate current"), does("rotate current"), passes(pastGrace)}},
	{"token expired", []deed{does("exchange"), does("rotate current"), does("rotate current"), passes(pastRefresh)}},
	// Rotated halfway, so that the current token lives until the session's end and not beyond.
	{"session over", []deed{does("exchange"), does("rotate current"), passes(pastRefresh - 2*time.Minute), does("rotate current"), passes(pastRefresh)}},

	{"ended", []deed{does("exchange"), does("rotate current"), does("rotate current"), does("end")}},
	{"ended by reuse", []deed{does("exchange"), does("rotate current"), does("rotate current"), does("rotate oldest")}},
	{"ended by replay", []deed{does("exchange"), does("rotate current"), does("rotate current"), does("exchange")}},
	{"ended by its client", []deed{does("exchange"), does("rotate current"), does("rotate current"), does("revoke predecessor")}},
}

// With the grace period off.
var strictSituations = []situation{
	{"rotated, no grace", []deed{does("exchange"), does("rotate current")}},
}

// With tokens that live shorter than the grace period lasts.
var shortSituations = []situation{
	{"token expired in grace", []deed{does("exchange"), does("rotate current"), passes(2 * time.Minute)}},
}

// calls are the columns of the table. Each makes its call from the family as it is; nil says that there is no such call,
// because there is no such token yet.
var calls = []struct {
	name string
	make func(c *client, f family) any
}{
	{"exchange", exchangeWith(func(*repo.ExchangeParams) {})},
	{"exchange without the redirect URI", exchangeWith(func(p *repo.ExchangeParams) { p.RedirectURI = "" })},
	{"exchange by another client", exchangeWith(func(p *repo.ExchangeParams) { p.ClientID = otherClient })},
	{"exchange with another redirect URI", exchangeWith(func(p *repo.ExchangeParams) { p.RedirectURI += "&c=d" })},
	{"exchange with another verifier", exchangeWith(func(p *repo.ExchangeParams) { p.CodeVerifier = repotest.NewVerifier() })},
	{"exchange with a malformed verifier", exchangeWith(func(p *repo.ExchangeParams) { p.CodeVerifier = "'; --" })},
	{"exchange without the verifier", exchangeWith(func(p *repo.ExchangeParams) { p.CodeVerifier = "" })},
	{"exchange without authentication", exchangeWith(func(p *repo.ExchangeParams) { p.ClientAuthenticated = false })},

	{"rotate current", rotateWith(1, func(*repo.RotateParams) {})},
	{"rotate current by another client", rotateWith(1, func(p *repo.RotateParams) { p.ClientID = otherClient })},
	{"rotate predecessor", rotateWith(2, func(*repo.RotateParams) {})},
	{"rotate predecessor by another client", rotateWith(2, func(p *repo.RotateParams) { p.ClientID = otherClient })},
	{"rotate oldest", rotateWith(3, func(*repo.RotateParams) {})},
	{"rotate oldest by another client", rotateWith(3, func(p *repo.RotateParams) { p.ClientID = otherClient })},

	{"revoke current", revokeWith(1, func(*repo.RevokeParams) {})},
	{"revoke current by another client", revokeWith(1, func(p *repo.RevokeParams) { p.ClientID = otherClient })},
	{"revoke predecessor", revokeWith(2, func(*repo.RevokeParams) {})},
	{"revoke oldest", revokeWith(3, func(*repo.RevokeParams) {})},

	{"end", ofSession(func(id uuid.UUID) any { return repo.EndParams{SessionID: id, Reason: "sign_out"} })},
	{"end all", func(c *client, _ family) any { return repo.EndAllParams{ClerkUserID: c.person.id, Reason: "sign_out"} }},
	{"end all of its client", func(c *client, f family) any {
		return repo.EndAllParams{ClerkUserID: c.person.id, ClientID: f.issued.ClientID, Reason: "sign_out"}
	}},
	{"end all of another client", func(c *client, _ family) any {
		return repo.EndAllParams{ClerkUserID: c.person.id, ClientID: otherClient, Reason: "sign_out"}
	}},
	{"end all but this", ofSession(func(id uuid.UUID) any { return repo.EndAllParams{Except: id, Reason: "sign_out"} })},
	{"end user", func(c *client, _ family) any { return endUser{c.person.id, "offboarded"} }},

	{"active", ofSession(func(id uuid.UUID) any { return active{id} })},
	{"touch", ofSession(func(id uuid.UUID) any { return touch{id} })},
	{"lookup current", tokenWith(1, func(_ family, token string) any { return lookup{token} })},
	{"lookup predecessor", tokenWith(2, func(_ family, token string) any { return lookup{token} })},
}

func exchangeWith(change func(*repo.ExchangeParams)) func(*client, family) any {
	return func(c *client, f family) any {
		params := c.exchange(f)
		change(&params)
		return params
	}
}

func tokenWith(fromEnd int, then func(f family, token string) any) func(*client, family) any {
	return func(_ *client, f family) any {
		if len(f.tokens) < fromEnd {
			return nil
		}
		return then(f, f.tokens[len(f.tokens)-fromEnd].text)
	}
}

func rotateWith(fromEnd int, change func(*repo.RotateParams)) func(*client, family) any {
	return tokenWith(fromEnd, func(f family, token string) any {
		params := repo.RotateParams{RefreshToken: token, ClientID: f.issued.ClientID}
		change(&params)
		return params
	})
}

func revokeWith(fromEnd int, change func(*repo.RevokeParams)) func(*client, family) any {
	return tokenWith(fromEnd, func(f family, token string) any {
		params := repo.RevokeParams{RefreshToken: token, ClientID: f.issued.ClientID}
		change(&params)
		return params
	})
}

func ofSession(then func(id uuid.UUID) any) func(*client, family) any {
	return func(c *client, f family) any {
		if !f.used {
			return nil
		}
		call := then(f.session)
		if all, ok := call.(repo.EndAllParams); ok {
			all.ClerkUserID = c.person.id
			return all
		}
		return call
	}
}

func callNamed(name string, c *client, f family) any {
	for _, call := range calls {
		if call.name == name {
			return call.make(c, f)
		}
	}
	panic("conformance: no call is named " + name)
}

func does(name string) deed {
	return func(ctx context.Context, c *client) error {
		_, err := c.do(ctx, callNamed(name, c, c.person.families[0]))
		return err
	}
}

func passes(d time.Duration) deed {
	return func(ctx context.Context, c *client) error { return c.age(ctx, d) }
}

// begin makes a person with one family in a situation.
func (s situation) begin(ctx context.Context, subject Subject, rules *repo.Config) (*client, error) {
	c := newClient(subject, rules)
	params := consent
	params.WithoutPKCE = s.name == "issued without PKCE"
	if err := c.issue(ctx, params); err != nil {
		return nil, err
	}
	for _, deed := range s.does {
		if err := deed(ctx, c); err != nil {
			return nil, fmt.Errorf("getting to %q: %w", s.name, err)
		}
	}
	return c, nil
}

func situationNamed(name string) situation {
	for _, s := range situations {
		if s.name == name {
			return s
		}
	}
	panic("conformance: no situation is named " + name)
}

// testMachine makes every call in every situation and compares what comes of it with the table.
func testMachine(t *testing.T, factory Factory) {
	strict, short := usual, usual
	strict.Grace = repo.Off
	short.RefreshTTL = time.Minute
	for _, part := range []struct {
		config     repo.Config
		situations []situation
	}{{usual, situations}, {strict, strictSituations}, {short, shortSituations}} {
		subject := factory(t, part.config)
		if !subject.canAge() {
			t.Skip("the subject cannot age: neither Subject.DB nor Subject.Age is set")
		}
		for _, situation := range part.situations {
			t.Run(situation.name, func(t *testing.T) {
				for _, call := range calls {
					testCell(t, subject, &part.config, situation, call.name)
				}
			})
		}
		checkInvariants(t, subject)
	}
}

func testCell(t *testing.T, subject Subject, rules *repo.Config, s situation, name string) {
	t.Helper()
	c, err := s.begin(t.Context(), subject, rules)
	if err != nil {
		t.Fatal(err)
	}
	call := callNamed(name, c, c.person.families[0])
	if call == nil || !can(subject.Store, call) {
		return
	}
	cell, err := cellOf(s.name, name)
	if err != nil {
		t.Fatal(err)
	}
	events := len(c.person.trail)
	before, err := c.sessionNow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.do(t.Context(), call)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	after, err := c.sessionNow(t.Context())
	if err == nil {
		err = c.checkTrail(t.Context())
	}
	if err != nil {
		t.Errorf("%s: afterwards: %v", name, err)
		return
	}
	got := strings.Join([]string{outcomeOf(answer), stateOf(before, after), strings.Join(c.person.trail[events:], " ")}, " | ")
	if got != cell {
		t.Errorf("%s: want %s, got %s", name, cell, got)
	}
}

// sessionNow is the session as it is listed; nil if there is none.
func (c *client) sessionNow(ctx context.Context) (*repo.Session, error) {
	answer, err := c.do(ctx, repo.SessionListParams{ClerkUserID: c.person.id})
	if err != nil || len(answer.([]repo.Session)) == 0 {
		return nil, err
	}
	return &answer.([]repo.Session)[0], nil
}

// outcomeOf is an answer in a word.
func outcomeOf(answer any) string {
	switch answer := answer.(type) {
	case repo.IssueResult:
		return "issued"
	case repo.ExchangeResult:
		return string(answer.Outcome)
	case repo.RotateResult:
		return string(answer.Outcome)
	case repo.RevokeResult:
		return string(answer.Outcome)
	case repo.EndedResult:
		return fmt.Sprintf("%d codes, %d sessions", answer.Codes, answer.Sessions)
	case repo.LookupResult:
		return map[bool]string{true: "active", false: "inactive"}[answer.Active]
	case unsure:
		return "no answer"
	case partial:
		return "done"
	case observation:
		if answer.session == nil {
			return "not in the list"
		}
		return fmt.Sprintf("alive %v, ended %q, %d retries", answer.session.Alive, answer.session.EndReason, answer.session.Retries)
	case []repo.Session:
		return fmt.Sprintf("%d sessions", len(answer))
	default:
		return fmt.Sprint(answer)
	}
}

// stateOf is a session in a word.
func stateOf(before, after *repo.Session) string {
	switch {
	case reflect.DeepEqual(before, after):
		return "same"
	case after.Alive:
		return "alive"
	case !after.EndedAt.IsZero():
		return "ended: " + after.EndReason
	default:
		return "over"
	}
}

// cellOf finds the cell of the table for a situation and a call.
func cellOf(situation, call string) (string, error) {
	var found []cell
	for _, c := range table {
		if c.call == call && slices.Contains(c.in, situation) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the table has %d cells for %q in %q, want one", len(found), call, situation)
	}
	return strings.Join([]string{found[0].outcome, found[0].session, found[0].events}, " | "), nil
}
