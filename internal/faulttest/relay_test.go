package faulttest

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// direction is that of what is relayed.
type direction string

const (
	upstream   direction = "to the server"
	downstream direction = "to the client"
)

// relay passes on what is said between clients and a server, which may change, and can cut a conversation at any byte.
type relay struct {
	listener net.Listener

	mu       sync.Mutex
	target   string
	links    map[*link]struct{}
	accepted int
	cut      cut
	passed   map[direction]int // since the last call of arm
}

// cut says where to cut what is said next.
type cut struct {
	armed     bool
	direction direction
	after     int // bytes that are still passed on
}

// link is one connection and its continuation.
type link struct{ client, server net.Conn }

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// startRelay returns a relay to the server of a DSN, and the DSN that goes through it.
func startRelay(t testing.TB, dsn string) (*relay, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{listener: listener, target: u.Host, links: map[*link]struct{}{}, passed: map[direction]int{}}
	var serving sync.WaitGroup
	serving.Go(r.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		r.cutAll()
		serving.Wait()
	})
	u.Host = listener.Addr().String()
	return r, u.String()
}

func (r *relay) serve() {
	var pumps sync.WaitGroup
	defer pumps.Wait()
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		target := r.target
		r.accepted++
		r.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client, server}
		r.mu.Lock()
		if r.target == target {
			r.links[l] = struct{}{}
		} else {
			l.close() // the server has changed meanwhile
		}
		r.mu.Unlock()
		pumps.Go(func() { r.pump(l, upstream, client, server) })
		pumps.Go(func() { r.pump(l, downstream, server, client) })
	}
}

func (r *relay) pump(l *link, d direction, from, to net.Conn) {
	defer func() {
		l.close()
		r.mu.Lock()
		delete(r.links, l)
		r.mu.Unlock()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			pass, end := r.allow(d, n)
			if _, err := to.Write(buffer[:pass]); err != nil || end {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// allow says how many of n bytes are passed on, and whether the conversation ends with them.
func (r *relay) allow(d direction, n int) (pass int, end bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.cut.armed || r.cut.direction != d || r.passed[d]+n < r.cut.after {
		r.passed[d] += n
		return n, false
	}
	r.cut.armed = false
	return r.cut.after - r.passed[d], true
}

// arm cuts the conversation when so many bytes more have passed in a direction.
func (r *relay) arm(d direction, after int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut{armed: true, direction: d, after: after}
	clear(r.passed)
}

// disarm says whether the cut was made, and how many bytes were passed on.
func (r *relay) disarm() (made bool, passed map[direction]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	made = !r.cut.armed
	r.cut.armed = false
	return made, map[direction]int{upstream: r.passed[upstream], downstream: r.passed[downstream]}
}

// cutAll ends all connections.
func (r *relay) cutAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.links {
		l.close()
	}
}

// connections is how many there were.
func (r *relay) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted
}

func hostOf(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	return u.Host
}

// turnTo sends everyone to another server.
func (r *relay) turnTo(host string) {
	r.turnNewTo(host)
	r.cutAll()
}

// turnNewTo sends those there who come from now on.
func (r *relay) turnNewTo(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = host
}
