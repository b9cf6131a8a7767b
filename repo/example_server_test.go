package repo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// openStore is what a server does when it starts. Any number of replicas may do it at once.
func openStore(ctx context.Context, databaseURL string) (*repo.Store, error) {
	db, err := repo.Open(ctx, databaseURL, repo.PoolConfig{})
	if err != nil {
		return nil, err
	}
	if err := migrations.Up(ctx, db); err != nil {
		return nil, err
	}
	return repo.New(db, repo.Config{})
}

// tokenEndpoint is RFC 6749 3.2. The host authenticates the client and signs the access token.
func tokenEndpoint(store *repo.Store, host host) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client := host.authenticate(r)
		grant, err := grantFor(r, store, client)
		switch {
		case errors.Is(err, repo.ErrInvalidGrant):
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error": "invalid_grant"}`) // whatever the outcome was: log it, do not tell
		case err != nil:
			w.WriteHeader(http.StatusServiceUnavailable) // the client may try again with what it has
		default:
			host.respond(w, grant) // access_token with sid, refresh_token, scope, expires_in
		}
	}
}

func grantFor(r *http.Request, store *repo.Store, client client) (repo.Grant, error) {
	if r.PostFormValue("grant_type") == "refresh_token" {
		result, err := store.RefreshTokens.Rotate(r.Context(), repo.RotateParams{
			RefreshToken: r.PostFormValue("refresh_token"),
			ClientID:     client.id,
		})
		if err != nil {
			return repo.Grant{}, err
		}
		return result.Grant, result.Err()
	}
	result, err := store.AuthCodes.Exchange(r.Context(), repo.ExchangeParams{
		Code:                r.PostFormValue("code"),
		ClientID:            client.id,
		RedirectURI:         r.PostFormValue("redirect_uri"),
		CodeVerifier:        r.PostFormValue("code_verifier"),
		ClientAuthenticated: client.authenticated,
	})
	if err != nil {
		return repo.Grant{}, err
	}
	return result.Grant, result.Err()
}

// client is who sent a token request, and whether it has proved that with credentials of its own.
type client struct {
	id            string
	authenticated bool
}

// host is what a server around the store has of its own.
type host struct{}

func (host) authenticate(r *http.Request) client {
	return client{id: r.PostFormValue("client_id")} // a public client: PKCE ties the code to it
}

func (host) respond(w http.ResponseWriter, grant repo.Grant) {
	w.Header().Set("Cache-Control", "no-store") // RFC 6749 5.1
	answer, err := json.Marshal(map[string]string{
		"access_token":  "a JWT with sid " + grant.SessionID.String(),
		"token_type":    "Bearer",
		"refresh_token": string(grant.RefreshToken),
		"scope":         grant.Scope,
	})
	if err != nil {
		panic(err)
	}
	w.Write(answer)
}

// The store behind the token endpoint of a server.
func Example_server() {
	t := &exampleT{}
	defer t.done()
	store, err := openStore(ctx, repotest.URL(t))
	if err != nil {
		panic(err)
	}
	code := repotest.NewCode(t, store, repo.IssueParams{Scope: "jobs:read"})
	server := tokenEndpoint(store, host{})
	post := func(form url.Values) (status int, answer map[string]string) {
		form.Set("client_id", code.Issued.ClientID)
		request := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, request)
		json.Unmarshal(recorder.Body.Bytes(), &answer)
		return recorder.Code, answer
	}

	exchange := url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {string(code.Code)},
		"redirect_uri":  {code.Issued.RedirectURI},
		"code_verifier": {code.Verifier},
	}
	status, answer := post(exchange)
	fmt.Println(status, answer["scope"])
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {answer["refresh_token"]}}
	status, answer = post(refresh)
	fmt.Println(status, answer["scope"])
	status, answer = post(exchange)
	fmt.Println(status, answer["error"])
	// Output:
	// 200 jobs:read
	// 200 jobs:read
	// 400 invalid_grant
}
