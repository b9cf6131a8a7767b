package repotest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gptoauth/gptoauth/repo"
)

// Code is an authorization code that is ready to be exchanged.
type Code struct {
	repo.IssueResult

	Issued   repo.IssueParams
	Verifier string // empty without PKCE
}

// NewCode issues a code. What params leave empty is filled in: a new person, a client, a redirect URI, and an S256
// challenge unless WithoutPKCE is set.
func NewCode(t testing.TB, store *repo.Store, params repo.IssueParams) Code {
	t.Helper()
	params.ClerkUserID = cmp.Or(params.ClerkUserID, NewUserID())
	params.ClientID = cmp.Or(params.ClientID, "client_1")
	params.RedirectURI = cmp.Or(params.RedirectURI, "https://chatgpt.com/aip/g-1/oauth/callback")
	code := Code{}
	if !params.WithoutPKCE && params.CodeChallenge == "" {
		code.Verifier = NewVerifier()
		params.CodeChallenge = Challenge(code.Verifier)
		params.CodeChallengeMethod = repo.S256
	}
	code.Issued = params

	var err error
	if code.IssueResult, err = store.AuthCodes.Issue(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	return code
}

// Request is the token request that exchanges the code.
func (c Code) Request() repo.ExchangeParams {
	return repo.ExchangeParams{
		Code:                string(c.Code),
		ClientID:            c.Issued.ClientID,
		RedirectURI:         c.Issued.RedirectURI,
		CodeVerifier:        c.Verifier,
		ClientAuthenticated: c.Issued.WithoutPKCE,
	}
}

// Session is a session with all its refresh tokens.
type Session struct {
	repo.Grant // as the last call answered

	Code   Code
	Tokens []string // every generation, the current one last
}

// NewSession issues and exchanges a code and rotates the refresh token a number of times.
func NewSession(t testing.TB, store *repo.Store, params repo.IssueParams, rotations int) Session {
	t.Helper()
	session := Session{Code: NewCode(t, store, params)}
	exchanged, err := store.AuthCodes.Exchange(t.Context(), session.Code.Request())
	if err := cmp.Or(err, exchanged.Err()); err != nil {
		t.Fatal(err)
	}
	session.add(exchanged.Grant)
	for range rotations {
		rotated, err := store.RefreshTokens.Rotate(t.Context(), session.Request(len(session.Tokens)-1))
		if err := cmp.Or(err, rotated.Err()); err != nil {
			t.Fatal(err)
		}
		session.add(rotated.Grant)
	}
	return session
}

func (s *Session) add(grant repo.Grant) {
	s.Grant = grant
	s.Tokens = append(s.Tokens, string(grant.RefreshToken))
}

// Request is the token request that presents a generation of the refresh token, 0 being the first.
func (s *Session) Request(generation int) repo.RotateParams {
	return repo.RotateParams{RefreshToken: s.Tokens[generation], ClientID: s.Code.Issued.ClientID}
}

// NewUser makes a person with one session and a number of job_search events in it, and returns the session.
func NewUser(t testing.TB, store *repo.Store, events int) Session {
	t.Helper()
	session := NewSession(t, store, repo.IssueParams{}, 0)
	batch := make([]repo.AppendParams, events)
	for i := range batch {
		batch[i] = repo.AppendParams{
			Type:        "job_search",
			ClerkUserID: session.ClerkUserID,
			ClientID:    session.Code.Issued.ClientID,
			SessionID:   session.SessionID,
			Metadata:    json.RawMessage(fmt.Sprintf(`{"query": "search %d"}`, i)),
		}
	}
	if err := store.Events.Append(t.Context(), batch...); err != nil {
		t.Fatal(err)
	}
	return session
}

// NewUserID returns an id as Clerk's are, of no one.
func NewUserID() string {
	return "user_" + strings.ToLower(rand.Text())
}

// NewVerifier returns a code verifier (RFC 7636 4.1).
func NewVerifier() string {
	return rand.Text() + rand.Text()
}

// Challenge returns the S256 challenge of a verifier (RFC 7636 4.2).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
