//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package repo

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIsSilent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		serve func(conn net.Conn)
		want  bool
	}{
		"Silent":   {func(conn net.Conn) { hasClosed(conn) }, true},
		"HangsUp":  {func(net.Conn) {}, false},
		"Speaks":   {func(conn net.Conn) { _, _ = io.WriteString(conn, "N"); hasClosed(conn) }, false},
		"LastWord": {func(conn net.Conn) { _, _ = io.WriteString(conn, "E") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := fakeServer(t, test.serve)
			address := dsn[strings.LastIndexByte(dsn, '@')+1 : strings.LastIndexByte(dsn, '/')]
			conn, err := net.Dial("tcp", address)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(-time.Hour)), "as a query long ago left it")
			if test.want {
				require.Never(t, func() bool { return !isSilent(conn) }, 100*time.Millisecond, 10*time.Millisecond)
				return
			}
			require.Eventually(t, func() bool { return !isSilent(conn) }, waitLimit, time.Millisecond)
		})
	}
	t.Run("ClosedHere", func(t *testing.T) {
		t.Parallel()
		dsn := fakeServer(t, func(conn net.Conn) { hasClosed(conn) })
		conn, err := net.Dial("tcp", dsn[strings.LastIndexByte(dsn, '@')+1:strings.LastIndexByte(dsn, '/')])
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		require.False(t, isSilent(conn))
	})
}

func BenchmarkIsSilent(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(b, err)
	defer conn.Close()
	b.ReportAllocs()
	for b.Loop() {
		if !isSilent(conn) {
			b.Fatal("not silent")
		}
	}
}
