package repo

import (
	"bufio"
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const waitLimit = 10 * time.Second

// fakeServer runs serve with each connection to a port of its own, and returns a DSN for it.
func fakeServer(t *testing.T, serve func(conn net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(waitLimit))
				serve(conn)
			}()
		}
	}()
	return "postgres://ann:hunter2@" + listener.Addr().String() + "/auth"
}

// hasClosed tells whether the client hangs up.
func hasClosed(conn net.Conn) bool {
	_, err := io.Copy(io.Discard, conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestOpen_ClosesWhatItDialed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		want   string
	}{
		"WrongPassword":    {"E\x00\x00\x00\x37SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00", "SQLSTATE=28P01"},
		"UnknownMechanism": {"R\x00\x00\x00\x0c\x00\x00\x00\x0aXYZ\x00\x00", "SASL"},
		"NotPostgres":      {"HTTP/1.1 400 Bad Request\r\n\r\n", "unexpected startup message"},
		// The driver panics at these.
		"NegativeLength":  {"S\xff\xff\xff\xff", errProtocol.Error()},
		"NoSASLMechanism": {"R\x00\x00\x00\x09\x00\x00\x00\x0a\x00", errProtocol.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan bool, 8)
			dsn := fakeServer(t, func(conn net.Conn) {
				_, _ = conn.Write([]byte(test.answer))
				closed <- hasClosed(conn)
			})
			_, err := Open(t.Context(), dsn, PoolConfig{})
			require.ErrorContains(t, err, "repo: Open: ")
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), hidden)
			require.True(t, <-closed)
		})
	}
}

func TestOpen_TimeoutCoversTheWholeOfConnecting(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]string{"Startup": "disable", "TLS": "require"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan bool, 8)
			dsn := fakeServer(t, func(conn net.Conn) { closed <- hasClosed(conn) }) // says nothing
			_, err := Open(t.Context(), dsn+"?sslmode="+mode, PoolConfig{ConnectTimeout: 50 * time.Millisecond})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, <-closed)
		})
	}
}

func TestOpen_ObeysCancellation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan bool, 8)
	dsn := fakeServer(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 8))
		cancel()
		closed <- hasClosed(conn)
	})
	_, err := Open(ctx, dsn, PoolConfig{ConnectTimeout: waitLimit, ReadTimeout: waitLimit})
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, <-closed)
}

// slowServer lets no one in before it may, and counts who came.
func slowServer(t *testing.T) (dsn string, letIn func(), came *atomic.Int32, closed chan bool) {
	t.Helper()
	gate := make(chan struct{})
	came, closed = &atomic.Int32{}, make(chan bool, 8)
	dsn = fakeServer(t, func(conn net.Conn) {
		came.Add(1)
		<-gate
		talk(conn)
		closed <- hasClosed(conn)
	})
	letIn = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(letIn)
	return dsn, letIn, came, closed
}

func openConnector(t *testing.T, dsn string, pool PoolConfig) (*connector, *sql.DB) {
	t.Helper()
	target, err := parseDSN(dsn, fakeEnvironment(nil))
	require.NoError(t, err)
	pool, err = pool.withDefaults(target)
	require.NoError(t, err)
	c := newConnector(target, pool)
	db := sql.OpenDB(c)
	t.Cleanup(func() { _ = db.Close() })
	return c, db
}

// hurry is a call that does not wait until the server lets it in.
func hurry(t *testing.T, db *sql.DB, came *atomic.Int32) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for came.Load() == 0 && ctx.Err() == nil {
			<-time.After(time.Millisecond)
		}
		cancel()
	}()
	require.ErrorIs(t, db.PingContext(ctx), context.Canceled)
}

// TestConnector_AnotherTakesOver: or else callers in a hurry would never get through to a slow server.
func TestConnector_AnotherTakesOver(t *testing.T) {
	t.Parallel()
	t.Run("WhileConnecting", func(t *testing.T) {
		t.Parallel()
		dsn, letIn, came, _ := slowServer(t)
		_, db := openConnector(t, dsn, PoolConfig{ConnectTimeout: waitLimit})
		for range 5 {
			hurry(t, db, came)
		}
		letIn()
		require.NoError(t, db.PingContext(t.Context()))
		require.Equal(t, int32(1), came.Load(), "each caller connected anew")
	})
	t.Run("WhatIsMade", func(t *testing.T) {
		t.Parallel()
		dsn, letIn, came, _ := slowServer(t)
		c, db := openConnector(t, dsn, PoolConfig{ConnectTimeout: waitLimit})
		hurry(t, db, came)
		letIn()
		<-c.left[0].done
		require.NoError(t, db.PingContext(t.Context()))
		require.Equal(t, int32(1), came.Load())
	})
}

func TestConnector_NoOneTakesOver(t *testing.T) {
	t.Parallel()
	t.Run("WhatTheServerHasClosed", func(t *testing.T) {
		t.Parallel()
		var came atomic.Int32
		gate := make(chan struct{})
		dsn := fakeServer(t, func(conn net.Conn) {
			if came.Add(1) > 1 {
				talk(conn)
				return
			}
			<-gate
			_ = readMessage(conn)
			_, _ = io.WriteString(conn, "R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I")
		})
		c, db := openConnector(t, dsn, PoolConfig{ConnectTimeout: waitLimit})
		hurry(t, db, &came)
		close(gate)
		a := c.left[0]
		<-a.done
		require.NoError(t, a.err)
		require.Eventually(t, a.isSpent, waitLimit, time.Millisecond)
		require.NoError(t, db.PingContext(t.Context()))
		require.Equal(t, int32(2), came.Load())
	})
	t.Run("ForAsLongAsConnectingMayTake", func(t *testing.T) {
		t.Parallel()
		dsn, letIn, came, closed := slowServer(t)
		c, db := openConnector(t, dsn, PoolConfig{ConnectTimeout: 200 * time.Millisecond})
		hurry(t, db, came)
		letIn()
		require.True(t, <-closed)
		require.Eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.left) == 0 }, waitLimit, time.Millisecond)
	})
	t.Run("AfterThePoolIsClosed", func(t *testing.T) {
		t.Parallel()
		dsn, letIn, came, closed := slowServer(t)
		c, db := openConnector(t, dsn, PoolConfig{ConnectTimeout: waitLimit})
		hurry(t, db, came)
		a := c.left[0]
		require.NoError(t, db.Close())
		<-a.done
		require.Error(t, a.err)
		letIn()
		require.True(t, <-closed)
	})
}

// talk is just enough of a server: whoever comes is let in, and each query is answered with nothing.
func talk(conn io.ReadWriter) {
	const ready = "Z\x00\x00\x00\x05I"
	r := bufio.NewReader(conn)
	if readMessage(r) != nil { // startup
		return
	}
	answer := "R\x00\x00\x00\x08\x00\x00\x00\x00" + ready
	for {
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
		if _, err := r.ReadByte(); err != nil || readMessage(r) != nil {
			return
		}
		answer = "C\x00\x00\x00\x0dSELECT 0\x00" + ready
	}
}

func readMessage(r io.Reader) error {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(length[:]))-4)
	return err
}

// TestCheckIdle_SessionTickets: Go's TLS 1.3 server sends tickets after the handshake, as poolers may.
func TestCheckIdle_SessionTickets(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(nil) // for its certificate
	web.StartTLS()
	defer web.Close()
	config := &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS13}

	var accepted, tickets atomic.Int32
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		tickets.Add(1)
		return config.EncryptTicket(state, session)
	}
	dsn := fakeServer(t, func(conn net.Conn) {
		accepted.Add(1)
		if readMessage(conn) != nil { // SSLRequest
			return
		}
		_, _ = io.WriteString(conn, "S")
		talk(tls.Server(conn, config))
	})
	target, err := parseDSN(dsn+"?sslmode=require", fakeEnvironment(nil))
	require.NoError(t, err)
	target.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1) // else Go's client asks servers not to send any
	pool, err := PoolConfig{}.withDefaults(target)
	require.NoError(t, err)
	db := sql.OpenDB(newConnector(target, pool))
	defer db.Close()
	for range 20 {
		_, err := db.ExecContext(t.Context(), "SELECT")
		require.NoError(t, err)
	}
	require.Positive(t, tickets.Load(), "the server sends no tickets")
	require.Equal(t, int32(1), accepted.Load(), "a connection was taken for dead")
}

// TestConnector_IsPgdriver: the store asks for the driver's type before it sends two statements in one message.
func TestConnector_IsPgdriver(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), fakeServer(t, func(conn net.Conn) { talk(conn) }), PoolConfig{})
	require.NoError(t, err)
	defer db.Close()
	require.True(t, newConn(db, Config{}).bounds)
	require.Implements(t, (*driver.Connector)(nil), &connector{})
}
