package leaktest

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// call is one call of the API.
type call struct {
	name string
	make func(ctx context.Context) (any, error)
}

// calls is the whole API, made on one session in an order in which each call finds something to do. wrong is a verifier that
// does not fit.
func calls(store *repo.Store, session repotest.Session, wrong string) []call {
	user, client := session.ClerkUserID, session.Code.Issued.ClientID
	last := len(session.Tokens) - 1
	mismatch, malformed := session.Code.Request(), session.Request(last)
	mismatch.CodeVerifier = wrong
	malformed.RefreshToken += "="
	issue := session.Code.Issued
	bad := issue
	bad.RedirectURI = "not a URI"
	return append([]call{
		{"issue", func(ctx context.Context) (any, error) { return store.AuthCodes.Issue(ctx, issue) }},
		{"issue refused", func(ctx context.Context) (any, error) { return store.AuthCodes.Issue(ctx, bad) }},
		{"exchange mismatch", func(ctx context.Context) (any, error) { return store.AuthCodes.Exchange(ctx, mismatch) }},
		{"rotate", func(ctx context.Context) (any, error) { return store.RefreshTokens.Rotate(ctx, session.Request(last)) }},
		{"rotate again", func(ctx context.Context) (any, error) { return store.RefreshTokens.Rotate(ctx, session.Request(last)) }},
		{"rotate malformed", func(ctx context.Context) (any, error) { return store.RefreshTokens.Rotate(ctx, malformed) }},
		{"revoke mismatch", func(ctx context.Context) (any, error) {
			return store.RefreshTokens.Revoke(ctx, repo.RevokeParams{RefreshToken: session.Tokens[last], ClientID: "another"})
		}},
		{"append", func(ctx context.Context) (any, error) {
			return nil, store.Events.Append(ctx, repo.AppendParams{Type: "job_search", ClerkUserID: user, SessionID: session.SessionID})
		}},
		{"in a transaction", func(ctx context.Context) (any, error) {
			return nil, store.InTx(ctx, func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
				_, err := store.RefreshTokens.Lookup(ctx, session.Tokens[last])
				return err
			})
		}},
	}, append(reads(store, session), []call{
		{"rotate reused", func(ctx context.Context) (any, error) { return store.RefreshTokens.Rotate(ctx, session.Request(0)) }},
		{"exchange replayed", func(ctx context.Context) (any, error) { return store.AuthCodes.Exchange(ctx, session.Code.Request()) }},
		{"revoke", func(ctx context.Context) (any, error) {
			return store.RefreshTokens.Revoke(ctx, repo.RevokeParams{RefreshToken: session.Tokens[0], ClientID: client})
		}},
		{"end", func(ctx context.Context) (any, error) {
			return store.Sessions.End(ctx, repo.EndParams{SessionID: session.SessionID, Reason: "sign_out"})
		}},
		{"end all", func(ctx context.Context) (any, error) {
			return store.Sessions.EndAll(ctx, repo.EndAllParams{ClerkUserID: user, Reason: "sign_out"})
		}},
		{"end user", func(ctx context.Context) (any, error) { return store.EndUser(ctx, user, "offboarding") }},
		{"erase user", func(ctx context.Context) (any, error) { return store.EraseUser(ctx, user) }},
	}...)...)
}

func reads(store *repo.Store, session repotest.Session) []call {
	return []call{
		{"lookup", func(ctx context.Context) (any, error) {
			return store.RefreshTokens.Lookup(ctx, string(session.RefreshToken))
		}},
		{"get token", func(ctx context.Context) (any, error) { return store.RefreshTokens.Get(ctx, session.RefreshTokenID) }},
		{"family", func(ctx context.Context) (any, error) {
			return store.RefreshTokens.Family(ctx, repo.FamilyParams{SessionID: session.SessionID})
		}},
		{"get", func(ctx context.Context) (any, error) { return store.Sessions.Get(ctx, session.SessionID) }},
		{"active", func(ctx context.Context) (any, error) { return store.Sessions.Active(ctx, session.SessionID) }},
		{"touch", func(ctx context.Context) (any, error) { return store.Sessions.Touch(ctx, session.SessionID) }},
		{"list", func(ctx context.Context) (any, error) {
			return store.Sessions.List(ctx, repo.SessionListParams{ClerkUserID: session.ClerkUserID})
		}},
		{"events", func(ctx context.Context) (any, error) {
			return store.Events.List(ctx, repo.EventListParams{ClerkUserID: session.ClerkUserID})
		}},
	}
}
