package repo

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo/internal/socket"
)

// keepAlive finds a peer that vanished without a word, and keeps load balancers from forgetting an idle connection (AWS's do
// after 350 seconds).
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// errProtocol stands for a panic of the driver, which trusts the lengths that a server sends.
var errProtocol = errors.New("the server does not speak PostgreSQL's protocol")

// connector does what pgdriver's leaves out: the timeout and the end of ctx cover the whole of connecting, not only the
// dialing, and what was dialed is closed when the rest fails.
type connector struct {
	*pgdriver.Connector

	timeout time.Duration
}

func newConnector(t *target, pool PoolConfig) *connector {
	return &connector{pgdriver.NewConnector(driverOption(t, pool)), pool.ConnectTimeout}
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (conn driver.Conn, err error) {
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
	netConn := conn.Conn()
	if wrapped, ok := netConn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		netConn = wrapped.NetConn()
	}
	if !socket.IsSilent(netConn) {
		return driver.ErrBadConn
	}
	return nil
}
