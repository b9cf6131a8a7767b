package repo_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

var ctx = context.Background()

// exampleT stands in for the *testing.T that package repotest wants and an Example is not given.
type exampleT struct {
	testing.TB

	cleanups []func()
}

func (*exampleT) Helper()                  {}
func (*exampleT) Context() context.Context { return ctx }
func (*exampleT) Failed() bool             { return false }
func (*exampleT) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }
func (*exampleT) Log(args ...any)          { fmt.Println(args...) }
func (t *exampleT) Cleanup(f func())       { t.cleanups = append(t.cleanups, f) }

func (t *exampleT) done() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		t.cleanups[last]()
		t.cleanups = t.cleanups[:last]
	}
}

// The life of a grant: a person consents, the client exchanges the code, refreshes, and is disconnected.
func Example() {
	t := &exampleT{} // in a test of yours, its *testing.T
	defer t.done()
	store := repotest.Store(t, repo.Config{})

	// The authorization endpoint (RFC 6749 4.1.1), after the person has signed in and consented.
	issued, err := store.AuthCodes.Issue(ctx, repo.IssueParams{
		ClerkUserID:         "user_2aB",
		ClientID:            "https://chatgpt.com/oauth/client.json",
		RedirectURI:         "https://chatgpt.com/connector_platform_oauth_redirect",
		CodeChallenge:       "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", // RFC 7636 Appendix B
		CodeChallengeMethod: repo.S256,
		Scope:               "jobs:read offline_access",
		Resource:            "https://mcp.example.com/",
		Data:                []byte(`{"nonce": "n-0S6_WzA2Mj"}`), // the host's own; every answer below carries it
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("issued", issued.Code) // a Secret prints its kind only; string(issued.Code) is for the redirect

	// The token endpoint, grant_type=authorization_code (RFC 6749 4.1.3).
	exchanged, err := store.AuthCodes.Exchange(ctx, repo.ExchangeParams{
		Code:         string(issued.Code),
		ClientID:     "https://chatgpt.com/oauth/client.json",
		RedirectURI:  "https://chatgpt.com/connector_platform_oauth_redirect",
		CodeVerifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(exchanged.Outcome, exchanged.ClerkUserID, exchanged.Scope, string(exchanged.Data))

	// The token endpoint, grant_type=refresh_token (RFC 6749 6).
	rotated, err := store.RefreshTokens.Rotate(ctx, repo.RotateParams{
		RefreshToken: string(exchanged.RefreshToken),
		ClientID:     "https://chatgpt.com/oauth/client.json",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(rotated.Outcome, rotated.SessionID == exchanged.SessionID, rotated.Resource)

	// The person disconnects the client.
	if _, err := store.Sessions.End(ctx, repo.EndParams{SessionID: rotated.SessionID, Reason: "disconnected"}); err != nil {
		panic(err)
	}
	rotated, err = store.RefreshTokens.Rotate(ctx, repo.RotateParams{
		RefreshToken: string(rotated.RefreshToken),
		ClientID:     "https://chatgpt.com/oauth/client.json",
	})
	fmt.Println(rotated.Outcome, err)
	// Output:
	// issued gptc_…
	// exchanged user_2aB jobs:read offline_access {"nonce": "n-0S6_WzA2Mj"}
	// rotated true https://mcp.example.com/
	// ended <nil>
}

// An error returned inside RunInTx undoes all that was done in it, the remedy against a thief included. An Outcome is no error,
// so that it does not.
func ExampleOutcome() {
	t := &exampleT{}
	defer t.done()
	db := repotest.DB(t)
	store, err := repo.New(db, repo.Config{})
	if err != nil {
		panic(err)
	}
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	stolen := session.Request(0) // a token that has been rotated twice since

	// The trap: Rotate finds the reuse and ends the session, and the error rolls that back.
	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		store := store.With(tx)
		result, err := store.RefreshTokens.Rotate(ctx, stolen)
		if err != nil {
			return err
		}
		return result.Err()
	})
	alive, _ := store.Sessions.Active(ctx, session.SessionID)
	fmt.Println(err)
	fmt.Println("alive:", alive)

	// Right: inside, return only errors. What the outcome means is for after the commit.
	var result repo.RotateResult
	err = db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) (err error) {
		store := store.With(tx)
		result, err = store.RefreshTokens.Rotate(ctx, stolen)
		return err
	})
	if err == nil {
		err = result.Err()
	}
	alive, _ = store.Sessions.Active(ctx, session.SessionID)
	fmt.Println(err)
	fmt.Println("alive:", alive)
	// Output:
	// repo: invalid_grant: reused
	// alive: true
	// repo: invalid_grant: reused
	// alive: false
}

// A code is good for one exchange. A second one with the same parameters ends the session that the first gave (RFC 6749 4.1.2);
// a wrong parameter proves nothing and changes nothing (OAuth 2.1 7.5.2).
func ExampleAuthCodes_Exchange() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	code := repotest.NewCode(t, store, repo.IssueParams{})

	wrong := code.Request()
	wrong.CodeVerifier = repotest.NewVerifier()
	for _, request := range []repo.ExchangeParams{wrong, code.Request(), wrong, code.Request()} {
		result, err := store.AuthCodes.Exchange(ctx, request)
		if err != nil {
			panic(err) // answer 503: the code is as good as it was
		}
		alive, err := store.Sessions.Active(ctx, result.SessionID)
		fmt.Println(result.Outcome, alive, err)
	}
	// Output:
	// mismatch false <nil>
	// exchanged true <nil>
	// mismatch true <nil>
	// replayed false <nil>
}

// A client that sends no PKCE, as Custom GPT Actions do, has to be authenticated by the host.
func ExampleAuthCodes_Issue_withoutPKCE() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})

	params := repo.IssueParams{
		ClerkUserID: "user_2aB",
		ClientID:    "custom-gpt",
		RedirectURI: "https://chatgpt.com/aip/g-123/oauth/callback",
	}
	_, err := store.AuthCodes.Issue(ctx, params)
	var refused *repo.InputError
	fmt.Println(errors.As(err, &refused), err)

	params.WithoutPKCE = true
	issued, err := store.AuthCodes.Issue(ctx, params)
	if err != nil {
		panic(err)
	}
	for _, authenticated := range []bool{false, true} {
		result, err := store.AuthCodes.Exchange(ctx, repo.ExchangeParams{
			Code:                string(issued.Code),
			ClientID:            params.ClientID,
			RedirectURI:         params.RedirectURI,
			ClientAuthenticated: authenticated,
		})
		fmt.Println(result.Outcome, err)
	}
	// Output:
	// true repo: IssueParams.CodeChallenge must not be empty, unless WithoutPKCE says so
	// mismatch <nil>
	// exchanged <nil>
}
