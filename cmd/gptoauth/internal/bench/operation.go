package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	clientID    = "client_1"
	redirectURI = "https://chatgpt.com/aip/g-1/oauth/callback"

	// sessionsEach is among how many a client chooses for what only reads.
	sessionsEach = 50
)

// step is one call. It returns for how much it counts, 0 when there is nothing left to call with.
type step func(ctx context.Context, store *repo.Store) (done int, err error)

// operation prepares the steps of one client, over a store that is not measured.
type operation struct {
	name    string
	prepare func(ctx context.Context, store *repo.Store, duration time.Duration) (step, error)
	pgbench bool // there are scripts for it
	alone   bool
}

var operations = map[string]operation{
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
			Type: "job_search", ClerkUserID: grant.ClerkUserID, ClientID: clientID, SessionID: grant.SessionID, Metadata: []byte(`{"query": "go"}`),
		})
	})},
	"purge": {name: "purge", prepare: preparePurge, alone: true},
}

// Operations lists what can be measured.
func Operations() []string {
	return slices.Sorted(maps.Keys(operations))
}

// Alone says whether an operation excludes itself, so that one client is as good as many.
func Alone(operation string) bool {
	return operations[operation].alone
}

func orUnexpected(err error, ok bool, problem string) error {
	if err == nil && !ok {
		return fmt.Errorf("unexpected: %s", problem)
	}
	return err
}

// issue issues a code and returns the request that exchanges it.
func issue(ctx context.Context, store *repo.Store) (repo.ExchangeParams, error) {
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	issued, err := store.AuthCodes.Issue(ctx, repo.IssueParams{
		ClerkUserID: "user_" + rand.Text(), ClientID: clientID, RedirectURI: redirectURI, Scope: "openid",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(sum[:]), CodeChallengeMethod: repo.S256,
	})
	return repo.ExchangeParams{Code: string(issued.Code), ClientID: clientID, RedirectURI: redirectURI, CodeVerifier: verifier}, err
}

func exchange(ctx context.Context, store *repo.Store) (repo.Grant, error) {
	request, err := issue(ctx, store)
	if err != nil {
		return repo.Grant{}, err
	}
	result, err := store.AuthCodes.Exchange(ctx, request)
	return result.Grant, orUnexpected(err, result.Outcome == repo.Exchanged, string(result.Outcome))
}

// prepareExchange issues codes for as long as they will be exchanged, which takes longer.
func prepareExchange(ctx context.Context, store *repo.Store, duration time.Duration) (step, error) {
	var requests []repo.ExchangeParams
	for begin := time.Now(); time.Since(begin) < duration; {
		request, err := issue(ctx, store)
		if err != nil {
			return nil, err
		}
		requests = append(requests, request)
	}
	return func(ctx context.Context, store *repo.Store) (int, error) {
		last := len(requests) - 1
		if last < 0 {
			return 0, nil
		}
		result, err := store.AuthCodes.Exchange(ctx, requests[last])
		requests = requests[:last]
		return 1, orUnexpected(err, result.Outcome == repo.Exchanged, string(result.Outcome))
	}, nil
}

func prepareRotate(ctx context.Context, store *repo.Store, _ time.Duration) (step, error) {
	grant, err := exchange(ctx, store)
	if err != nil {
		return nil, err
	}
	request := repo.RotateParams{RefreshToken: string(grant.RefreshToken), ClientID: clientID}
	return func(ctx context.Context, store *repo.Store) (int, error) {
		result, err := store.RefreshTokens.Rotate(ctx, request)
		request.RefreshToken = string(result.RefreshToken)
		return 1, orUnexpected(err, result.Outcome == repo.Rotated, string(result.Outcome))
	}, nil
}

// onSessions prepares a number of sessions, of which each step takes any.
func onSessions(do func(ctx context.Context, store *repo.Store, grant repo.Grant) error) func(context.Context, *repo.Store, time.Duration) (step, error) {
	return func(ctx context.Context, store *repo.Store, _ time.Duration) (step, error) {
		grants := make([]repo.Grant, sessionsEach)
		for i := range grants {
			var err error
			if grants[i], err = exchange(ctx, store); err != nil {
				return nil, err
			}
		}
		return func(ctx context.Context, store *repo.Store) (int, error) {
			return 1, do(ctx, store, grants[mathrand.IntN(len(grants))]) //nolint:gosec // which does not matter
		}, nil
	}
}

// preparePurge makes events that are old enough. A call of purge counts for each row that it deletes.
func preparePurge(ctx context.Context, store *repo.Store, duration time.Duration) (step, error) {
	_, err := store.DB().ExecContext(ctx, `
		INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, created_at)
		SELECT gen_random_uuid(), 'job_search', 'user_' || md5(g::text), now() - interval '500 days' + g * interval '1 ms'
		  FROM generate_series(1, ?) AS g`, int(20_000*duration.Seconds())+1)
	return func(ctx context.Context, store *repo.Store) (int, error) {
		db, ok := store.DB().(*bun.DB)
		if !ok {
			return 0, errors.ErrUnsupported
		}
		janitor, err := repo.NewJanitor(db, repo.JanitorConfig{})
		if err != nil {
			return 0, err
		}
		purged, err := janitor.Purge(ctx)
		return purged.Codes + purged.Sessions + purged.Tokens + purged.Nonces + purged.Events, err
	}, err
}
