package server

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// postFrom posts a form through a proxy that says from where it comes.
func (h *harness) postFrom(address string, form url.Values) answer {
	h.t.Helper()
	r := formRequest(h.t, h.url+tokenPath, form)
	r.Header.Set("X-Forwarded-For", address)
	return h.browser().do(r)
}

// withLimits believes the tests about their addresses.
func withLimits(limits LimitConfig) func(*Params) {
	return func(p *Params) {
		p.Config.Limits = limits
		p.Config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
}

const (
	stranger = "203.0.113.7"
	honest   = "198.51.100.9"

	once = 0.001 // a second: whoever has come once waits for longer than a slow test takes
)

func TestRateLimitOfAPublicClientIsNotUsedUpByStrangers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withLimits(LimitConfig{PerAddress: once, PerClient: once}))
	form := url.Values{"grant_type": {"none"}, "client_id": {publicID}}
	h.postFrom(stranger, form).requireError(t, http.StatusBadRequest, "unsupported_grant_type")
	h.postFrom(stranger, form).requireError(t, http.StatusTooManyRequests, "temporarily_unavailable")
	h.postFrom(honest, form).requireError(t, http.StatusBadRequest, "unsupported_grant_type")
}

// TestRateLimitOfClientsIsNotForgottenBecauseOfStrangers: whoever has many addresses takes places among the addresses, and
// none among the clients, whose bursts would begin anew.
func TestRateLimitOfClientsIsNotForgottenBecauseOfStrangers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withLimits(LimitConfig{PerAddress: 1000, PerClient: once}))
	confidential := url.Values{"grant_type": {"none"}, "client_id": {gptID}, "client_secret": {secret}}
	h.postFrom(honest, confidential).requireError(t, http.StatusBadRequest, "unsupported_grant_type")
	for i := range 3 {
		form := url.Values{"grant_type": {"none"}, "client_id": {publicID}}
		h.postFrom("2001:db8:0:"+strconv.Itoa(i)+"::1", form).requireError(t, http.StatusBadRequest, "unsupported_grant_type")
	}
	h.clientLimiter.mu.Lock()
	defer h.clientLimiter.mu.Unlock()
	require.Len(t, h.clientLimiter.byKey, 1)
	require.Contains(t, h.clientLimiter.byKey, gptID)
}

func TestRateLimitOfAConfidentialClientCountsAllItsAddresses(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withLimits(LimitConfig{PerAddress: 1000, PerClient: once}))
	right := url.Values{"grant_type": {"none"}, "client_id": {gptID}, "client_secret": {secret}}
	h.postFrom(stranger, right).requireError(t, http.StatusBadRequest, "unsupported_grant_type")
	h.postFrom(honest, right).requireError(t, http.StatusTooManyRequests, "temporarily_unavailable")
	other := url.Values{"grant_type": {"none"}, "client_id": {otherGPTID}, "client_secret": {secret}}
	h.postFrom(honest, other).requireError(t, http.StatusBadRequest, "unsupported_grant_type")
}

func TestRateLimitForgetsThoseItHasNotSeenForLongest(t *testing.T) {
	t.Parallel()
	l := newLimiter(once)
	_, ok := l.allow("kept")
	require.True(t, ok)
	for i := range limiterSize + 100 {
		l.allow("someone " + strconv.Itoa(i))
		_, ok = l.allow("kept")
		require.False(t, ok, "who comes all the time is not forgotten")
	}
	require.Len(t, l.byKey, limiterSize)
	require.Equal(t, limiterSize, l.recent.Len())
	_, ok = l.allow("someone 0")
	require.True(t, ok, "forgotten, and begins anew")
	_, ok = l.allow("someone " + strconv.Itoa(limiterSize+99))
	require.False(t, ok)
}
