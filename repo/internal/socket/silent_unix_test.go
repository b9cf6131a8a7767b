//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package socket

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const waitLimit = 10 * time.Second

func TestIsSilent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		serve func(t *testing.T, conn net.Conn)
		want  bool
	}{
		"Silent":   {func(*testing.T, net.Conn) {}, true},
		"HangsUp":  {func(t *testing.T, conn net.Conn) { require.NoError(t, conn.Close()) }, false},
		"Speaks":   {func(t *testing.T, conn net.Conn) { say(t, conn) }, false},
		"LastWord": {func(t *testing.T, conn net.Conn) { say(t, conn); require.NoError(t, conn.Close()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, server := tcpPair(t)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(-time.Hour)), "as a query long ago left it")
			test.serve(t, server)
			for _, conn := range []net.Conn{conn, New(conn)} {
				if test.want {
					require.Never(t, func() bool { return !IsSilent(conn) }, 100*time.Millisecond, 10*time.Millisecond)
				} else {
					require.Eventually(t, func() bool { return !IsSilent(conn) }, waitLimit, time.Millisecond)
				}
			}
		})
	}
	t.Run("ClosedHere", func(t *testing.T) {
		t.Parallel()
		conn, _ := tcpPair(t)
		require.NoError(t, conn.Close())
		require.False(t, IsSilent(conn))
		require.False(t, IsSilent(New(conn)))
	})
}

func say(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.WriteString(conn, "N")
	require.NoError(t, err)
}

func BenchmarkIsSilent(b *testing.B) {
	conn, _ := tcpPair(b)
	b.ReportAllocs()
	for b.Loop() {
		if !IsSilent(conn) {
			b.Fatal("not silent")
		}
	}
}
