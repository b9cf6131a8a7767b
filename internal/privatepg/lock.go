//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// lock is held by one process at a time, and freed by the kernel should that be killed.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	unlock = func() { _ = syscall.Close(fd) }
	err = wait(ctx, func() bool { return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) == nil })
	if err != nil {
		unlock()
		return nil, fmt.Errorf("waiting for %s: %w", filepath.Base(path), err)
	}
	return unlock, nil
}

// wait asks until the answer is yes. Nothing that it is used for could tell by itself.
func wait(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}
