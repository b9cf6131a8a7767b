package repo_test

import (
	"testing"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// The whole of a call, server and network included; BenchmarkClient has the client's share alone. The command gptoauth
// bench measures many clients at once.
func BenchmarkExchange(b *testing.B) {
	store := repotest.CommittingStore(b, repo.Config{}, 1)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		request := repotest.NewCode(b, store, repo.IssueParams{}).Request()
		b.StartTimer()
		if r, err := store.AuthCodes.Exchange(b.Context(), request); err != nil || r.Outcome != repo.Exchanged {
			b.Fatal(r.Outcome, err)
		}
	}
}

func BenchmarkRotate(b *testing.B) {
	store := repotest.CommittingStore(b, repo.Config{}, 1)
	session := repotest.NewSession(b, store, repo.IssueParams{}, 0)
	request := session.Request(0)
	b.ReportAllocs()
	for b.Loop() {
		r, err := store.RefreshTokens.Rotate(b.Context(), request)
		if err != nil || r.Outcome != repo.Rotated {
			b.Fatal(r.Outcome, err)
		}
		request.RefreshToken = string(r.RefreshToken)
	}
}

func BenchmarkTouch(b *testing.B) {
	store := repotest.CommittingStore(b, repo.Config{}, 1)
	session := repotest.NewSession(b, store, repo.IssueParams{}, 0)
	b.ReportAllocs()
	for b.Loop() {
		if alive, err := store.Sessions.Touch(b.Context(), session.SessionID); err != nil || !alive {
			b.Fatal(alive, err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	store := repotest.CommittingStore(b, repo.Config{}, 1)
	session := repotest.NewSession(b, store, repo.IssueParams{}, 0)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := store.RefreshTokens.Lookup(b.Context(), session.Tokens[0]); err != nil || !r.Active {
			b.Fatal(r.Active, err)
		}
	}
}

func BenchmarkActive(b *testing.B) {
	store := repotest.CommittingStore(b, repo.Config{}, 1)
	session := repotest.NewSession(b, store, repo.IssueParams{}, 0)
	b.ReportAllocs()
	for b.Loop() {
		if alive, err := store.Sessions.Active(b.Context(), session.SessionID); err != nil || !alive {
			b.Fatal(alive, err)
		}
	}
}
