package repo

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo/internal/socket"
)

// keepAlive finds a peer that vanished without a word, and keeps load balancers from forgetting an idle connection (AWS's do
// after 350 seconds).
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// errProtocol stands for a panic of the driver, which trusts the lengths that a server sends.
var errProtocol = errors.New("the server does not speak PostgreSQL's protocol")

// errConnecting says that a caller's time was over before there was a connection.
var errConnecting = errors.New("connecting")

// connector does what pgdriver's leaves out. The timeout covers the whole of connecting, not only the dialing, and what was dialed
// is closed when the rest fails. And connecting outlives a caller who cannot wait for its end; whoever comes next takes it
// over. Without that, clients in a hurry would never get through to a server that is overloaded by nothing but their connecting:
// each would have it begin anew.
type connector struct {
	*pgdriver.Connector

	timeout time.Duration
	open    context.Context //nolint:containedctx // ends with the pool
	end     context.CancelFunc

	mu   sync.Mutex
	left []*attempt // without a caller, the oldest first. These and the pool's are never more than PoolConfig.MaxConns
}

// attempt is one connection in the making, or made.
type attempt struct {
	done chan struct{} // closed when conn and err are set
	conn driver.Conn
	err  error
}

func newConnector(t *target, pool PoolConfig) *connector {
	c := &connector{Connector: pgdriver.NewConnector(driverOption(t, pool)), timeout: pool.ConnectTimeout}
	c.open, c.end = context.WithCancel(context.Background())
	return c
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	a := c.takeOver()
	if a == nil {
		a = c.begin()
	}
	select {
	case <-a.done:
		return a.conn, a.err
	case <-ctx.Done():
		c.leave(a)
		return nil, fmt.Errorf("%w: %w", errConnecting, ctx.Err())
	}
}

// Close implements io.Closer, for the end of the pool.
func (c *connector) Close() error {
	c.end()
	c.mu.Lock()
	left := c.left
	c.left = nil
	c.mu.Unlock()
	for _, a := range left {
		a.discard()
	}
	return nil
}

// takeOver returns the oldest attempt without a caller that may still be good for one, or nil.
func (c *connector) takeOver() *attempt {
	for {
		a := c.oldest()
		if a == nil || !a.isSpent() {
			return a
		}
		a.discard()
	}
}

func (c *connector) oldest() *attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.left) == 0 {
		return nil
	}
	a := c.left[0]
	c.left = slices.Delete(c.left, 0, 1)
	return a
}

// leave keeps an attempt for another caller, but not for longer than one may take.
func (c *connector) leave(a *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Err() != nil {
		go a.discard()
		return
	}
	c.left = append(c.left, a)
	time.AfterFunc(c.timeout, func() { c.forget(a) })
}

// forget discards an attempt that no one has taken over.
func (c *connector) forget(a *attempt) {
	c.mu.Lock()
	i := slices.Index(c.left, a)
	if i >= 0 {
		c.left = slices.Delete(c.left, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		a.discard()
	}
}

func (c *connector) begin() *attempt {
	a := &attempt{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.conn, a.err = c.connect(c.open)
	}()
	return a
}

// isSpent tells whether the attempt has failed, or has made a connection that the server has closed since.
func (a *attempt) isSpent() bool {
	select {
	case <-a.done:
	default:
		return false
	}
	conn, ok := a.conn.(*pgdriver.Conn)
	return a.err != nil || ok && !isSilent(conn)
}

// discard waits for the end of the attempt and closes what it has made.
func (a *attempt) discard() {
	<-a.done
	if a.err == nil {
		_ = a.conn.Close()
	}
}

func (c *connector) connect(ctx context.Context) (conn driver.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	d := &dialing{}
	defer func() {
		if recover() != nil {
			conn, err = nil, errProtocol
		}
		if !d.finish(err == nil) && err == nil {
			conn, err = nil, context.Cause(ctx)
		}
		err = explainConnect(ctx, err)
	}()
	return c.Connector.Connect(context.WithValue(ctx, dialingKey{}, d))
}

// explainConnect adds what the driver's error does not say: that it was ctx that ended, and what to do about a certificate.
func explainConnect(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	cause := ctx.Err()
	if errors.Is(err, os.ErrDeadlineExceeded) { // the socket's deadline passes a moment before that of ctx
		cause = context.DeadlineExceeded
	}
	if cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("connecting: %w (%w)", cause, err)
	}
	if hint := certificateHint(err); hint != "" {
		return fmt.Errorf("%w: %s", err, hint)
	}
	return err
}

// dialing is what one Connect has dialed.
type dialing struct {
	conn net.Conn
	stop func() bool
}

type dialingKey struct{}

// finish ends the watch over ctx, and closes the connection unless it is wanted. It is false if ctx has closed it already.
func (d *dialing) finish(wanted bool) bool {
	if d.conn == nil {
		return true
	}
	intact := d.stop()
	if !wanted {
		_ = d.conn.Close()
	}
	return intact
}

// dial is pgdriver's Dialer. The driver obeys the deadline of ctx by itself, but not its cancellation.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn = socket.New(conn)
	if d, ok := ctx.Value(dialingKey{}).(*dialing); ok {
		d.conn = conn
		d.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	}
	return conn, nil
}

// checkIdle is pgdriver's ResetSessionFunc: it finds out whether the server has hung up, or said anything, while the
// connection was idle. Either way nothing can be asked on it any more, and database/sql takes another one; without this, each
// connection that a restart of the server leaves behind would cost a caller an error.
//
// It looks at the bytes below TLS. Session tickets do not confuse it: a server sends them before its first answer, so they
// have been read with that.
func checkIdle(_ context.Context, conn *pgdriver.Conn) error {
	if !isSilent(conn) {
		return driver.ErrBadConn
	}
	return nil
}

func isSilent(conn *pgdriver.Conn) bool {
	netConn := conn.Conn()
	if wrapped, ok := netConn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		netConn = wrapped.NetConn()
	}
	return socket.IsSilent(netConn)
}
