package socket

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// tcpPair is both ends of a connection, as package net makes them.
func tcpPair(tb testing.TB) (conn, server net.Conn) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	return pair(tb, listener)
}

func unixPair(tb testing.TB) (conn, server net.Conn) {
	tb.Helper()
	folder, err := os.MkdirTemp("", "s") // a test's own may have a name that is too long
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(folder) })
	listener, err := net.Listen("unix", filepath.Join(folder, "s"))
	require.NoError(tb, err)
	return pair(tb, listener)
}

func pair(tb testing.TB, listener net.Listener) (conn, server net.Conn) {
	tb.Helper()
	defer listener.Close()
	conn, err := net.Dial(listener.Addr().Network(), listener.Addr().String())
	require.NoError(tb, err)
	server, err = listener.Accept()
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = errors.Join(conn.Close(), server.Close()) })
	return conn, server
}

var pairs = map[string]func(tb testing.TB) (conn, server net.Conn){"TCP": tcpPair, "Unix": unixPair}
