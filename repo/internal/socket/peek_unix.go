//go:build (linux && (race || msan || asan || !(amd64 || arm64))) || darwin || freebsd || netbsd || openbsd || dragonfly

package socket

import (
	"errors"
	"syscall"
)

func peek(fd uintptr, b []byte) syscall.Errno {
	_, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	errno, _ := errors.AsType[syscall.Errno](err)
	return errno
}
