//go:build !race && !msan && !asan && (amd64 || arm64)

package socket

import (
	"errors"
	"syscall"
	"unsafe"
)

// The descriptors do not block, so that none of these waits for anything but the kernel's own work.

func read(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))) //nolint:gosec // b is kept for the call
	return int(n), errno
}

// readTold is read, and tells the scheduler.
func readTold(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), b)
	errno, _ := errors.AsType[syscall.Errno](err)
	return n, errno
}

func write(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))) //nolint:gosec // b is kept for the call
	return int(n), errno
}

func peek(fd uintptr, b []byte) syscall.Errno {
	const flags = syscall.MSG_PEEK | syscall.MSG_DONTWAIT
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0) //nolint:gosec // likewise
	return errno
}
