package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	benchClient   = "client_1"
	benchRedirect = "https://chatgpt.com/aip/g-1/oauth/callback"

	// benchSessions is among how many a client chooses for what only reads.
	benchSessions = 50
)

// benchStep is one call. more is false when there is nothing left to call with.
type benchStep func(ctx context.Context, store *repo.Store) (more bool, err error)

// benchOperation prepares the steps of one client, over a store that is not measured.
type benchOperation struct {
	name    string
	prepare func(ctx context.Context, store *repo.Store, duration time.Duration) (benchStep, error)
	pgbench bool // there are scripts for it
}

var benchOperations = map[string]benchOperation{
	"exchange": {name: "exchange", prepare: prepareExchange, pgbench: true},
	"rotate":   {name: "rotate", prepare: prepareRotate, pgbench: true},
	"lookup": {name: "lookup", prepare: onSessions(func(ctx context.Context, store *repo.Store, grant repo.Grant) error {
		found, err := store.RefreshTokens.Lookup(ctx, string(grant.RefreshToken))
		return orUnexpected(err, found.Active, "the token is not active")
	})},
	"touch": {name: "touch", prepare: onSessions(func(ctx context.Context, store *repo.Store, grant repo.Grant) error {
		alive, err := store.Sessions.Touch(ctx, grant.SessionID)
		return orUnexpected(err, alive, "the session is not alive")
	})},
	"list": {name: "list", prepare: onSessions(func(ctx context.Context, store *repo.Store, grant repo.Grant) error {
		page, err := store.Sessions.List(ctx, repo.SessionListParams{ClerkUserID: grant.ClerkUserID})
		return orUnexpected(err, len(page.Sessions) == 1, "the session is not listed")
	})},
	"events": {name: "events", prepare: onSessions(func(ctx context.Context, store *repo.Store, grant repo.Grant) error {
		return store.Events.Append(ctx, repo.AppendParams{
			Type: "job_search", ClerkUserID: grant.ClerkUserID, ClientID: benchClient, SessionID: grant.SessionID, Metadata: []byte(`{"query": "go"}`),
		})
	})},
}

func benchOperationNames() []string {
	return slices.Sorted(maps.Keys(benchOperations))
}

func orUnexpected(err error, ok bool, problem string) error {
	if err == nil && !ok {
		return fmt.Errorf("unexpected: %s", problem)
	}
	return err
}

// issueForBench issues a code and returns the request that exchanges it.
func issueForBench(ctx context.Context, store *repo.Store) (repo.ExchangeParams, error) {
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	issued, err := store.AuthCodes.Issue(ctx, repo.IssueParams{
		ClerkUserID: "user_" + rand.Text(), ClientID: benchClient, RedirectURI: benchRedirect, Scope: "openid",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(sum[:]), CodeChallengeMethod: repo.S256,
	})
	return repo.ExchangeParams{Code: string(issued.Code), ClientID: benchClient, RedirectURI: benchRedirect, CodeVerifier: verifier}, err
}

func exchangeForBench(ctx context.Context, store *repo.Store) (repo.Grant, error) {
	request, err := issueForBench(ctx, store)
	if err != nil {
		return repo.Grant{}, err
	}
	result, err := store.AuthCodes.Exchange(ctx, request)
	return result.Grant, orUnexpected(err, result.Outcome == repo.Exchanged, string(result.Outcome))
}

// prepareExchange issues codes for as long as they will be exchanged, which takes longer.
func prepareExchange(ctx context.Context, store *repo.Store, duration time.Duration) (benchStep, error) {
	var requests []repo.ExchangeParams
	for begin := time.Now(); time.Since(begin) < duration; {
		request, err := issueForBench(ctx, store)
		if err != nil {
			return nil, err
		}
		requests = append(requests, request)
	}
	return func(ctx context.Context, store *repo.Store) (bool, error) {
		last := len(requests) - 1
		result, err := store.AuthCodes.Exchange(ctx, requests[last])
		requests = requests[:last]
		return last > 0, orUnexpected(err, result.Outcome == repo.Exchanged, string(result.Outcome))
	}, nil
}

func prepareRotate(ctx context.Context, store *repo.Store, _ time.Duration) (benchStep, error) {
	grant, err := exchangeForBench(ctx, store)
	if err != nil {
		return nil, err
	}
	request := repo.RotateParams{RefreshToken: string(grant.RefreshToken), ClientID: benchClient}
	return func(ctx context.Context, store *repo.Store) (bool, error) {
		result, err := store.RefreshTokens.Rotate(ctx, request)
		request.RefreshToken = string(result.RefreshToken)
		return true, orUnexpected(err, result.Outcome == repo.Rotated, string(result.Outcome))
	}, nil
}

// onSessions prepares a number of sessions, of which each step takes any.
func onSessions(do func(ctx context.Context, store *repo.Store, grant repo.Grant) error) func(context.Context, *repo.Store, time.Duration) (benchStep, error) {
	return func(ctx context.Context, store *repo.Store, _ time.Duration) (benchStep, error) {
		grants := make([]repo.Grant, benchSessions)
		for i := range grants {
			var err error
			if grants[i], err = exchangeForBench(ctx, store); err != nil {
				return nil, err
			}
		}
		return func(ctx context.Context, store *repo.Store) (bool, error) {
			return true, do(ctx, store, grants[mathrand.IntN(len(grants))]) //nolint:gosec // which does not matter
		}, nil
	}
}
