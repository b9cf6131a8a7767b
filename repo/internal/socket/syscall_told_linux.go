//go:build race || !(amd64 || arm64)

package socket

import (
	"errors"
	"syscall"
)

// Package syscall tells the scheduler, and the race detector, which knows by it what is read and written, and that what was
// written comes before what is read. Not every architecture has a system call for each of these.

func read(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), b)
	return n, errnoOf(err)
}

func write(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Write(int(fd), b)
	return n, errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	errno, _ := errors.AsType[syscall.Errno](err)
	return errno
}
