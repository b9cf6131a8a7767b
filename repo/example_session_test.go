package repo_test

import (
	"fmt"
	"net/netip"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// An access token that carries its session's id as sid can be refused as soon as the session is over, and not only when the
// token itself expires.
func ExampleSessions_Active() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	sid := session.SessionID // from the access token

	fmt.Println(store.Sessions.Active(ctx, sid))
	ended, err := store.Sessions.End(ctx, repo.EndParams{SessionID: sid, Reason: "sign_out"})
	fmt.Println(ended.Sessions, err)
	fmt.Println(store.Sessions.Active(ctx, sid))
	// Output:
	// true <nil>
	// 1 <nil>
	// false <nil>
}

// Touch is Active for a resource server that also wants to know when a session was last used. It writes once a minute at most.
func ExampleSessions_Touch() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)

	fmt.Println(store.Sessions.Touch(ctx, session.SessionID))
	// Output:
	// true <nil>
}

// Signing out, with the reason and address for the audit trail. Ending twice keeps the first time and reason.
func ExampleSessions_End() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)

	for _, reason := range []string{"sign_out", "too_late"} {
		ended, err := store.Sessions.End(ctx, repo.EndParams{
			SessionID: session.SessionID,
			Reason:    reason,
			IPAddress: netip.MustParseAddr("192.0.2.7"),
		})
		if err != nil {
			panic(err)
		}
		found, err := store.Sessions.Get(ctx, session.SessionID)
		fmt.Println(ended.Sessions, found.Alive, found.EndReason, err)
	}
	// Output:
	// 1 false sign_out <nil>
	// 0 false sign_out <nil>
}

// "Sign out everywhere else": all sessions of a person but the one that asks.
func ExampleSessions_EndAll() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	phone := repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: "user_2aB"}, 0)
	laptop := repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: "user_2aB"}, 0)

	ended, err := store.Sessions.EndAll(ctx, repo.EndAllParams{
		ClerkUserID: "user_2aB",
		Except:      laptop.SessionID,
		Reason:      "sign_out_elsewhere",
	})
	fmt.Println(ended.Sessions, err)
	fmt.Println(store.Sessions.Active(ctx, phone.SessionID))
	fmt.Println(store.Sessions.Active(ctx, laptop.SessionID))
	// Output:
	// 1 <nil>
	// false <nil>
	// true <nil>
}

// Where a person is signed in, newest first, a page at a time.
func ExampleSessions_List() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	for _, client := range []string{"client_1", "client_2", "client_3"} {
		repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: "user_2aB", ClientID: client}, 0)
	}

	params := repo.SessionListParams{ClerkUserID: "user_2aB", Limit: 2}
	for {
		page, err := store.Sessions.List(ctx, params)
		if err != nil {
			panic(err)
		}
		for _, session := range page.Sessions {
			fmt.Println(session.ClientID, session.Alive)
		}
		if page.Next == "" {
			break
		}
		params.Cursor = page.Next
	}
	// Output:
	// client_3 true
	// client_2 true
	// client_1 true
}

// Offboarding: sessions are ended and codes that wait for their exchange expire. Keep the person from signing in first, in Clerk:
// a sign-in that begins after the call is not its concern.
func ExampleStore_EndUser() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: "user_2aB"}, 0)
	code := repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: "user_2aB"})

	for range 2 { // again is harmless
		ended, err := store.EndUser(ctx, "user_2aB", "left the company")
		fmt.Printf("%+v %v\n", ended, err)
	}
	result, err := store.AuthCodes.Exchange(ctx, code.Request())
	fmt.Println(result.Outcome, err)
	// Output:
	// {Codes:1 Sessions:1} <nil>
	// {Codes:0 Sessions:0} <nil>
	// expired <nil>
}
