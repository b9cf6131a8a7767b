package repo_test

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// scene is what a method is called with.
type scene struct {
	store    *repo.Store
	observer repo.Observer
	janitor  *repo.Janitor
	session  repotest.Session
	code     repotest.Code
}

// observedCall calls a method and returns what a host is told. op is what an observer is told, unless it is the name of the method.
type observedCall struct {
	call func(ctx context.Context, s scene) (repo.Outcome, error)
	op   string
	own  bool // needs transactions of its own
}

// unobserved are the methods that ask the database nothing.
var unobserved = []string{"Store.DB", "Store.With", "Events.Recorder", "Recorder.Close", "Recorder.Stats"}

func observedCalls() map[string]observedCall {
	plain := func(f func(ctx context.Context, s scene) error) observedCall {
		return observedCall{call: func(ctx context.Context, s scene) (repo.Outcome, error) { return "", f(ctx, s) }}
	}
	calls := map[string]observedCall{
		"AuthCodes.Exchange": {call: func(ctx context.Context, s scene) (repo.Outcome, error) {
			r, err := s.store.AuthCodes.Exchange(ctx, s.code.Request())
			return r.Outcome, err
		}},
		"RefreshTokens.Rotate": {call: func(ctx context.Context, s scene) (repo.Outcome, error) {
			r, err := s.store.RefreshTokens.Rotate(ctx, s.session.Request(1))
			return r.Outcome, err
		}},
		"RefreshTokens.Revoke": {call: func(ctx context.Context, s scene) (repo.Outcome, error) {
			r, err := s.store.RefreshTokens.Revoke(ctx, repo.RevokeParams{RefreshToken: s.session.Tokens[1], ClientID: "client_1"})
			return r.Outcome, err
		}},
		"Recorder.Record": {op: "Recorder", own: true, call: func(ctx context.Context, s scene) (repo.Outcome, error) {
			recorder, err := s.store.Events.Recorder(repo.RecorderConfig{})
			if err != nil {
				return "", err
			}
			return "", errors.Join(recorder.Record(ctx, repo.AppendParams{Type: "job_search"}), recorder.Close(ctx))
		}},
		"Janitor.Run": {op: "Janitor.Purge", own: true, call: func(ctx context.Context, s scene) (repo.Outcome, error) {
			ctx, cancel := context.WithCancel(ctx)
			var purged error
			janitor, err := repo.NewJanitor(s.store.DB().(*bun.DB), repo.JanitorConfig{
				Interval: time.Millisecond, OnPurge: func(_ repo.PurgeResult, err error) { purged = err; cancel() }, Observer: s.observer,
			})
			if err != nil {
				return "", err
			}
			if err := janitor.Run(ctx); !errors.Is(err, context.Canceled) {
				return "", err
			}
			return "", purged
		}},
		"Events.All": {op: "Events.List", call: func(ctx context.Context, s scene) (repo.Outcome, error) {
			for _, err := range s.store.Events.All(ctx, repo.EventListParams{SessionID: s.session.SessionID}) {
				return "", err
			}
			return "", errors.New("there are no events")
		}},
		"Events.Follow": {call: func(ctx context.Context, s scene) (repo.Outcome, error) {
			filter := repo.EventListParams{SessionID: s.session.SessionID, Since: s.session.Code.ExpiresAt.Add(-time.Hour)}
			for _, err := range s.store.Events.Follow(ctx, repo.FollowParams{Filter: filter}) {
				return "", err
			}
			return "", errors.New("there are no events")
		}},
	}
	for name, f := range map[string]func(ctx context.Context, s scene) error{
		"Store.InTx": func(ctx context.Context, s scene) error {
			return s.store.InTx(ctx, func(context.Context, *repo.Store, bun.Tx) error { return nil })
		},
		"Store.EndUser": func(ctx context.Context, s scene) error {
			return second(s.store.EndUser(ctx, s.session.ClerkUserID, "offboarding"))
		},
		"Store.EraseUser": func(ctx context.Context, s scene) error { return second(s.store.EraseUser(ctx, s.session.ClerkUserID)) },
		"AuthCodes.Issue": func(ctx context.Context, s scene) error {
			return second(s.store.AuthCodes.Issue(ctx, s.session.Code.Issued))
		},
		"RefreshTokens.Lookup": func(ctx context.Context, s scene) error {
			return second(s.store.RefreshTokens.Lookup(ctx, s.session.Tokens[0]))
		},
		"RefreshTokens.Get": func(ctx context.Context, s scene) error {
			return second(s.store.RefreshTokens.Get(ctx, s.session.RefreshTokenID))
		},
		"RefreshTokens.Find": func(ctx context.Context, s scene) error {
			return second(s.store.RefreshTokens.Find(ctx, repo.TokenFindParams{HashPrefix: "beef"}))
		},
		"RefreshTokens.Family": func(ctx context.Context, s scene) error {
			return second(s.store.RefreshTokens.Family(ctx, repo.FamilyParams{SessionID: s.session.SessionID}))
		},
		"Sessions.Get": func(ctx context.Context, s scene) error {
			return second(s.store.Sessions.Get(ctx, s.session.SessionID))
		},
		"Sessions.Active": func(ctx context.Context, s scene) error {
			return second(s.store.Sessions.Active(ctx, s.session.SessionID))
		},
		"Sessions.List": func(ctx context.Context, s scene) error {
			return second(s.store.Sessions.List(ctx, repo.SessionListParams{ClerkUserID: s.session.ClerkUserID}))
		},
		"Sessions.Touch": func(ctx context.Context, s scene) error {
			return second(s.store.Sessions.Touch(ctx, s.session.SessionID))
		},
		"Sessions.TouchAll": func(ctx context.Context, s scene) error {
			return second(s.store.Sessions.TouchAll(ctx, s.session.SessionID))
		},
		"Sessions.End": func(ctx context.Context, s scene) error {
			return second(s.store.Sessions.End(ctx, repo.EndParams{SessionID: s.session.SessionID, Reason: "sign_out"}))
		},
		"Sessions.EndAll": func(ctx context.Context, s scene) error {
			return second(s.store.Sessions.EndAll(ctx, repo.EndAllParams{ClerkUserID: s.session.ClerkUserID, Reason: "sign_out"}))
		},
		"Events.Append": func(ctx context.Context, s scene) error {
			return s.store.Events.Append(ctx, repo.AppendParams{Type: "job_search"})
		},
		"Events.List": func(ctx context.Context, s scene) error {
			return second(s.store.Events.List(ctx, repo.EventListParams{SessionID: s.session.SessionID}))
		},
		"Events.Count": func(ctx context.Context, s scene) error {
			return second(s.store.Events.Count(ctx, repo.EventCountParams{Filter: repo.EventListParams{SessionID: s.session.SessionID}}))
		},
	} {
		calls[name] = plain(f)
	}
	for name, f := range map[string]func(ctx context.Context, s scene) error{
		"Janitor.Count": func(ctx context.Context, s scene) error { return second(s.janitor.Count(ctx)) },
		"Janitor.Check": func(ctx context.Context, s scene) error { return second(s.janitor.Check(ctx)) },
		"Janitor.Purge": func(ctx context.Context, s scene) error { return second(s.janitor.Purge(ctx)) },
	} {
		call := plain(f)
		call.own = true
		calls[name] = call
	}
	return calls
}

func second[T any](_ T, err error) error { return err }

// publicMethods are those of all that talks to the database.
func publicMethods() []string {
	var methods []string
	for _, typ := range []reflect.Type{
		reflect.TypeFor[*repo.Store](), reflect.TypeFor[*repo.AuthCodes](), reflect.TypeFor[*repo.RefreshTokens](), reflect.TypeFor[*repo.Sessions](),
		reflect.TypeFor[*repo.Events](), reflect.TypeFor[*repo.Recorder](), reflect.TypeFor[*repo.Janitor](),
	} {
		for method := range typ.Methods() {
			methods = append(methods, typ.Elem().Name()+"."+method.Name)
		}
	}
	return methods
}
