//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package socket

import (
	"net"
	"sync"
	"syscall"
)

// IsSilent tells whether conn is open with nothing to read. What is not a socket is taken for silent. It goes through Control,
// not Read: Read fails at once when the read deadline of the last query has passed, which on an idle connection it has.
func IsSilent(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	l := looks.Get().(*look)
	defer looks.Put(l)
	return raw.Control(l.take) == nil && l.silent
}

// look is pooled with its method value, because every acquisition of a connection has one.
type look struct {
	b      [1]byte
	silent bool
	take   func(fd uintptr)
}

var looks = sync.Pool{New: func() any {
	l := &look{}
	l.take = func(fd uintptr) {
		errno := peek(fd, l.b[:])
		for errno == syscall.EINTR {
			errno = peek(fd, l.b[:])
		}
		l.silent = errno == syscall.EAGAIN // no error is either a byte or the end
	}
	return l
}}
