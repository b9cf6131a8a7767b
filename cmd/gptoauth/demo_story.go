package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

const (
	demoClient   = "https://client.example/oauth.json" // a client id may be a URL
	demoRedirect = "https://chatgpt.com/aip/g-demo/oauth/callback"
	demoScope    = "jobs:read offline_access"

	demoParallel  = 20
	demoRotations = 5
)

// Two addresses of RFC 5737, so that the audit trail shows who did what.
var (
	demoPhone = netip.MustParseAddr("198.51.100.7")
	demoThief = netip.MustParseAddr("203.0.113.66")
)

// story is one person's life with the library, and what it leaves behind.
type story struct {
	db     *bun.DB
	store  *repo.Store
	userID string // new each time, so that the trail is this run's alone

	code     string
	verifier string
	tokens   []string // the generations of the session at hand, the current one last
	leftover []string // the tokens of the sessions that offboarding ends

	families []family
	trail    []trailEvent
}

func newStory(db *bun.DB, config repo.Config) (*story, error) {
	store, err := repo.New(db, config)
	if err != nil {
		return nil, err
	}
	return &story{db: db, store: store, userID: "user_demo_" + strings.ToLower(rand.Text()[:8])}, nil
}

func (s *story) migrate(ctx context.Context) (string, error) {
	if err := migrations.Up(ctx, s.db); err != nil {
		return "", err
	}
	if err := migrations.Check(ctx, s.db); err != nil {
		return "", err
	}
	return "up to date", nil
}

func (s *story) issue(ctx context.Context) (string, error) {
	s.verifier = newVerifier()
	digest := sha256.Sum256([]byte(s.verifier))
	issued, err := s.store.AuthCodes.Issue(ctx, repo.IssueParams{
		ClerkUserID:         s.userID,
		ClientID:            demoClient,
		RedirectURI:         demoRedirect,
		CodeChallenge:       base64.RawURLEncoding.EncodeToString(digest[:]),
		CodeChallengeMethod: repo.S256,
		Scope:               demoScope,
		IPAddress:           demoPhone,
	})
	if err != nil {
		return "", err
	}
	s.code = string(issued.Code)
	return "issued", nil
}

// spend presents the code.
func (s *story) spend(ctx context.Context, verifier string, from netip.Addr) (repo.ExchangeResult, error) {
	return s.store.AuthCodes.Exchange(ctx, repo.ExchangeParams{
		Code:         s.code,
		ClientID:     demoClient,
		RedirectURI:  demoRedirect,
		CodeVerifier: verifier,
		IPAddress:    from,
	})
}

func (s *story) exchangeWrongly(ctx context.Context) (string, error) {
	result, err := s.spend(ctx, newVerifier(), demoThief)
	return string(result.Outcome), err
}

func (s *story) exchange(ctx context.Context) (string, error) {
	result, err := s.spend(ctx, s.verifier, demoPhone)
	if result.Outcome == repo.Exchanged {
		s.tokens = []string{string(result.RefreshToken)}
	}
	return string(result.Outcome), err
}

// replay has the verifier too, as malware on the device has: a replay without it would be a Mismatch and end nothing.
func (s *story) replay(ctx context.Context) (string, error) {
	result, err := s.spend(ctx, s.verifier, demoThief)
	return string(result.Outcome), err
}

func (s *story) signIn(ctx context.Context) (string, error) {
	if _, err := s.issue(ctx); err != nil {
		return "", err
	}
	return s.exchange(ctx)
}

// present refreshes with a generation of the token; a negative one counts from the current one, -1.
func (s *story) present(ctx context.Context, generation int, from netip.Addr) (repo.RotateResult, error) {
	if generation < 0 {
		generation += len(s.tokens)
	}
	var token string // none, if an earlier step has failed: that is Unknown
	if generation >= 0 && generation < len(s.tokens) {
		token = s.tokens[generation]
	}
	return s.store.RefreshTokens.Rotate(ctx, repo.RotateParams{RefreshToken: token, ClientID: demoClient, IPAddress: from})
}

func (s *story) refresh(ctx context.Context) (string, error) {
	refreshed, err := s.present(ctx, -1, demoPhone)
	return string(refreshed.Outcome), err
}

func (s *story) refreshInParallel(ctx context.Context) (string, error) {
	results := make([]repo.RotateResult, demoParallel)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range results {
		group.Go(func() (err error) {
			results[i], err = s.present(groupCtx, -1, demoPhone)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	var outcomes []repo.Outcome
	tokens := map[string]bool{}
	for _, result := range results {
		outcomes = append(outcomes, result.Outcome)
		if result.RefreshToken != "" {
			tokens[string(result.RefreshToken)] = true
		}
	}
	s.tokens = slices.AppendSeq(s.tokens, maps.Keys(tokens))
	return tally(outcomes...) + ", " + count(len(tokens), "token"), nil
}

func (s *story) rotate(ctx context.Context) (string, error) {
	var outcomes []repo.Outcome
	for range demoRotations {
		rotated, err := s.present(ctx, -1, demoPhone)
		if err != nil {
			return "", err
		}
		outcomes = append(outcomes, rotated.Outcome)
		if rotated.Outcome == repo.Rotated {
			s.tokens = append(s.tokens, string(rotated.RefreshToken))
		}
	}
	return tally(outcomes...), nil
}

// reuse presents the token that was copied after the parallel refreshes.
func (s *story) reuse(ctx context.Context) (string, error) {
	reused, err := s.present(ctx, 1, demoThief)
	return string(reused.Outcome), err
}

func (s *story) signInEverywhere(ctx context.Context) (string, error) {
	var outcomes []repo.Outcome
	for range 2 {
		outcome, err := s.signIn(ctx)
		if err != nil {
			return "", err
		}
		outcomes = append(outcomes, repo.Outcome(outcome))
		s.leftover = append(s.leftover, s.tokens...)
	}
	if _, err := s.issue(ctx); err != nil {
		return "", err
	}
	return tally(outcomes...) + ", 1 issued", nil
}

func (s *story) endUser(ctx context.Context) (string, error) {
	ended, err := s.store.EndUser(ctx, s.userID, "offboarding")
	return count(ended.Sessions, "session") + ", " + count(ended.Codes, "code"), err
}

func (s *story) useLeftovers(ctx context.Context) (string, error) {
	var outcomes []repo.Outcome
	for s.tokens = range slices.Chunk(s.leftover, 1) {
		refreshed, err := s.present(ctx, -1, demoPhone)
		if err != nil {
			return "", err
		}
		outcomes = append(outcomes, refreshed.Outcome)
	}
	exchanged, err := s.spend(ctx, s.verifier, demoPhone)
	return tally(append(outcomes, exchanged.Outcome)...), err
}

func (s *story) readFamilies(ctx context.Context) (string, error) {
	page, err := s.store.Sessions.List(ctx, repo.SessionListParams{ClerkUserID: s.userID})
	if err != nil {
		return "", err
	}
	var generations, current int
	for _, session := range slices.Backward(page.Sessions) {
		f, _, err := loadFamily(ctx, s.store, session.ID)
		if err != nil {
			return "", err
		}
		s.families = append(s.families, f)
		generations += len(f.Generations)
		current += f.current()
	}
	return fmt.Sprintf("%s, %s, %d current", count(len(s.families), "session"), count(generations, "token"), current), nil
}

// demoTrail is how many events of each type the story leaves.
var demoTrail = map[string]int{
	repo.EventAuthorize:     5, // four sessions, and the code that is never exchanged
	repo.EventCodeMismatch:  1,
	repo.EventTokenExchange: 4,
	repo.EventCodeReplay:    1,
	repo.EventTokenRefresh:  1 + demoRotations,
	repo.EventTokenRetry:    demoParallel - 1,
	repo.EventTokenReuse:    1,
	repo.EventSessionEnd:    2,
	repo.EventUserEnd:       1,
}

func (s *story) readTrail(ctx context.Context) (string, error) {
	found := map[string]int{}
	for event, err := range s.store.Events.All(ctx, repo.EventListParams{ClerkUserID: s.userID}) {
		if err != nil {
			return "", err
		}
		s.trail = append(s.trail, newTrailEvent(event))
		found[event.Type]++
	}
	slices.Reverse(s.trail)

	outcome := []string{count(len(s.trail), "event")}
	for _, eventType := range slices.Sorted(maps.Keys(demoTrail)) {
		if found[eventType] != demoTrail[eventType] {
			outcome = append(outcome, fmt.Sprintf("%d %s instead of %d", found[eventType], eventType, demoTrail[eventType]))
		}
	}
	return strings.Join(outcome, ", "), nil
}

// newVerifier makes a code verifier (RFC 7636 4.1).
func newVerifier() string { return rand.Text() + rand.Text() }

// tally counts outcomes, successes first.
func tally(outcomes ...repo.Outcome) string {
	successes := []repo.Outcome{repo.Retried, repo.Rotated, repo.Exchanged}
	counts := map[repo.Outcome]int{}
	for _, outcome := range outcomes {
		counts[outcome]++
	}
	order := slices.SortedFunc(maps.Keys(counts), func(a, b repo.Outcome) int {
		return cmp.Or(cmp.Compare(slices.Index(successes, b), slices.Index(successes, a)), cmp.Compare(a, b))
	})
	parts := make([]string, len(order))
	for i, outcome := range order {
		parts[i] = fmt.Sprintf("%d %s", counts[outcome], outcome)
	}
	return strings.Join(parts, ", ")
}
