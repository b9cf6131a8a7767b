//go:build race || msan || asan || !(amd64 || arm64)

package socket

import (
	"errors"
	"syscall"
)

// Package syscall tells the scheduler, and the sanitizers: by it the race detector knows that what was written comes before what
// is read, and the memory sanitizer what has been filled. Not every architecture has a system call for each of these.

func read(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), b)
	return n, errnoOf(err)
}

func readTold(fd uintptr, b []byte) (int, syscall.Errno) { return read(fd, b) }

func write(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Write(int(fd), b)
	return n, errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	errno, _ := errors.AsType[syscall.Errno](err)
	return errno
}
