package faulttest

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// naiveCrowd is the negative control: clients whose store repeats a call, too, when no answer came, but draws a new token for
// what may have been done already. Without faults nothing is wrong with it.
func naiveCrowd(store *repo.Store) *crowd {
	c := &crowd{}
	for i := range crowdSize {
		client := newClient(store, 0, uint64(i))
		client.plain = true
		client.exchange = naive{store}.exchange
		client.rotate = naive{store}.rotate
		c.clients = append(c.clients, client)
	}
	return c
}

type naive struct{ store *repo.Store }

func (n naive) exchange(ctx context.Context, params repo.ExchangeParams) (repo.ExchangeResult, error) {
	outcome, grant, err := n.repeat(ctx, `SELECT outcome, session_id, clerk_user_id FROM public.gpt_exchange_code_v1(
		?1, ?2, ?3, ?4, false, gen_random_uuid(), gen_random_uuid(), ?0, 3600000000, 0, NULL, NULL, gen_random_uuid())`,
		digest(params.Code), params.ClientID, params.RedirectURI, repotest.Challenge(params.CodeVerifier))
	return repo.ExchangeResult{Outcome: outcome, Grant: grant}, err
}

func (n naive) rotate(ctx context.Context, params repo.RotateParams) (repo.RotateResult, error) {
	outcome, grant, err := n.repeat(ctx, `SELECT outcome, session_id, clerk_user_id FROM public.gpt_rotate_refresh_token_v1(
		?1, ?2, gen_random_uuid(), ?0, NULL, 0, 3600000000, NULL, gen_random_uuid())`, digest(params.RefreshToken), params.ClientID)
	return repo.RotateResult{Outcome: outcome, Grant: grant}, err
}

// repeat sends the query until there is an answer, with a new token each time.
func (n naive) repeat(ctx context.Context, query string, args ...any) (repo.Outcome, repo.Grant, error) {
	for {
		token := rand.Text() + rand.Text()
		outcome, grant, err := n.ask(ctx, query, append([]any{digest(token)}, args...))
		if err == nil {
			grant.RefreshToken = repo.Secret(token)
			return outcome, grant, nil
		}
		if ctx.Err() != nil {
			return "", repo.Grant{}, &repo.DatabaseError{Op: "naive", Effect: repo.Unsure, Err: err}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (n naive) ask(ctx context.Context, query string, args []any) (repo.Outcome, repo.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var answers []struct {
		Outcome     repo.Outcome
		SessionID   uuid.UUID
		ClerkUserID string
	}
	if err := n.store.DB().NewRaw(query, args...).Scan(ctx, &answers); err != nil {
		return "", repo.Grant{}, err
	}
	a := answers[0] // a function with OUT parameters gives one row
	return a.Outcome, repo.Grant{SessionID: a.SessionID, ClerkUserID: a.ClerkUserID}, nil
}
