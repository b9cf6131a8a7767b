//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Linger keeps the server for a while after its last user has gone, so that someone can look at what a failed test has left.
// It is a process that sleeps, and holds the pipe "users" open meanwhile.
func (s *Server) Linger(ctx context.Context, d time.Duration) error {
	fd, err := enter(s.folder)
	if err != nil {
		return fmt.Errorf("privatepg: keeping the server: %w", err)
	}
	pipe, err := inheritable(fd, usersPipe)
	if err != nil {
		_ = syscall.Close(fd)
		return fmt.Errorf("privatepg: keeping the server: %w", err)
	}
	defer pipe.Close()                                                                                //nolint:errcheck // the child has it
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "sleep", strconv.Itoa(int(d/time.Second))) //nolint:gosec // a number
	cmd.ExtraFiles = []*os.File{pipe}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C is not for it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("privatepg: keeping the server: %w", err)
	}
	return cmd.Process.Release()
}

// PasswordFile is where the password of a shared server is found, as JSON. Only this user can read it.
func (s *Server) PasswordFile() string { return filepath.Join(s.folder, stateFile) }
