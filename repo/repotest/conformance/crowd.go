package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// timeless is for tests in which no time passes that counts.
var timeless = withDefaults(repo.Config{Grace: 10 * time.Minute})

const (
	crowdPersons = 2
	crowdCodes   = 3 // a person
	crowdCalls   = 24
	lostOneIn    = 20

	// undecidedOneIn is among how many rounds one may have a history whose search for an order is given up; fewer may have none.
	undecidedOneIn = 500
)

// testHistories lets a crowd of clients call what they like, and checks that the answers are those of some order.
func testHistories(t *testing.T, factory Factory) {
	subject := factory(t, timeless)
	if subject.clients() == 1 {
		t.Skip("the subject has one client: Subject.Clients is 1")
	}
	random := seeded(t)
	deadline := time.Now().Add(effort(t))
	rounds, calls, undecided := 0, 0, 0
	for ; rounds < 3 || time.Now().Before(deadline); rounds++ {
		recorder := Record(subject.Store, timeless)
		recorder.Repeats = subject.Lose != nil
		err := newCrowd(recorder, subject.Lose).run(t.Context(), subject.clients(), random)
		checked := recorder.Check()
		if errors.Is(checked, ErrUndecided) {
			t.Logf("round %d: %v", rounds, checked)
			undecided++
		} else {
			err = errors.Join(err, checked)
		}
		if subject.DB != nil {
			err = errors.Join(err, checkAcknowledged(t.Context(), subject.DB, recorder.Acknowledged()))
		}
		if err != nil {
			t.Fatalf("round %d: %v", rounds, err)
		}
		calls += recorder.Calls()
	}
	checkInvariants(t, subject)
	t.Logf("%d histories of %d calls, %d of %d rounds undecided", rounds*crowdPersons*crowdCodes, calls, undecided, rounds)
	if undecided > rounds/undecidedOneIn {
		t.Errorf("%d of %d rounds are undecided: at most one in %d may be", undecided, rounds, undecidedOneIn)
	}
}

// Crowd makes random calls of a number of clients at the same time, for a handful of sessions that it begins, through a
// recorder whose [Recorder.Check] then tells whether the answers agree. It returns when each client has made its calls, or
// with what went wrong for those that could not.
func Crowd(ctx context.Context, recorder *Recorder, clients int, random *rand.Rand) error {
	return newCrowd(recorder, nil).run(ctx, clients, random)
}

// crowd is what its clients know together: every code and token that any of them was given.
type crowd struct {
	store *Recorder
	lose  func(context.Context) context.Context // nil if it cannot

	mu       sync.Mutex
	persons  []string
	families []*known
}

// known is what is known of a family.
type known struct {
	exchange repo.ExchangeParams
	session  uuid.UUID
	tokens   []string
}

func newCrowd(store *Recorder, lose func(context.Context) context.Context) *crowd {
	c := &crowd{store: store, lose: lose}
	for range crowdPersons {
		c.persons = append(c.persons, repotest.NewUserID())
	}
	return c
}

// run returns the first error of each client.
func (c *crowd) run(ctx context.Context, clients int, random *rand.Rand) error {
	errs := make([]error, clients)
	var done sync.WaitGroup
	for i := range clients {
		own := rand.New(rand.NewPCG(random.Uint64(), random.Uint64())) //nolint:gosec // not a secret
		done.Go(func() {
			for n := 0; n < crowdCalls && errs[i] == nil; n++ {
				errs[i] = c.act(ctx, own)
			}
		})
	}
	done.Wait()
	return errors.Join(errs...)
}

func (c *crowd) act(ctx context.Context, random *rand.Rand) error {
	params, ok := c.newCode(random)
	if ok {
		return c.issue(ctx, params)
	}
	person := c.persons[random.IntN(len(c.persons))]
	exchange, session, token := c.pick(random)
	call := c.choose(random.IntN(100), person, exchange, session, token)
	if call == nil || !can(c.store.store, call) {
		return nil
	}
	if _, ok := call.(repo.ExchangeParams); c.lose != nil && (random.IntN(lostOneIn) == 0 || ok && random.IntN(2) == 0) {
		ctx = c.lose(ctx)
	}
	answer, err := c.store.do(ctx, call)
	if err != nil {
		return fmt.Errorf("%s: %w", describe(call), err)
	}
	c.learn(exchange, answer)
	return nil
}

// choose makes call number n of 100.
func (c *crowd) choose(n int, person string, exchange repo.ExchangeParams, session uuid.UUID, token string) any {
	switch {
	case n < 40 && token == "", n < 1:
		return exchange
	case n < 3:
		exchange.CodeVerifier = repotest.NewVerifier()
		return exchange
	case n < 4:
		return endUser{person, "offboarded"}
	case n < 5:
		return repo.EndAllParams{ClerkUserID: person, Except: session, Reason: "sign_out_elsewhere"}
	case n < 12:
		return repo.SessionListParams{ClerkUserID: person}
	case token == "":
		return nil
	case n < 70:
		return repo.RotateParams{RefreshToken: token, ClientID: exchange.ClientID}
	case n < 73:
		return repo.RotateParams{RefreshToken: token, ClientID: otherClient}
	case n < 74:
		return repo.RevokeParams{RefreshToken: token, ClientID: exchange.ClientID}
	case n < 75:
		return repo.EndParams{SessionID: session, Reason: "sign_out"}
	case n < 83:
		return active{session}
	case n < 90:
		return touch{session}
	default:
		return lookup{token}
	}
}

// newCode is the authorization request for a code that is not there yet.
func (c *crowd) newCode(random *rand.Rand) (repo.IssueParams, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.families) == len(c.persons)*crowdCodes || (len(c.families) > 0 && random.IntN(4) > 0) {
		return repo.IssueParams{}, false
	}
	params := consent
	params.ClerkUserID = c.persons[len(c.families)%len(c.persons)]
	params.CodeChallengeMethod = repo.S256
	c.families = append(c.families, &known{exchange: repo.ExchangeParams{
		ClientID: params.ClientID, RedirectURI: params.RedirectURI, CodeVerifier: repotest.NewVerifier(),
	}})
	params.CodeChallenge = repotest.Challenge(c.families[len(c.families)-1].exchange.CodeVerifier)
	return params, true
}

func (c *crowd) issue(ctx context.Context, params repo.IssueParams) error {
	issued, err := c.store.Issue(ctx, params)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.families {
		if repotest.Challenge(f.exchange.CodeVerifier) == params.CodeChallenge {
			f.exchange.Code = string(issued.Code)
		}
	}
	return nil
}

// pick draws a family and a token of it: mostly the newest, or the one before.
func (c *crowd) pick(random *rand.Rand) (exchange repo.ExchangeParams, session uuid.UUID, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.families[random.IntN(len(c.families))]
	if n := len(f.tokens); n > 0 {
		token = f.tokens[max(n-1-min(int(random.ExpFloat64()/2), 2), 0)]
	}
	return f.exchange, f.session, token
}

// learn notes a token that was given.
func (c *crowd) learn(exchange repo.ExchangeParams, answer any) {
	var granted repo.Grant
	switch answer := answer.(type) {
	case repo.ExchangeResult:
		granted = answer.Grant
	case repo.RotateResult:
		granted = answer.Grant
	}
	if granted.RefreshToken == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.families {
		if f.exchange.Code == exchange.Code {
			f.session = granted.SessionID
			if token := string(granted.RefreshToken); !slices.Contains(f.tokens, token) {
				f.tokens = append(f.tokens, token)
			}
		}
	}
}
