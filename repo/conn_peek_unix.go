//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package repo

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// isSilent tells whether conn is open with nothing to read. It goes through Control, not Read: Read fails at once when the
// read deadline of the last query has passed, which on an idle connection it has.
func isSilent(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	p := peeks.Get().(*peek)
	defer peeks.Put(p)
	return raw.Control(p.look) == nil && p.silent
}

// peek is pooled with its method value, because every acquisition of a connection has one.
type peek struct {
	silent bool
	look   func(fd uintptr)
}

var peeks = sync.Pool{New: func() any {
	p := &peek{}
	p.look = func(fd uintptr) {
		var b [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			// No error is either a byte or the end.
			p.silent = errors.Is(err, syscall.EAGAIN)
			return
		}
	}
	return p
}}
