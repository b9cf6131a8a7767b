package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gptoauth/gptoauth/internal/ageing"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// perform makes a call and returns its answer, both as the model knows them.
func perform(ctx context.Context, store Store, call any) (any, error) {
	switch call := call.(type) {
	case repo.IssueParams:
		return store.Issue(ctx, call)
	case repo.ExchangeParams:
		return store.Exchange(ctx, call)
	case repo.RotateParams:
		return store.Rotate(ctx, call)
	case repo.RevokeParams:
		return store.Revoke(ctx, call)
	case repo.EndParams:
		return store.End(ctx, call)
	case repo.EndAllParams:
		return store.EndAll(ctx, call)
	case repo.SessionListParams:
		return listAll(ctx, store, call)
	case endUser:
		return store.(UserEnder).EndUser(ctx, call.ClerkUserID, call.Reason)
	case active:
		return store.(Watcher).Active(ctx, call.SessionID)
	case touch:
		return store.(Watcher).Touch(ctx, call.SessionID)
	case lookup:
		return store.(Introspector).Lookup(ctx, call.RefreshToken)
	default:
		panic(fmt.Sprintf("conformance: no call %T", call))
	}
}

// can says whether the store can do a call.
func can(store Store, call any) bool {
	if recorder, ok := store.(*Recorder); ok {
		store = recorder.store
	}
	ok := true
	switch call.(type) {
	case endUser:
		_, ok = store.(UserEnder)
	case active, touch:
		_, ok = store.(Watcher)
	case lookup:
		_, ok = store.(Introspector)
	}
	return ok
}

// listAll reads all pages.
func listAll(ctx context.Context, store Store, params repo.SessionListParams) ([]repo.Session, error) {
	var sessions []repo.Session
	for {
		page, err := store.List(ctx, params)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, page.Sessions...)
		if params.Cursor = page.Next; page.Next == "" {
			return sessions, nil
		}
	}
}

// age lets time pass for a person.
func (s Subject) age(ctx context.Context, clerkUserID string, d time.Duration) error {
	if s.Age != nil {
		return s.Age(ctx, clerkUserID, d)
	}
	return ageing.Person(ctx, s.DB, clerkUserID, d)
}

func (s Subject) canAge() bool { return s.Age != nil || s.DB != nil }

// errModel is wrapped by what the model says of a wrong answer.
var errModel = errors.New("the model disagrees")

// client makes calls, one after the other, and checks each answer with the model of its person.
type client struct {
	subject Subject
	person  *person
	rules   *repo.Config

	verifiers map[string]string // by code
}

func newClient(subject Subject, rules *repo.Config) *client {
	return &client{
		subject:   subject,
		person:    &person{id: repotest.NewUserID()},
		rules:     rules,
		verifiers: map[string]string{},
	}
}

// do makes a call and lets the model check its answer.
func (c *client) do(ctx context.Context, call any) (any, error) {
	plain := call
	if l, ok := call.(lost); ok {
		plain = l.call
		ctx = c.subject.Lose(ctx)
	}
	answer, err := perform(ctx, c.subject.Store, plain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", describe(call), err)
	}
	if err := c.person.step(call, answer); err != nil {
		return answer, fmt.Errorf("%s: %w: %w", describe(call), errModel, err)
	}
	return answer, nil
}

// issue begins a family.
func (c *client) issue(ctx context.Context, params repo.IssueParams) error {
	params.ClerkUserID = c.person.id
	verifier := ""
	if !params.WithoutPKCE {
		verifier = repotest.NewVerifier()
		params.CodeChallenge, params.CodeChallengeMethod = repotest.Challenge(verifier), repo.S256
	}
	answer, err := perform(ctx, c.subject.Store, params)
	if err != nil {
		return err
	}
	f := family{rules: c.rules, issued: params}
	c.person.families = append(c.person.families, f)
	if err := c.person.replace(len(c.person.families)-1, params, answer); err != nil {
		return err
	}
	c.verifiers[string(answer.(repo.IssueResult).Code)] = verifier
	return nil
}

// exchange is the token request that fits the code of a family.
func (c *client) exchange(f family) repo.ExchangeParams {
	return repo.ExchangeParams{
		Code:                f.code,
		ClientID:            f.issued.ClientID,
		RedirectURI:         f.issued.RedirectURI,
		CodeVerifier:        c.verifiers[f.code],
		ClientAuthenticated: f.issued.WithoutPKCE,
	}
}

func (c *client) age(ctx context.Context, d time.Duration) error {
	c.person.age(d)
	return c.subject.age(ctx, c.person.id, d)
}

// settle checks what shows afterwards: the sessions and the events.
func (c *client) settle(ctx context.Context) error {
	if _, err := c.do(ctx, repo.SessionListParams{ClerkUserID: c.person.id, Limit: 2}); err != nil {
		return err
	}
	return c.checkTrail(ctx)
}

func (c *client) checkTrail(ctx context.Context) error {
	auditor, ok := c.subject.Store.(Auditor)
	if !ok {
		return nil
	}
	trail, err := auditor.Trail(ctx, c.person.id)
	if err != nil {
		return err
	}
	return want("events", c.person.trail, trail)
}

// describe names a call without its secrets.
func describe(call any) string {
	switch call := call.(type) {
	case lost:
		return describe(call.call) + ", its answer lost"
	case repeated:
		return describe(call.call)
	case repo.IssueParams:
		return "issue for " + call.ClientID
	case repo.ExchangeParams:
		return "exchange " + tag(call.Code) + " by " + call.ClientID
	case repo.RotateParams:
		return "rotate " + tag(call.RefreshToken) + " by " + call.ClientID
	case repo.RevokeParams:
		return "revoke " + tag(call.RefreshToken) + " by " + call.ClientID
	case repo.EndParams:
		return "end " + call.SessionID.String()
	case repo.EndAllParams:
		return fmt.Sprintf("end all, client %q, except %v", call.ClientID, call.Except)
	case endUser:
		return "end user"
	case active:
		return "active " + call.SessionID.String()
	case touch:
		return "touch " + call.SessionID.String()
	case lookup:
		return "lookup " + tag(call.RefreshToken)
	case repo.SessionListParams:
		return "list"
	default:
		return fmt.Sprintf("%T", call)
	}
}

// tag is the beginning of the digest that the database keeps of a secret.
func tag(secret string) string { return digest(secret)[:8] }

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
