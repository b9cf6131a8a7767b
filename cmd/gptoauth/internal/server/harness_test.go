package server

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const (
	gptID       = "custom-gpt"
	otherGPTID  = "other-gpt"
	resourceID  = "resource-server"
	apiID       = "api-server" // serves only this:
	apiResource = "https://api.example.com"
	publicID    = "https://client.example.com/metadata.json" // a client id may be a URL
	secret      = "s3cret+with/odd:chars&more-0123456789"
	gptRedirect = "https://chatgpt.com/aip/g-1/oauth/callback"
	appRedirect = "http://127.0.0.1/callback"
)

// harness is a server that listens, on a database of its own, and what it logs.
type harness struct {
	*Server

	t     *testing.T
	store *repo.Store
	url   string
	log   *lockedBuffer
}

func testConfig(issuer string) Config {
	return Config{
		Issuer:    issuer,
		Resources: []string{issuer + "/mcp", apiResource},
		Scopes:    map[string]string{"jobs:read": "Search jobs for you", "resume:read": "Read your resume", "offline_access": "Stay connected"},
		Clients: []Client{
			{
				ID: gptID, Name: "Career Coach", SecretSHA256: hashSecret(secret), PKCE: pkceOptional,
				RedirectURIs: []string{gptRedirect, "https://chat.openai.com/aip/g-1/oauth/callback"},
				Scopes:       []string{"jobs:read", "resume:read"},
			},
			{
				ID: otherGPTID, SecretSHA256: hashSecret(secret), RedirectURIs: []string{"https://other.example.com/cb?tenant=1"},
				Scopes: []string{"jobs:read"},
			},
			{
				ID: publicID, Name: "Desktop assistant", RedirectURIs: []string{appRedirect},
				Scopes: []string{"jobs:read", "resume:read", "offline_access"},
			},
			{ID: resourceID, SecretSHA256: hashSecret(secret), Introspects: true},
			{ID: apiID, SecretSHA256: hashSecret(secret), Introspects: true, Resources: []string{apiResource}},
		},
		Limits: LimitConfig{PerAddress: 1e5, PerClient: 1e5},
	}
}

func newHarness(t *testing.T, change ...func(*Params)) *harness {
	t.Helper()
	return newHarnessOn(t, repotest.CommittingStore(t, repo.Config{}, 10), change...)
}

func newHarnessOn(t *testing.T, store *repo.Store, change ...func(*Params)) *harness {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	issuer := "http://" + listener.Addr().String()
	log := &lockedBuffer{}
	params := Params{
		Store:  store,
		Ready:  func(context.Context) error { return nil },
		Config: testConfig(issuer),
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Dev:    true,
	}
	for _, f := range change {
		f(&params)
	}
	server, err := New(params)
	require.NoError(t, err)
	listening := httptest.NewUnstartedServer(server.Handler())
	_ = listening.Listener.Close()
	listening.Listener = listener
	listening.Start()
	t.Cleanup(listening.Close)
	return &harness{Server: server, t: t, store: store, url: issuer, log: log}
}

// in is the harness for a subtest.
func (h *harness) in(t *testing.T) *harness {
	c := *h
	c.t = t
	return &c
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// answer is a response that has been read.
type answer struct {
	*http.Response

	body string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &fields), a.body)
	return fields
}

func (a answer) requireError(t *testing.T, status int, code string) {
	t.Helper()
	require.Equal(t, status, a.StatusCode, a.body)
	require.Equal(t, code, a.json(t)["error"])
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
}

// browser follows no redirects and keeps cookies.
type browser struct {
	h      *harness
	client *http.Client
}

func (h *harness) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(h.t, err)
	return &browser{h, &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) do(request *http.Request) answer {
	b.h.t.Helper()
	response, err := b.client.Do(request)
	require.NoError(b.h.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.h.t, err)
	return answer{response, string(body)}
}

func (b *browser) get(address string) answer {
	b.h.t.Helper()
	request, err := http.NewRequestWithContext(b.h.t.Context(), http.MethodGet, address, nil)
	require.NoError(b.h.t, err)
	return b.do(request)
}

func (b *browser) post(address string, form url.Values) answer {
	b.h.t.Helper()
	return b.do(formRequest(b.h.t, address, form))
}

func formRequest(t *testing.T, address string, form url.Values) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return request
}

var (
	hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
	personName  = strings.NewReplacer("user_", "")
)

// hidden reads the hidden inputs of a page, the last of each name.
func hidden(page string) url.Values {
	form := url.Values{}
	for _, match := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Set(match[1], html.UnescapeString(match[2]))
	}
	return form
}

// signIn signs a person in on the page of --dev.
func (b *browser) signIn(userID string) {
	b.h.t.Helper()
	page := b.get(b.h.url + devSignInPath)
	form := hidden(page.body)
	form.Set("person", personName.Replace(userID))
	require.Equal(b.h.t, http.StatusSeeOther, b.post(b.h.url+devSignInPath, form).StatusCode)
}

// decide goes through the consent page, and returns where it leads.
func (b *browser) decide(authorizeURL, decision string) *url.URL {
	b.h.t.Helper()
	page := b.get(authorizeURL)
	require.Equal(b.h.t, http.StatusOK, page.StatusCode, page.body)
	form := hidden(page.body)
	form.Set("decision", decision)
	return b.location(b.post(b.h.url+consentPath, form))
}

func (b *browser) location(a answer) *url.URL {
	b.h.t.Helper()
	require.Equal(b.h.t, http.StatusSeeOther, a.StatusCode, a.body)
	to, err := url.Parse(a.Header.Get("Location"))
	require.NoError(b.h.t, err)
	return to
}

// newPerson is a browser at which someone new is signed in.
func (h *harness) newPerson() (*browser, string) {
	h.t.Helper()
	id := "user_p" + repotest.NewVerifier()[:20]
	id = strings.ToLower(id)
	b := h.browser()
	b.signIn(id)
	return b, id
}

// request makes the parameters of an authorization request; the pairs replace or, if empty, remove.
func request(clientID, redirect, verifier string, pairs ...string) url.Values {
	form := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirect}, "state": {"a state&=%"},
	}
	if verifier != "" {
		form.Set("code_challenge", repotest.Challenge(verifier))
		form.Set("code_challenge_method", "S256")
	}
	return with(form, pairs...)
}

func with(form url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			form.Del(pairs[i])
		} else {
			form.Set(pairs[i], pairs[i+1])
		}
	}
	return form
}

// grantee is a client with a code that is ready to be exchanged.
type grantee struct {
	h        *harness
	user     string
	id       string
	redirect string
	verifier string
	code     string
	back     *url.URL // where the person was sent
}

// consent signs a new person in and allows what a client asks for.
func (h *harness) consent(clientID string, pairs ...string) grantee {
	h.t.Helper()
	g := grantee{h: h, id: clientID, verifier: repotest.NewVerifier()}
	switch clientID {
	case gptID:
		g.redirect, g.verifier = gptRedirect, ""
	case otherGPTID:
		g.redirect = "https://other.example.com/cb?tenant=1"
	default:
		g.redirect = "http://127.0.0.1:4711/callback"
	}
	var b *browser
	b, g.user = h.newPerson()
	g.back = b.decide(h.url+authorizePath+"?"+request(clientID, g.redirect, g.verifier, pairs...).Encode(), "allow")
	g.code = g.back.Query().Get("code")
	require.NotEmpty(h.t, g.code, g.back)
	return g
}

// exchangeForm is the token request that exchanges the code.
func (g grantee) exchangeForm(pairs ...string) url.Values {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {g.code}, "redirect_uri": {g.redirect}}
	return with(g.authenticated(with(form, "code_verifier", g.verifier)), pairs...)
}

func (g grantee) refreshForm(token string, pairs ...string) url.Values {
	return with(g.authenticated(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}), pairs...)
}

func (g grantee) tokenForm(token string, pairs ...string) url.Values {
	return with(g.authenticated(url.Values{"token": {token}}), pairs...)
}

func (g grantee) authenticated(form url.Values) url.Values {
	form.Set("client_id", g.id)
	if g.id != publicID {
		form.Set("client_secret", secret)
	}
	return form
}

// post sends a form without any cookie.
func (h *harness) post(path string, form url.Values) answer {
	h.t.Helper()
	return h.browser().post(h.url+path, form)
}

// tokens are what the token endpoint gave.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
}

func (h *harness) requireTokens(a answer) tokens {
	h.t.Helper()
	require.Equal(h.t, http.StatusOK, a.StatusCode, a.body)
	var got tokens
	require.NoError(h.t, json.Unmarshal([]byte(a.body), &got))
	require.NotEmpty(h.t, got.Access)
	require.NotEmpty(h.t, got.Refresh)
	return got
}

// exchange exchanges the code.
func (g grantee) exchange(pairs ...string) tokens {
	g.h.t.Helper()
	return g.h.requireTokens(g.h.post(tokenPath, g.exchangeForm(pairs...)))
}

// claims reads an access token, which must be good.
func (h *harness) claims(token string) mcpClaims {
	h.t.Helper()
	claims, err := h.verifier.Parse(h.t.Context(), token)
	require.NoError(h.t, err)
	return claims
}

// alive asks the store.
func (h *harness) alive(token string) bool {
	h.t.Helper()
	alive, err := h.store.Sessions.Active(h.t.Context(), h.claims(token).SessionID)
	require.NoError(h.t, err)
	return alive
}
