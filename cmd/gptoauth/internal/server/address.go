package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// addressOf is who sent a request: the peer, or if that is a trusted proxy the last address of X-Forwarded-For that is
// not one. What stands further left anyone may have written.
func (s *Server) addressOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap()
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(forwarded) {
		if !s.isProxy(address) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = next.Unmap()
	}
	return address
}

func (s *Server) isProxy(address netip.Addr) bool {
	return slices.ContainsFunc(s.config.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}
