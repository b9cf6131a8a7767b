package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// breakDatabase makes every statement fail from now on, at once.
func (h *harness) breakDatabase() {
	h.t.Helper()
	require.NoError(h.t, h.store.DB().(*bun.DB).Close())
}

func TestTokenAnswers503WhenTheStoreCannotAnswer(t *testing.T) {
	t.Parallel()
	h := newHarnessOn(t, repotest.CommittingStore(t, repo.Config{Timeout: 200 * time.Millisecond}, 2))
	g := h.consent(publicID)
	got := g.exchange()
	h.breakDatabase()
	for path, form := range map[string]url.Values{
		tokenPath:      g.refreshForm(got.Refresh),
		revokePath:     g.tokenForm(got.Refresh),
		introspectPath: with(g.tokenForm(got.Refresh), "client_id", gptID, "client_secret", secret),
	} {
		answer := h.post(path, form)
		answer.requireError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.NotEmpty(t, answer.Header.Get("Retry-After"))
	}
	require.NotContains(t, h.log.String(), got.Refresh)
}

func TestAuthorizeTellsTheClientWhenTheStoreCannotAnswer(t *testing.T) {
	t.Parallel()
	h := newHarnessOn(t, repotest.CommittingStore(t, repo.Config{Timeout: 200 * time.Millisecond}, 2))
	b, _ := h.newPerson()
	h.breakDatabase()
	back := b.decide(h.url+authorizePath+"?"+request(gptID, gptRedirect, "").Encode(), "allow")
	require.Equal(t, "temporarily_unavailable", back.Query().Get("error"))
	require.Equal(t, "a state&=%", back.Query().Get("state"))
}

func TestExchangeForAResourceThatWasNotGrantedBurnsNoCode(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(publicID, "resource", h.url+mcpPath)
	h.post(tokenPath, g.exchangeForm("resource", "https://api.example.com")).requireError(t, http.StatusBadRequest, "invalid_target")
	got := g.exchange("resource", h.url+mcpPath)
	require.Equal(t, []string{h.url + mcpPath}, []string(h.claims(got.Access).Audience))
}

func TestRefreshBeyondTheGrantSpendsNoToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(publicID, "scope", "jobs:read", "resource", h.url+mcpPath)
	got := g.exchange()
	h.post(tokenPath, g.refreshForm(got.Refresh, "scope", "jobs:read resume:read")).requireError(t, http.StatusBadRequest, "invalid_scope")
	h.post(tokenPath, g.refreshForm(got.Refresh, "resource", "https://api.example.com")).requireError(t, http.StatusBadRequest, "invalid_target")
	require.Empty(t, h.eventsOf(g.user, repo.EventTokenRefresh))
	h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
}

func TestCodeRacedByManyRequestsGivesOneSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(publicID)
	var group sync.WaitGroup
	statuses := make([]int, 20)
	for i := range statuses {
		group.Go(func() { statuses[i] = h.post(tokenPath, g.exchangeForm()).StatusCode })
	}
	group.Wait()
	won := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			won++
		}
	}
	require.Equal(t, 1, won)
	require.Len(t, h.eventsOf(g.user, repo.EventTokenExchange), 1)
}

func TestReuseOfARefreshTokenEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(publicID)
	first := g.exchange()
	second := h.requireTokens(h.post(tokenPath, g.refreshForm(first.Refresh)))
	third := h.requireTokens(h.post(tokenPath, g.refreshForm(second.Refresh)))
	h.post(tokenPath, g.refreshForm(first.Refresh)).requireError(t, http.StatusBadRequest, "invalid_grant")
	require.False(t, h.alive(third.Access))
}

func TestRateLimitTurnsAwayAnAddressAndSaysForHowLong(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(p *Params) { p.Config.Limits = LimitConfig{PerAddress: once, PerClient: 1000} })
	form := url.Values{"grant_type": {"refresh_token"}}
	h.post(tokenPath, form).requireError(t, http.StatusUnauthorized, "invalid_client")
	last := h.post(tokenPath, form)
	last.requireError(t, http.StatusTooManyRequests, "temporarily_unavailable")
	require.NotEmpty(t, last.Header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, h.browser().get(h.url+"/healthz").StatusCode)
}

func TestRateLimitTurnsAwayAClientOnlyAfterItsSecretWasRight(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(p *Params) { p.Config.Limits = LimitConfig{PerAddress: 1000, PerClient: once} })
	right := url.Values{"grant_type": {"none"}, "client_id": {gptID}, "client_secret": {secret}}
	wrong := url.Values{"grant_type": {"none"}, "client_id": {gptID}, "client_secret": {"wrong"}}
	for range 3 {
		h.post(tokenPath, wrong).requireError(t, http.StatusUnauthorized, "invalid_client")
	}
	h.post(tokenPath, right).requireError(t, http.StatusBadRequest, "unsupported_grant_type")
	h.post(tokenPath, right).requireError(t, http.StatusTooManyRequests, "temporarily_unavailable")
}

func TestAddressComesFromTheLastProxyThatIsTrusted(t *testing.T) {
	t.Parallel()
	s := &Server{config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "198.51.100.9", "192.0.2.1"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"10.0.0.1:1", "203.0.113.7, 198.51.100.9", "198.51.100.9"},
		{"10.0.0.1:1", "203.0.113.7, 198.51.100.9, 10.2.2.2", "198.51.100.9"},
		{"10.0.0.1:1", "203.0.113.7, nonsense", "10.0.0.1"},
		{"[::ffff:192.0.2.1]:1", "", "192.0.2.1"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		r.Header.Set("X-Forwarded-For", c.forwarded)
		require.Equal(t, c.want, s.addressOf(r).String(), c)
	}
	require.Equal(t, "2001:db8:1:2::/64", network(netip.MustParseAddr("2001:db8:1:2:3:4:5:6")))
	require.Equal(t, "192.0.2.1", network(netip.MustParseAddr("::ffff:192.0.2.1")))
}

func TestClientWithoutRefreshTokensIsGivenNone(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(p *Params) { p.Config.Clients[0].NoRefresh = true })
	require.Contains(t, h.ask(gptRequest()).body, "The connection ends by itself within 10 minutes.")
	answer := h.post(tokenPath, h.consent(gptID).exchangeForm())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NotContains(t, answer.json(t), "refresh_token")
	require.NotEmpty(t, h.claims(answer.json(t)["access_token"].(string)).Subject)
	session := repotest.NewSession(t, h.store, repo.IssueParams{ClientID: gptID}, 0) // from before the operator decided so
	h.post(tokenPath, grantee{id: gptID}.refreshForm(session.Tokens[0])).requireError(t, http.StatusBadRequest, "unauthorized_client")
}

func TestSessionThatNoOneWasGivenEndsThoughTheClientHasGone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	session := repotest.NewSession(t, h.store, repo.IssueParams{ClientID: gptID}, 0)
	gone, leave := context.WithCancel(t.Context())
	leave()
	h.abandon(httptest.NewRequest(http.MethodPost, tokenPath, nil).WithContext(gone), repo.Grant{SessionID: session.SessionID})
	require.False(t, h.aliveSession(session))
}

func TestBodyThatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	answer := h.post(tokenPath, url.Values{"grant_type": {strings.Repeat("x", maxFormLen)}})
	answer.requireError(t, http.StatusRequestEntityTooLarge, "invalid_request")
}
