package server

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const (
	clerkParty    = "https://app.example.com"
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// fakeClerk serves the keys of an instance of Clerk, and signs sessions like it.
type fakeClerk struct {
	issuer  string
	keyFile string // of a server that asks it
	key     atomic.Pointer[jose.JSONWebKey]
	down    atomic.Bool
	asked   atomic.Int32
}

func newFakeClerk(t *testing.T) *fakeClerk {
	t.Helper()
	f := &fakeClerk{}
	f.rotate(t, "ins_1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if f.down.Load() || r.URL.Path != "/.well-known/jwks.json" {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{f.key.Load().Public()}})
	}))
	t.Cleanup(server.Close)
	f.issuer = server.URL
	_, signing, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	f.keyFile = writeKey(t, signing)
	return f
}

func (f *fakeClerk) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	f.key.Store(&jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "RS256", Use: "sig"})
}

// session signs a session token; the changes replace claims, nil removes one.
func (f *fakeClerk) session(t *testing.T, user string, changes map[string]any) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": f.issuer, "sub": user, "azp": clerkParty, "sid": "sess_1",
		"iat": now.Unix(), "nbf": now.Add(-10 * time.Second).Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: *f.key.Load()}, claims)
}

func sign(t *testing.T, key jose.SigningKey, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	require.NoError(t, err)
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(t, err)
	return token
}

// withClerk is a configuration as in production, but for the hosts.
func withClerk(f *fakeClerk) func(*Params) {
	return func(p *Params) {
		p.Dev = false
		p.Config.Keys = []string{f.keyFile}
		p.Config.Clerk = ClerkConfig{
			Issuer: f.issuer, AuthorizedParties: []string{clerkParty}, SignInURL: "https://app.example.com/sign-in?theme=dark",
			WebhookSecret: webhookSecret,
		}
	}
}

// as sets Clerk's cookie.
func (b *browser) as(token string) *browser {
	u, _ := url.Parse(b.h.url)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: clerkCookie, Value: token, Path: "/"}})
	return b
}

func TestClerkSessionIsWhoConsents(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	start := h.url + authorizePath + "?" + request(gptID, gptRedirect, "").Encode()

	b := h.browser()
	to := b.location(b.get(start))
	require.Equal(t, "app.example.com", to.Host)
	require.Equal(t, "dark", to.Query().Get("theme"))
	back, err := url.Parse(to.Query().Get("redirect_url"))
	require.NoError(t, err)
	require.Equal(t, authorizePath, back.Path)
	require.Equal(t, "a state&=%", back.Query().Get("state"))

	b.as(f.session(t, "user_2abc", map[string]any{"name": "Ada <b>Lovelace</b>"}))
	page := b.get(back.String())
	require.Contains(t, page.body, "Ada &lt;b&gt;Lovelace")
	code := b.decide(back.String(), "allow").Query().Get("code")
	got := h.requireTokens(h.post(tokenPath, grantee{h: h, id: gptID, redirect: gptRedirect, code: code}.exchangeForm()))
	require.Equal(t, "user_2abc", h.claims(got.Access).Subject)
}

func TestClerkBearerTokenServesToo(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+appsPath, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+f.session(t, "user_bearer", nil))
	require.Equal(t, http.StatusOK, h.browser().do(r).StatusCode)
}

func TestClerkSessionThatIsNoGoodIsNoOne(t *testing.T) {
	t.Parallel()
	f, other := newFakeClerk(t), newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	now := time.Now()
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	good := f.session(t, "user_1", nil)
	for name, token := range map[string]string{
		"garbage":             "garbage",
		"issuer":              f.session(t, "user_1", map[string]any{"iss": other.issuer}),
		"issuer prefix":       f.session(t, "user_1", map[string]any{"iss": "https://clerk.example.com"}),
		"authorized party":    f.session(t, "user_1", map[string]any{"azp": "https://evil.example.com"}),
		"no party":            f.session(t, "user_1", map[string]any{"azp": nil}),
		"expired":             f.session(t, "user_1", map[string]any{"exp": now.Add(-6 * time.Second).Unix()}),
		"not yet":             f.session(t, "user_1", map[string]any{"nbf": now.Add(time.Minute).Unix()}),
		"no expiry":           f.session(t, "user_1", map[string]any{"exp": nil}),
		"no subject":          f.session(t, "user_1", map[string]any{"sub": nil}),
		"no session":          f.session(t, "user_1", map[string]any{"sid": nil}),
		"impersonated":        f.session(t, "user_1", map[string]any{"act": map[string]any{"sub": "user_support"}}),
		"pending":             f.session(t, "user_1", map[string]any{"sts": "pending"}),
		"another's key":       sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: "ins_1"}}, map[string]any{"iss": f.issuer, "sub": "user_1", "azp": clerkParty, "exp": now.Add(time.Minute).Unix()}),
		"unknown key":         sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: stranger, KeyID: "ins_9"}}, map[string]any{"iss": f.issuer, "sub": "user_1", "azp": clerkParty, "exp": now.Add(time.Minute).Unix()}),
		"alg none":            unsigned(good),
		"public key as HMAC":  confused(t, f, now),
		"signature cut":       good[:len(good)-4],
		"payload exchanged":   exchangedPayload(good, f.session(t, "user_2", nil)),
		"our own accesstoken": ownAccessToken(t, h),
	} {
		b := h.browser().as(token)
		require.Equal(t, "app.example.com", b.location(b.get(h.url+appsPath)).Host, name)
	}
	// A clock that is ahead of ours, so that a slow test cannot make it worse.
	within := f.session(t, "user_1", map[string]any{"nbf": time.Now().Add(4 * time.Second).Unix()})
	require.Equal(t, http.StatusOK, h.browser().as(within).get(h.url+appsPath).StatusCode, "clock skew is allowed for")
}

func ownAccessToken(t *testing.T, h *harness) string {
	t.Helper()
	token, _, err := h.newAccessToken(gptID, repo.Grant{ClerkUserID: "user_1"}, "", []string{"https://api.example.com"})
	require.NoError(t, err)
	return token
}

func unsigned(token string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"ins_1"}`)) + "." + strings.Split(token, ".")[1] + "."
}

func confused(t *testing.T, f *fakeClerk, now time.Time) string {
	t.Helper()
	public, err := json.Marshal(f.key.Load().Public())
	require.NoError(t, err)
	key := jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: "ins_1"}}
	return sign(t, key, map[string]any{"iss": f.issuer, "sub": "user_1", "azp": clerkParty, "exp": now.Add(time.Minute).Unix()})
}

func exchangedPayload(a, b string) string {
	parts := strings.Split(a, ".")
	parts[1] = strings.Split(b, ".")[1]
	return strings.Join(parts, ".")
}

func TestClerkKeysAreFetchedOnceAndAgainAfterARotation(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	h := newHarness(t, withClerk(f))
	people := h.people.(*clerkPeople)
	for range 5 {
		require.Equal(t, http.StatusOK, h.browser().as(f.session(t, "user_1", nil)).get(h.url+appsPath).StatusCode)
	}
	require.EqualValues(t, 1, f.asked.Load())

	f.rotate(t, "ins_2")
	people.keys.(*mcpauthRemoteKeys).MinInterval = time.Nanosecond
	require.Equal(t, http.StatusOK, h.browser().as(f.session(t, "user_1", nil)).get(h.url+appsPath).StatusCode)
	require.EqualValues(t, 2, f.asked.Load())
}

func TestClerkThatCannotBeReachedIs503(t *testing.T) {
	t.Parallel()
	f := newFakeClerk(t)
	f.down.Store(true)
	h := newHarness(t, withClerk(f))
	answer := h.browser().as(f.session(t, "user_1", nil)).get(h.url + appsPath)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
}

// webhookRequest signs as Svix does, with its own library.
func (h *harness) webhookRequest(t *testing.T, secret, body string, at time.Time) *http.Request {
	t.Helper()
	hook, err := svix.NewWebhook(secret)
	require.NoError(t, err)
	signature, err := hook.Sign("msg_1", at, []byte(body))
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+webhookPath, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Svix-Id", "msg_1")
	r.Header.Set("Svix-Timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("Svix-Signature", signature)
	return r
}

func deleted(user string) string {
	return fmt.Sprintf(`{"type": "user.deleted", "object": "event", "data": {"id": %q, "deleted": true}}`, user)
}

func TestWebhookEndsAndErasesAPersonWhomClerkHasDeleted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withClerk(newFakeClerk(t)))
	session := repotest.NewSession(t, h.store, repo.IssueParams{ClientID: gptID}, 2)
	other := repotest.NewSession(t, h.store, repo.IssueParams{ClientID: gptID}, 0)
	pending := repotest.NewCode(t, h.store, repo.IssueParams{ClerkUserID: session.ClerkUserID})

	body := deleted(session.ClerkUserID)
	refused := h.browser().do(h.webhookRequest(t, "whsec_"+base64.StdEncoding.EncodeToString([]byte("another secret of Svix")), body, time.Now()))
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	refused = h.browser().do(h.webhookRequest(t, webhookSecret, body, time.Now().Add(-time.Hour)))
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode, "an old message may be a replay")
	active, err := h.store.Sessions.Active(t.Context(), session.SessionID)
	require.NoError(t, err)
	require.True(t, active)

	for range 2 { // Clerk sends again what it is not sure of
		require.Equal(t, http.StatusNoContent, h.browser().do(h.webhookRequest(t, webhookSecret, body, time.Now())).StatusCode)
	}
	_, err = h.store.Sessions.Get(t.Context(), session.SessionID)
	require.ErrorIs(t, err, repo.ErrNotFound)
	require.Empty(t, h.eventsOf(session.ClerkUserID, ""))
	result, err := h.store.AuthCodes.Exchange(t.Context(), pending.Request())
	require.NoError(t, err)
	require.NotEqual(t, repo.Exchanged, result.Outcome)
	active, err = h.store.Sessions.Active(t.Context(), other.SessionID)
	require.NoError(t, err)
	require.True(t, active)
	require.NotContains(t, h.log.String(), session.ClerkUserID)
}

func TestWebhookIgnoresOtherEventsAndAsksAgainWhenTheStoreCannotAnswer(t *testing.T) {
	t.Parallel()
	h := newHarnessOn(t, repotest.CommittingStore(t, repo.Config{Timeout: 200 * time.Millisecond}, 2), withClerk(newFakeClerk(t)))
	send := func(body string) int {
		return h.browser().do(h.webhookRequest(t, webhookSecret, body, time.Now())).StatusCode
	}
	require.Equal(t, http.StatusNoContent, send(`{"type": "user.updated", "data": {"id": "user_1"}}`))
	require.Equal(t, http.StatusBadRequest, send(`not JSON`))
	h.breakDatabase()
	require.Equal(t, http.StatusServiceUnavailable, send(deleted("user_1")))
}
