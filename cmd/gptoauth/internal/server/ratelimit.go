package server

import (
	"container/list"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// limiterSize bounds the memory: who was seen longest ago is forgotten first, and by then has its burst back.
	limiterSize  = 10_000
	burstSeconds = 4
)

// limiter limits the rate of requests by a key.
type limiter struct {
	perSecond rate.Limit
	burst     int

	mu     sync.Mutex
	byKey  map[string]*list.Element
	recent *list.List // of *bucket, the most recent in front
}

type bucket struct {
	key    string
	tokens *rate.Limiter
}

func newLimiter(perSecond float64) *limiter {
	return &limiter{
		perSecond: rate.Limit(perSecond),
		burst:     max(int(perSecond*burstSeconds), 1),
		byKey:     map[string]*list.Element{},
		recent:    list.New(),
	}
}

// allow says whether key may go on, and if not, in how long.
func (l *limiter) allow(key string) (wait time.Duration, ok bool) {
	now := time.Now()
	reservation := l.bucket(key).ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait == 0 {
		return 0, true
	}
	reservation.CancelAt(now)
	return wait, false
}

func (l *limiter) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if element, ok := l.byKey[key]; ok {
		l.recent.MoveToFront(element)
		return element.Value.(*bucket).tokens
	}
	if l.recent.Len() >= limiterSize {
		oldest := l.recent.Back()
		l.recent.Remove(oldest)
		delete(l.byKey, oldest.Value.(*bucket).key)
	}
	b := &bucket{key, rate.NewLimiter(l.perSecond, l.burst)}
	l.byKey[key] = l.recent.PushFront(b)
	return b.tokens
}

// limitAddress guards an endpoint against one address. An IPv6 network counts as one: its owner has 2^64 addresses.
func (s *Server) limitAddress(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if wait, ok := s.addressLimiter.allow(network(s.addressOf(r))); !ok {
			tooMany(wait).write(w)
			return
		}
		next(w, r)
	}
}

func network(address netip.Addr) string {
	if address.Is6() && !address.Is4In6() {
		if prefix, err := address.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.Unmap().String()
}

func tooMany(wait time.Duration) *oauthError {
	return &oauthError{http.StatusTooManyRequests, "temporarily_unavailable", "too many requests", wait + time.Second}
}
