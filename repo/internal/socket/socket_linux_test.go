package socket

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

// TestIsAConnection holds what package nettest expects of each net.Conn: reading, writing, deadlines, closing, many at once.
func TestIsAConnection(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				c1, c2 = pair(t)
				return New(c1), New(c2), func() { _ = errors.Join(c1.Close(), c2.Close()) }, nil
			})
		})
	}
}

// A write that does not fit goes on when the other side has read, and what has arrived is what was sent.
func TestWritesMoreThanFits(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, server := pair(t)
			sent := make([]byte, 8<<20)
			_, _ = rand.Read(sent)
			go func() {
				n, err := New(conn).Write(sent)
				if n != len(sent) || err != nil {
					t.Error(n, err)
				}
				_ = conn.Close()
			}()
			got, err := io.ReadAll(New(server))
			require.NoError(t, err)
			require.True(t, bytes.Equal(sent, got))
		})
	}
}

// Errors are those of package net, word for word: the store and the driver judge by them what became of a call.
func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	t.Parallel()
	buffer := make([]byte, 64<<10)
	read := func(conn net.Conn) error { _, err := conn.Read(buffer[:10]); return err }
	fill := func(conn net.Conn) (err error) {
		for err == nil {
			_, err = conn.Write(buffer)
		}
		return err
	}
	soon := func() time.Time { return time.Now().Add(20 * time.Millisecond) }
	for name, test := range map[string]struct {
		before func(t *testing.T, conn, server net.Conn)
		do     func(conn net.Conn) error
		is     error
	}{
		"End":           {func(_ *testing.T, _, server net.Conn) { _ = server.Close() }, read, io.EOF},
		"ReadAfterEnd":  {func(_ *testing.T, conn, _ net.Conn) { _ = conn.Close() }, read, net.ErrClosed},
		"WriteAfterEnd": {func(_ *testing.T, conn, _ net.Conn) { _ = conn.Close() }, fill, net.ErrClosed},
		"ReadTimeout":   {func(_ *testing.T, conn, _ net.Conn) { _ = conn.SetDeadline(soon()) }, read, os.ErrDeadlineExceeded},
		"WriteTimeout":  {func(_ *testing.T, conn, _ net.Conn) { _ = conn.SetDeadline(soon()) }, fill, os.ErrDeadlineExceeded},
		"PastDeadline":  {func(_ *testing.T, conn, _ net.Conn) { _ = conn.SetDeadline(time.Unix(1, 0)) }, read, os.ErrDeadlineExceeded},
		"ClosedMeanwhile": {func(_ *testing.T, conn, _ net.Conn) {
			time.AfterFunc(20*time.Millisecond, func() { _ = conn.Close() })
		}, read, net.ErrClosed},
		"Reset": {func(t *testing.T, _, server net.Conn) {
			require.NoError(t, server.(*net.TCPConn).SetLinger(0))
			_ = server.Close()
		}, read, syscall.ECONNRESET},
		"WriteAfterReset": {func(t *testing.T, conn, server net.Conn) {
			require.NoError(t, server.(*net.TCPConn).SetLinger(0))
			_ = server.Close()
			require.ErrorIs(t, read(conn), syscall.ECONNRESET)
		}, fill, syscall.EPIPE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[bool]error{}
			for _, ours := range []bool{false, true} {
				conn, server := tcpPair(t)
				test.before(t, conn, server)
				tested := conn
				if ours {
					tested = New(conn)
				}
				got[ours] = anonymous(test.do(tested))
				require.ErrorIs(t, got[ours], test.is)
			}
			require.Equal(t, got[false], got[true])
		})
	}
}

// The driver takes a failed write of nothing for one that may be repeated on another connection.
func TestAFailedWriteTellsHowMuchWasSent(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inside, server := pair(t)
			conn := New(inside)
			sent := make([]byte, 32<<20) // no one reads
			require.NoError(t, conn.SetWriteDeadline(time.Now().Add(time.Second)))
			n, err := conn.Write(sent)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Positive(t, n)
			require.NoError(t, conn.Close())
			got, err := io.ReadAll(server)
			require.NoError(t, err)
			require.Len(t, got, n)
		})
	}
}

// anonymous leaves out the ports.
func anonymous(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		op.Source, op.Addr = nil, nil
	}
	return err
}

// A pooled transfer must not keep what was read, which may be anyone's.
func TestNothingIsKept(t *testing.T) { // before those that run at the same time, because it looks at what is in the pool
	tr := newTransfer([]byte("secret"))
	tr.free()
	require.Nil(t, tr.b)
}

func TestAllocatesNothing(t *testing.T) {
	conn, server := tcpPair(t)
	conn, server = New(conn), New(server)
	message := make([]byte, 100)
	fewest := 1000.0
	for range 100 { // the race detector makes pools forget
		fewest = min(fewest, testing.AllocsPerRun(1, func() {
			_, err := conn.Write(message)
			require.NoError(t, err)
			_, err = io.ReadFull(server, message)
			require.NoError(t, err)
		}))
	}
	require.Zero(t, fewest)
}
