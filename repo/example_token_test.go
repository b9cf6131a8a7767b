package repo_test

import (
	"fmt"
	"time"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// A client that lost the answer asks again and is given the very same successor. A token from before that is stolen, or its
// successor is.
func ExampleRefreshTokens_Rotate() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_1"}, 0)
	rotate := func(token repo.Secret) repo.RotateResult {
		result, err := store.RefreshTokens.Rotate(ctx, repo.RotateParams{RefreshToken: string(token), ClientID: "client_1"})
		if err != nil {
			panic(err) // answer 503: the client may send the same token again
		}
		return result
	}

	first := session.RefreshToken
	second := rotate(first)
	again := rotate(first)
	fmt.Println(second.Outcome, again.Outcome, second.RefreshToken == again.RefreshToken)

	third := rotate(second.RefreshToken)
	reused := rotate(first)
	fmt.Println(third.Outcome, reused.Outcome, reused.RefreshToken == "")
	fmt.Println(rotate(third.RefreshToken).Outcome)
	// Output:
	// rotated retried true
	// rotated reused true
	// ended
}

// The grace period is over after 90 seconds: a client that comes back with the old token later has lost its session.
func ExampleRefreshTokens_Rotate_grace() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{Grace: 90 * time.Second}) // the default
	session := repotest.NewSession(t, store, repo.IssueParams{}, 1)

	for _, age := range []time.Duration{89 * time.Second, time.Second} {
		repotest.Age(t, store, age)
		result, err := store.RefreshTokens.Rotate(ctx, session.Request(0))
		fmt.Println(result.Outcome, err)
	}
	// Output:
	// retried <nil>
	// reused <nil>
}

// Revocation (RFC 7009): any generation of the token ends its session, at once and inside the grace period too. A client is told
// of success also where there is nothing to revoke, but may not revoke what is another's.
func ExampleRefreshTokens_Revoke() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_1"}, 1)
	previous := session.Tokens[0]

	for _, params := range []repo.RevokeParams{
		{RefreshToken: previous, ClientID: "client_2"},
		{RefreshToken: previous, ClientID: "client_1"},
		{RefreshToken: previous, ClientID: "client_1"},
		{RefreshToken: "never issued", ClientID: "client_1"},
	} {
		result, err := store.RefreshTokens.Revoke(ctx, params)
		if err != nil {
			panic(err)
		}
		fmt.Println(result.Outcome, result.Err() == nil)
	}
	// Output:
	// mismatch false
	// revoked true
	// ended true
	// unknown true
}

// Introspection (RFC 7662 2.2): only the current token of a living session is active.
func ExampleRefreshTokens_Lookup() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{Scope: "jobs:read"}, 1)

	for _, token := range session.Tokens {
		result, err := store.RefreshTokens.Lookup(ctx, token)
		if err != nil {
			panic(err)
		}
		fmt.Println(result.Active, result.Session.Scope)
	}
	// Output:
	// false jobs:read
	// true jobs:read
}

// The generations of a session's token, for a support desk: which one is current, and how far it has come.
func ExampleRefreshTokens_Family() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)

	page, err := store.RefreshTokens.Family(ctx, repo.FamilyParams{SessionID: session.SessionID})
	if err != nil {
		panic(err)
	}
	for i, token := range page.Tokens {
		fmt.Println(i, "rotated:", !token.RevokedAt.IsZero(), "current:", token.ID == session.RefreshTokenID)
	}
	// Output:
	// 0 rotated: true current: false
	// 1 rotated: true current: false
	// 2 rotated: false current: true
}
