package repo_test

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// Events of the host's own go into the same trail. With an id of its own an event may be sent again without being written twice;
// the types of the store's own events are refused, so that each of them proves what it tells of.
func ExampleEvents_Append() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	search := repo.AppendParams{
		Type:        "job_search",
		ID:          uuid.MustParse("0198f2d0-0000-7000-8000-000000000001"),
		ClerkUserID: "user_2aB",
		Metadata:    []byte(`{"query": "gopher"}`),
	}

	fmt.Println(store.Events.Append(ctx, search))
	fmt.Println(store.Events.Append(ctx, search, repo.AppendParams{Type: "resume_analyze", ClerkUserID: "user_2aB"}))
	fmt.Println(store.Events.Append(ctx, repo.AppendParams{Type: repo.EventTokenReuse}))

	page, err := store.Events.List(ctx, repo.EventListParams{ClerkUserID: "user_2aB"})
	fmt.Println(len(page.Events), err)
	// Output:
	// <nil>
	// <nil>
	// repo: AppendParams.Type is one that only the store itself writes
	// 2 <nil>
}

// The audit trail of a session, newest first. All fetches page after page as the loop goes on.
func ExampleEvents_All() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	if _, err := store.RefreshTokens.Rotate(ctx, session.Request(0)); err != nil { // reuse
		panic(err)
	}

	for event, err := range store.Events.All(ctx, repo.EventListParams{SessionID: session.SessionID}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(event.Type)
	}
	// Output:
	// token_reuse
	// token_refresh
	// token_refresh
	// token_exchange
}

// The trail as it grows. What is committed late, behind newer events, comes late but is not missed.
func ExampleEvents_Follow() {
	t := &exampleT{}
	defer t.done()
	store := repotest.Store(t, repo.Config{})
	begin := time.Now().Add(-time.Hour)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 1)

	follow := repo.FollowParams{Filter: repo.EventListParams{SessionID: session.SessionID, Since: begin}}
	for event, err := range store.Events.Follow(ctx, follow) {
		if err != nil {
			fmt.Println("for the moment the database does not answer:", err)
			continue
		}
		fmt.Println(event.Type)
		if event.Type == repo.EventTokenRefresh {
			break
		}
	}
	// Output:
	// token_exchange
	// token_refresh
}

// Events by the thousand, such as one a request, are collected and written in the background. Close writes what is left.
func ExampleEvents_Recorder() {
	t := &exampleT{}
	defer t.done()
	store := repotest.CommittingStore(t, repo.Config{}, 4)

	recorder, err := store.Events.Recorder(repo.RecorderConfig{})
	if err != nil {
		panic(err)
	}
	for range 2500 {
		if err := recorder.Record(ctx, repo.AppendParams{Type: "job_search", ClerkUserID: "user_2aB"}); err != nil {
			panic(err)
		}
	}
	shutdown, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	fmt.Println(recorder.Close(shutdown))
	fmt.Printf("%+v\n", recorder.Stats())
	// Output:
	// <nil>
	// {Recorded:2500 Written:2500 Refused:0 Queued:0 Dropped:0}
}
