package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
)

// roundTrips counts those of a call, in calls of their own and of one client, because a relay costs something.
func (d *database) roundTrips(ctx context.Context, op operation) (trips float64, err error) {
	u, err := url.Parse(d.url)
	if err != nil {
		return 0, err
	}
	r, err := newRelay(ctx, u.Host)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	u.Host = r.listener.Addr().String()
	s, err := d.peer.open(ctx, u.String(), 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	next, err := op.prepare(ctx, s, 0, 0)
	if err != nil {
		return 0, err
	}
	for range warmUp {
		if _, err := next(ctx); err != nil {
			return 0, err
		}
	}
	calls, before := 0, r.count()
	for ; calls < 10; calls++ {
		if more, err := next(ctx); err != nil || !more {
			return 0, errors.Join(errors.New("count the round trips"), err)
		}
	}
	return float64(r.count()-before) / float64(calls), nil
}

// relay stands between a client and the server, and counts how often the client speaks after the server has.
type relay struct {
	listener net.Listener
	server   string
	group    sync.WaitGroup

	mu      sync.Mutex
	trips   int
	waiting bool // a client has spoken and has no answer yet
}

func newRelay(ctx context.Context, server string) (*relay, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, server: server}
	r.group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			r.group.Go(func() { r.serve(ctx, client) })
		}
	})
	return r, nil
}

// close waits for the connections, which the client closes.
func (r *relay) close() error {
	err := r.listener.Close()
	r.group.Wait()
	return err
}

func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trips
}

func (r *relay) serve(ctx context.Context, client net.Conn) {
	defer client.Close() //nolint:errcheck // the client has gone, or sees it
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", r.server)
	if err != nil {
		return
	}
	r.group.Go(func() {
		r.copy(client, server, false)
		_ = client.Close()
	})
	r.copy(server, client, true)
	_ = server.Close()
}

func (r *relay) copy(to, from net.Conn, fromClient bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			r.note(fromClient)
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) note(fromClient bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fromClient && !r.waiting {
		r.trips++
	}
	r.waiting = fromClient
}
