package conformance_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

// script is a store that answers as it is told.
type script struct {
	conformance.Store

	answer any
	err    error
}

func (s *script) Issue(context.Context, repo.IssueParams) (repo.IssueResult, error) {
	return s.answer.(repo.IssueResult), nil
}

func (s *script) Exchange(context.Context, repo.ExchangeParams) (repo.ExchangeResult, error) {
	result, _ := s.answer.(repo.ExchangeResult)
	return result, s.err
}

func (s *script) Rotate(context.Context, repo.RotateParams) (repo.RotateResult, error) {
	result, _ := s.answer.(repo.RotateResult)
	return result, s.err
}

func (s *script) End(context.Context, repo.EndParams) (repo.EndedResult, error) {
	result, _ := s.answer.(repo.EndedResult)
	return result, s.err
}

// TestRecorder: what a history may be, and what not, after calls that failed too.
func TestRecorder(t *testing.T) {
	t.Parallel()
	session := uuid.New()
	grant := func(token string) repo.Grant {
		if token == "" {
			return repo.Grant{SessionID: session, ClerkUserID: "user_1"}
		}
		return repo.Grant{SessionID: session, ClerkUserID: "user_1", RefreshToken: repo.Secret(token), RefreshTokenID: uuid.New()}
	}
	failed := func(effect repo.Effect) error { return &repo.DatabaseError{Op: "test", Effect: effect, Err: io.EOF} }

	type said struct {
		call   string // "exchange", "end", or the token to be rotated
		answer any
		err    error
	}
	exchanged := func(token string) said {
		return said{"exchange", repo.ExchangeResult{Outcome: repo.Exchanged, Grant: grant(token)}, nil}
	}
	replayed := said{"exchange", repo.ExchangeResult{Outcome: repo.Replayed, Grant: grant("")}, nil}
	rotated := func(from string, outcome repo.Outcome, to string) said {
		return said{from, repo.RotateResult{Outcome: outcome, Grant: grant(to)}, nil}
	}
	ended := said{"end", repo.EndedResult{Sessions: 1}, nil}

	for name, tc := range map[string]struct {
		repeats bool
		said    []said
		wrong   string // part of the error; empty: nothing is
	}{
		"Plain":                         {said: []said{exchanged("a"), rotated("a", repo.Rotated, "b"), rotated("a", repo.Retried, "b"), ended, rotated("b", repo.Ended, "")}},
		"SpentTwice":                    {said: []said{exchanged("a"), exchanged("b")}, wrong: "exchanged to"},
		"Forked":                        {said: []said{exchanged("a"), rotated("a", repo.Rotated, "b"), rotated("a", repo.Rotated, "c")}, wrong: "rotated to"},
		"AnotherSuccessor":              {said: []said{exchanged("a"), rotated("a", repo.Rotated, "b"), rotated("a", repo.Retried, "c")}, wrong: "retried to"},
		"RotatedAfterTheEnd":            {said: []said{exchanged("a"), ended, rotated("a", repo.Rotated, "b")}, wrong: "rotated to"},
		"HonestClientLockedOut":         {said: []said{exchanged("a"), rotated("a", repo.Reused, "")}, wrong: ": reused"},
		"UnsureMayHaveHappened":         {said: []said{{"exchange", nil, failed(repo.Unsure)}, replayed}},
		"UnsureMayHaveHappenedNot":      {said: []said{{"exchange", nil, failed(repo.Unsure)}, exchanged("a")}},
		"UnsureMayHappenLater":          {said: []said{exchanged("a"), {"end", nil, failed(repo.Unsure)}, rotated("a", repo.Rotated, "b"), rotated("b", repo.Ended, "")}},
		"UnsureRotationIsRetried":       {said: []said{exchanged("a"), {"a", nil, failed(repo.Unsure)}, rotated("a", repo.Retried, "b"), rotated("b", repo.Rotated, "c")}},
		"AnyOtherErrorIsUnsure":         {said: []said{{"exchange", nil, errors.New("x")}, replayed}},
		"NotDoneMustNotHaveHappened":    {said: []said{{"exchange", nil, failed(repo.NotDone)}, replayed}, wrong: ": replayed"},
		"RefusedMustNotHaveHappened":    {said: []said{exchanged("a"), {"end", nil, failed(repo.Refused)}, rotated("a", repo.Ended, "")}, wrong: ": ended"},
		"ARepeatedReuseSaysEnded":       {repeats: true, said: []said{exchanged("a"), rotated("a", repo.Rotated, "b"), rotated("b", repo.Rotated, "c"), rotated("a", repo.Ended, ""), rotated("c", repo.Ended, "")}},
		"EndedMustHaveACause":           {said: []said{exchanged("a"), rotated("a", repo.Rotated, "b"), rotated("b", repo.Rotated, "c"), rotated("a", repo.Ended, "")}, wrong: ": ended"},
		"EndedMustHaveACauseRepeatedOr": {repeats: true, said: []said{exchanged("a"), rotated("a", repo.Ended, "")}, wrong: ": ended"},
		"UnknownIsUnknown":              {said: []said{exchanged("a"), rotated("z", repo.Ended, "")}, wrong: "want unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &script{answer: repo.IssueResult{Code: "code", ID: uuid.New()}}
			recorder := conformance.Record(store, repo.Config{})
			recorder.Repeats = tc.repeats
			_, err := recorder.Issue(t.Context(), repo.IssueParams{ClerkUserID: "user_1", ClientID: "client_1", RedirectURI: "https://client.example/", WithoutPKCE: true})
			require.NoError(t, err)
			for _, s := range tc.said {
				store.answer, store.err = s.answer, s.err
				switch s.call {
				case "exchange":
					_, err = recorder.Exchange(t.Context(), repo.ExchangeParams{Code: "code", ClientID: "client_1", RedirectURI: "https://client.example/", ClientAuthenticated: true})
				case "end":
					_, err = recorder.End(t.Context(), repo.EndParams{SessionID: session, Reason: "sign_out"})
				default:
					_, err = recorder.Rotate(t.Context(), repo.RotateParams{RefreshToken: s.call, ClientID: "client_1"})
				}
				require.Equal(t, s.err, err)
			}
			require.Equal(t, 1+len(tc.said), recorder.Calls())
			err = recorder.Check()
			if tc.wrong == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.wrong)
				removeDrawings(err.Error())
			}
		})
	}
}
