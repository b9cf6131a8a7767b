package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
)

// Recorder is a [Store] that remembers every call with its answer and its time, from any number of clients, so that
// [Recorder.Check] can tell afterwards whether the answers agree with each other. Nothing may age rows meanwhile.
//
// What the Store behind it cannot do is an error that wraps [errors.ErrUnsupported].
type Recorder struct {
	// Repeats says that the Store repeats calls whose answer it lost, as a [repo.Store] does. Its answer then tells what
	// the last attempt found, which may be what an earlier one has done: a session that this very call has ended.
	Repeats bool

	store Store
	rules repo.Config
	begin time.Time

	mu  sync.Mutex
	log []record
}

// record is one call.
type record struct {
	call, answer any
	err          error
	from, to     time.Duration // since the beginning
}

var _ interface {
	Store
	UserEnder
	Watcher
	Introspector
} = (*Recorder)(nil)

// Record returns a recorder over a store made with config. The store must be new to those who call it: tokens that it gave
// before are unknown to Check.
func Record(store Store, config repo.Config) *Recorder {
	return &Recorder{store: store, rules: withDefaults(config), begin: time.Now()}
}

// withDefaults fills in what [repo.Config] says about its zero values.
func withDefaults(config repo.Config) repo.Config {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&config.CodeTTL, 10 * time.Minute},
		{&config.RefreshTTL, 30 * 24 * time.Hour},
		{&config.SessionTTL, 365 * 24 * time.Hour},
		{&config.Grace, 90 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	return config
}

func (r *Recorder) do(ctx context.Context, call any) (any, error) {
	if !can(r.store, call) {
		return nil, fmt.Errorf("conformance: %s: %w", describe(call), errors.ErrUnsupported)
	}
	from := time.Since(r.begin)
	answer, err := perform(ctx, r.store, call)
	done := record{call: call, answer: answer, err: err, from: from, to: time.Since(r.begin)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, done)
	return answer, err
}

// as makes an answer what it is.
func as[T any](answer any, err error) (T, error) {
	result, _ := answer.(T)
	return result, err
}

// Issue implements [Store].
func (r *Recorder) Issue(ctx context.Context, params repo.IssueParams) (repo.IssueResult, error) {
	return as[repo.IssueResult](r.do(ctx, params))
}

// Exchange implements [Store].
func (r *Recorder) Exchange(ctx context.Context, params repo.ExchangeParams) (repo.ExchangeResult, error) {
	return as[repo.ExchangeResult](r.do(ctx, params))
}

// Rotate implements [Store].
func (r *Recorder) Rotate(ctx context.Context, params repo.RotateParams) (repo.RotateResult, error) {
	return as[repo.RotateResult](r.do(ctx, params))
}

// Revoke implements [Store].
func (r *Recorder) Revoke(ctx context.Context, params repo.RevokeParams) (repo.RevokeResult, error) {
	return as[repo.RevokeResult](r.do(ctx, params))
}

// End implements [Store].
func (r *Recorder) End(ctx context.Context, params repo.EndParams) (repo.EndedResult, error) {
	return as[repo.EndedResult](r.do(ctx, params))
}

// EndAll implements [Store].
func (r *Recorder) EndAll(ctx context.Context, params repo.EndAllParams) (repo.EndedResult, error) {
	return as[repo.EndedResult](r.do(ctx, params))
}

// EndUser implements [UserEnder].
func (r *Recorder) EndUser(ctx context.Context, clerkUserID, reason string) (repo.EndedResult, error) {
	return as[repo.EndedResult](r.do(ctx, endUser{clerkUserID, reason}))
}

// Active implements [Watcher].
func (r *Recorder) Active(ctx context.Context, id uuid.UUID) (bool, error) {
	return as[bool](r.do(ctx, active{id}))
}

// Touch implements [Watcher].
func (r *Recorder) Touch(ctx context.Context, id uuid.UUID) (bool, error) {
	return as[bool](r.do(ctx, touch{id}))
}

// Lookup implements [Introspector].
func (r *Recorder) Lookup(ctx context.Context, token string) (repo.LookupResult, error) {
	return as[repo.LookupResult](r.do(ctx, lookup{token}))
}

// List implements [Store]. It reads all pages, and so returns one.
func (r *Recorder) List(ctx context.Context, params repo.SessionListParams) (repo.SessionPage, error) {
	sessions, err := as[[]repo.Session](r.do(ctx, params))
	return repo.SessionPage{Sessions: sessions}, err
}

// Calls is how many calls were recorded.
func (r *Recorder) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.log)
}

// Acknowledged lists every token that a client was given.
func (r *Recorder) Acknowledged() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var tokens []string
	for _, done := range r.log {
		switch answer := done.answer.(type) {
		case repo.ExchangeResult:
			tokens = append(tokens, string(answer.RefreshToken))
		case repo.RotateResult:
			tokens = append(tokens, string(answer.RefreshToken))
		}
	}
	slices.Sort(tokens)
	tokens = slices.Compact(tokens)
	return slices.DeleteFunc(tokens, func(token string) bool { return token == "" })
}
