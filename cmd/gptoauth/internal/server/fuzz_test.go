package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// fuzzServer is a server without a network, on a database of its own.
func fuzzServer(f *testing.F) (*Server, http.Handler, *lockedBuffer) {
	f.Helper()
	log := &lockedBuffer{}
	server, err := New(Params{
		Store:  repotest.CommittingStore(f, repo.Config{}, 4),
		Ready:  func(context.Context) error { return nil },
		Config: testConfig("http://127.0.0.1:8080"),
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Dev:    true,
	})
	require.NoError(f, err)
	return server, server.Handler(), log
}

// serve answers one request, and checks what holds for every request: no panic, no answer of a broken server, and nothing
// in the log that was sent as a secret.
func serve(t *testing.T, handler http.Handler, log *lockedBuffer, r *http.Request, secrets url.Values) *httptest.ResponseRecorder {
	t.Helper()
	log.reset()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	require.Less(t, recorder.Code, http.StatusInternalServerError, recorder.Body)
	require.NotContains(t, log.String(), "panic")
	for name, values := range secrets {
		for _, value := range values {
			// What is short, or of the words that each line has, may stand there for another reason.
			if len(value) >= 16 && !strings.Contains(usualLine, value) {
				require.NotContains(t, log.String(), value, name)
			}
		}
	}
	return recorder
}

const usualLine = `level=INFO msg=request request_id= method=POST method=GET route="POST /oauth/token" route="GET /oauth/authorize" status=400 ` +
	`status=303 status=401 status=200 took= address=192.0.2.1 client_id=` + gptID + ` client_id=` + publicID + ` outcome=unknown outcome=mismatch session_id=`

func (l *lockedBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func FuzzAuthorize(f *testing.F) {
	server, handler, log := fuzzServer(f)
	f.Add(gptRequest().Encode())
	f.Add(appRequest("scope", "jobs:read", "resource", "https://api.example.com").Encode())
	f.Add("client_id=" + gptID + "&redirect_uri=" + gptRedirect + "&state=%00%ff&response_type=code")
	f.Add("client_id=" + publicID + "&code_challenge=x&redirect_uri=http://127.0.0.1:99999/callback&response_type=code&resource=a&resource=b")
	f.Add("a=%zz;b&&=")
	person := server.forms.cookie(devCookie, server.forms.sign(cookieDev, person{ID: "user_fuzz", Name: "Fuzz"}, "", ""))
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+authorizePath, nil)
		r.URL.RawQuery = query
		r.AddCookie(person)
		sent, _ := url.ParseQuery(query)
		page := serve(t, handler, log, r, nil)
		if location := page.Header().Get("Location"); location != "" {
			requireRegistered(t, server, sent, location)
			return
		}
		if page.Code != http.StatusOK {
			return
		}
		form := hidden(page.Body.String())
		form.Set("decision", "allow")
		r = formRequest(t, "http://127.0.0.1:8080"+consentPath, form)
		r.AddCookie(person)
		for _, cookie := range page.Result().Cookies() {
			r.AddCookie(cookie)
		}
		answer := serve(t, handler, log, r, nil)
		requireRegistered(t, server, sent, answer.Header().Get("Location"))
	})
}

// requireRegistered: whatever is asked for, people are sent only where the operator lets the client send them.
func requireRegistered(t *testing.T, server *Server, sent url.Values, location string) {
	t.Helper()
	client := server.clients[sent.Get("client_id")]
	require.NotNil(t, client)
	to, err := url.Parse(location)
	require.NoError(t, err)
	for _, registered := range client.RedirectURIs {
		u, err := url.Parse(registered)
		require.NoError(t, err)
		if u.Scheme == to.Scheme && u.Hostname() == to.Hostname() && u.Path == to.Path {
			return
		}
	}
	require.Fail(t, "sent elsewhere", location)
}

func FuzzToken(f *testing.F) {
	server, handler, log := fuzzServer(f)
	session := repotest.NewSession(f, server.store, repo.IssueParams{ClientID: publicID}, 0)
	code := repotest.NewCode(f, server.store, repo.IssueParams{ClientID: gptID, WithoutPKCE: true})
	f.Add("", grantee{id: publicID}.refreshForm(session.Tokens[0]).Encode())
	f.Add("", grantee{id: gptID, code: string(code.Code), redirect: code.Issued.RedirectURI}.exchangeForm().Encode())
	f.Add("Basic Y3VzdG9tLWdwdDp3cm9uZw==", "grant_type=refresh_token&refresh_token=gptr_AAAAAAAAAAAAAAAAAAAAAAAA&scope=a+b&resource=https://api.example.com")
	f.Add("Basic", "grant_type=authorization_code&code=%00&client_id="+publicID+"&code_verifier=%ff&redirect_uri=%")
	f.Fuzz(func(t *testing.T, authorization, body string) {
		secrets, _ := url.ParseQuery(body)
		for name := range secrets {
			switch name {
			case "code", "refresh_token", "client_secret", "code_verifier", "token":
			default:
				secrets.Del(name)
			}
		}
		for _, path := range []string{tokenPath, revokePath, introspectPath} {
			r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080"+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			answer := serve(t, handler, log, r, secrets)
			require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
		}
	})
}
