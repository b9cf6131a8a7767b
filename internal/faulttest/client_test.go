package faulttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const (
	clientID    = "https://client.example.com/metadata.json"
	redirectURI = "https://client.example.com/callback"

	// longRequest is longer than any fault but an outage, on a machine that does much else.
	longRequest = 2 * time.Minute

	// lateness is how old a rotation may be whose answer a client claims to have lost, by far less than the grace period.
	lateness = 20 * time.Second
)

// client is one person with one client, which sends one request after the other and remembers what it was told. When the
// database could not answer, it repeats the request with the same token, as after a 503.
type client struct {
	user   string
	random *rand.Rand

	store    *repo.Store
	exchange func(context.Context, repo.ExchangeParams) (repo.ExchangeResult, error)
	rotate   func(context.Context, repo.RotateParams) (repo.RotateResult, error)
	// timeout is that of a request.
	timeout time.Duration
	// plain: it never sends a token twice of its own accord, which only a store with a grace period bears.
	plain bool

	steps     atomic.Int64
	calls     atomic.Int64
	failures  atomic.Int64 // calls that the store gave up
	restarts  int          // sign-ins begun anew because no one knows what became of the exchange
	rotations int
	signOuts  int

	session    *session   // nil while signed out
	sessions   []*session // all there were
	violations []string
}

// session is what a client was told of one session.
type session struct {
	id      uuid.UUID
	tokens  []string // every generation, the current one last
	rotated time.Time
	ended   bool
	broken  bool // something was wrong already, and is told
}

func (s *session) current() string { return s.tokens[len(s.tokens)-1] }

func newClient(store *repo.Store, seed, number uint64) *client {
	return &client{
		user:     repotest.NewUserID(),
		random:   rand.New(rand.NewPCG(seed, number)),
		store:    store,
		exchange: store.AuthCodes.Exchange,
		rotate:   store.RefreshTokens.Rotate,
		timeout:  longRequest,
	}
}

// step does one thing that a client does.
func (c *client) step(ctx context.Context) {
	defer c.steps.Add(1)
	dice := c.random.IntN(100)
	switch {
	case c.session == nil:
		c.signIn(ctx)
	case dice < 5:
		c.signOut(ctx)
	case dice < 10:
		c.use(ctx)
	case dice < 25 && !c.plain:
		c.refreshTwice(ctx)
	case dice < 35 && !c.plain && len(c.session.tokens) > 1 && time.Since(c.session.rotated) < lateness:
		c.refreshLate(ctx)
	default:
		c.refresh(ctx)
	}
}

func (c *client) signIn(ctx context.Context) {
	verifier := repotest.NewVerifier()
	params := repo.IssueParams{
		ClerkUserID: c.user, ClientID: clientID, RedirectURI: redirectURI,
		CodeChallenge: repotest.Challenge(verifier), CodeChallengeMethod: repo.S256,
	}
	var issued repo.IssueResult
	ok := c.patiently(ctx, func(ctx context.Context) (err error) {
		issued, err = c.store.AuthCodes.Issue(ctx, params)
		return err
	})
	if !ok {
		return
	}

	request := repo.ExchangeParams{Code: string(issued.Code), ClientID: clientID, RedirectURI: redirectURI, CodeVerifier: verifier}
	var exchanged repo.ExchangeResult
	restart := false
	ok = c.patiently(ctx, func(ctx context.Context) (err error) {
		exchanged, err = c.exchange(ctx, request)
		// A code may be spent by a call that failed in the end, and spending it again would be a replay: RFC 6749 4.1.2 lets
		// the client only begin anew.
		if failure, ok := errors.AsType[*repo.DatabaseError](err); ok && failure.Effect == repo.Unsure {
			restart = true
			return nil
		}
		return err
	})
	switch {
	case !ok:
	case restart:
		c.restarts++
	case exchanged.Outcome != repo.Exchanged:
		c.violationf("the honest client's code is %s", exchanged.Outcome)
	case exchanged.ClerkUserID != c.user:
		c.violationf("the answer is another person's: %s instead of %s", exchanged.ClerkUserID, c.user)
	default:
		c.session = &session{id: exchanged.SessionID, tokens: []string{string(exchanged.RefreshToken)}}
		c.sessions = append(c.sessions, c.session)
	}
}

func (c *client) refresh(ctx context.Context) {
	c.accept(c.present(ctx, c.session.current()))
}

// refreshTwice is two requests with one token at the same time, as parallel tabs send them. Both get the same successor.
func (c *client) refreshTwice(ctx context.Context) {
	presented := c.session.current()
	var other *repo.RotateResult
	var group sync.WaitGroup
	group.Go(func() { other = c.present(ctx, presented) })
	one := c.present(ctx, presented)
	group.Wait()
	if c.accept(one) && other != nil && (other.Outcome != repo.Rotated && other.Outcome != repo.Retried || other.RefreshToken != one.RefreshToken) {
		c.violationf("of two requests with one token, one is %s and the other %s", one.Outcome, other.Outcome)
	}
}

// refreshLate sends the token before the current one again, as if the answer had got lost on the way to the client.
func (c *client) refreshLate(ctx context.Context) {
	again := c.present(ctx, c.session.tokens[len(c.session.tokens)-2])
	if again != nil && (again.Outcome != repo.Retried || string(again.RefreshToken) != c.session.current()) {
		c.violationf("the repeated request is %s", again.Outcome)
	}
}

// accept remembers the successor. It is false if there is none.
func (c *client) accept(rotated *repo.RotateResult) bool {
	switch {
	case rotated == nil:
		return false
	case rotated.Outcome != repo.Rotated && rotated.Outcome != repo.Retried:
		c.violationf("the honest client's token is %s", rotated.Outcome)
		return false
	case rotated.SessionID != c.session.id || rotated.ClerkUserID != c.user:
		c.violationf("the answer is another session's: %s", rotated.SessionID)
		return false
	}
	c.session.tokens = append(c.session.tokens, string(rotated.RefreshToken))
	c.session.rotated = time.Now()
	c.rotations++
	return true
}

// present asks until there is an answer. It is nil if there is none.
func (c *client) present(ctx context.Context, token string) *repo.RotateResult {
	var rotated repo.RotateResult
	ok := c.patiently(ctx, func(ctx context.Context) (err error) {
		rotated, err = c.rotate(ctx, repo.RotateParams{RefreshToken: token, ClientID: clientID})
		return err
	})
	if !ok {
		return nil
	}
	return &rotated
}

// use asks whether the session is alive.
func (c *client) use(ctx context.Context) {
	alive := false
	ok := c.patiently(ctx, func(ctx context.Context) (err error) {
		alive, err = c.store.Sessions.Touch(ctx, c.session.id)
		return err
	})
	if ok && !alive {
		c.violationf("the session is not alive")
	}
}

// signOut ends the session in one of two ways, and sees that it is over.
func (c *client) signOut(ctx context.Context) {
	over := c.session
	token := over.current()
	revoke := !c.plain && c.random.IntN(2) == 0 // a naive token has not the form of ours
	var revoked repo.RevokeResult
	ok := c.patiently(ctx, func(ctx context.Context) (err error) {
		if revoke {
			revoked, err = c.store.RefreshTokens.Revoke(ctx, repo.RevokeParams{RefreshToken: token, ClientID: clientID})
			return err
		}
		_, err = c.store.Sessions.End(ctx, repo.EndParams{SessionID: over.id, Reason: "sign_out"})
		return err
	})
	if !ok {
		over.broken = true // no one knows
		c.session = nil
		return
	}
	// Ended, if it is a repetition of what had been done.
	if revoke && revoked.Outcome != repo.Revoked && revoked.Outcome != repo.Ended {
		c.violationf("the honest client's revocation is %s", revoked.Outcome)
		return
	}
	over.ended = true
	c.signOuts++
	if rotated := c.present(ctx, token); rotated != nil && rotated.Outcome != repo.Ended {
		c.violationf("the token of an ended session is %s", rotated.Outcome)
	}
	c.session = nil
}

// patiently makes a call until the database has answered. It is false if that will not be.
func (c *client) patiently(ctx context.Context, call func(ctx context.Context) error) bool {
	attempt := func() error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return call(ctx)
	}
	for {
		c.calls.Add(1)
		err := attempt()
		if err == nil {
			return true
		}
		failure, ok := errors.AsType[*repo.DatabaseError](err)
		if ctx.Err() != nil {
			c.violationf("no answer within the time of a round: %v", err)
			return false
		}
		if !ok || failure.Effect == repo.Refused {
			c.violationf("refused: %v", err)
			return false
		}
		c.failures.Add(1)
		time.Sleep(time.Duration(5+rand.IntN(20)) * time.Millisecond) // as a polite client does
	}
}

var tell sync.Mutex // of violations: refreshTwice has two at a time

// violationf tells what is wrong, and lets the client begin anew.
func (c *client) violationf(format string, args ...any) {
	tell.Lock()
	defer tell.Unlock()
	where := "no session"
	if c.session != nil {
		where = fmt.Sprintf("session %s, generation %d", c.session.id, len(c.session.tokens))
		c.session.broken = true
	}
	c.violations = append(c.violations, where+": "+fmt.Sprintf(format, args...))
}
