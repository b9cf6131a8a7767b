//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is a PostgreSQL server in a folder of its own.
type Server struct {
	folder   string
	binDir   string
	port     int
	password string
	account  account
	shared   bool

	mu   sync.Mutex
	user int // keeps the server, see enter; -1 once left
}

// URL names a database of the server, with the password of its superuser.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme: "postgres",
		User:   url.UserPassword("postgres", s.password),
		Host:   net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:   "/" + database,
	}
	return u.String()
}

// Port is the port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// SocketDir is the folder of the Unix socket.
func (s *Server) SocketDir() string { return s.folder }

// DataDir is the data directory. If this process is root, it belongs to the unprivileged user the server runs as.
func (s *Server) DataDir() string { return filepath.Join(s.folder, "data") }

// LogFile is what the server logs into.
func (s *Server) LogFile() string { return filepath.Join(s.folder, "log") }

// BinDir is the folder of the server's programs.
func (s *Server) BinDir() string { return s.binDir }

// Stop shuts the server down in the mode "fast" and removes its folder. The one of [Shared] it merely leaves to the others.
// Stopping twice is fine.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.user < 0 {
		return nil
	}
	if s.shared {
		s.leave()
		return nil
	}
	err := s.shutDown(ctx, "fast")
	s.leave() // if it would not shut down, the keeper insists
	if err == nil {
		err = wait(ctx, s.removed)
	}
	if err != nil {
		return fmt.Errorf("privatepg: stopping the server: %w", err)
	}
	return nil
}

// StopImmediate lets all processes of the server end at once, without a checkpoint: a crash that leaves no process behind.
// The data stays, for [Server.StartAgain].
func (s *Server) StopImmediate(ctx context.Context) error {
	if err := s.shutDown(ctx, "immediate"); err != nil {
		return fmt.Errorf("privatepg: stopping the server at once: %w", err)
	}
	return nil
}

// Kill kills the postmaster with SIGKILL and waits until its other processes have noticed. The data stays, for
// [Server.StartAgain].
func (s *Server) Kill() error {
	if !running(s.folder) {
		return nil
	}
	err := s.killPostmaster()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = s.ended(ctx)
	}
	if err != nil {
		return fmt.Errorf("privatepg: killing the server: %w", err)
	}
	return nil
}

// StartAgain starts a server that was stopped immediately or killed, with the same data, port and password.
func (s *Server) StartAgain(ctx context.Context) error {
	if err := s.startPostmaster(ctx); err != nil {
		return fmt.Errorf("privatepg: starting the server again: %w", err)
	}
	return nil
}

func (s *Server) killPostmaster() error {
	content, err := os.ReadFile(s.pidFile())
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid <= 1 {
		return errors.New("postmaster.pid names no process")
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (s *Server) shutDown(ctx context.Context, mode string) error {
	if !running(s.folder) {
		return nil
	}
	if err := s.run(ctx, "pg_ctl", "stop", "--pgdata="+s.DataDir(), "--mode="+mode, "--wait", "--timeout=300", "--silent"); err != nil {
		return err
	}
	return s.ended(ctx)
}

// ended waits for the last process of the server. A killed one leaves its number behind in lock files. They are removed, for
// the number may be another process's by now, or one that has ended and is not buried yet.
func (s *Server) ended(ctx context.Context) error {
	if err := wait(ctx, func() bool { return !running(s.folder) }); err != nil {
		return err
	}
	socketLock := filepath.Join(s.SocketDir(), fmt.Sprintf(".s.PGSQL.%d.lock", s.port))
	for _, file := range []string{s.pidFile(), socketLock} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// leave makes this process no user of the server any more.
func (s *Server) leave() {
	_ = syscall.Close(s.user)
	s.user = -1
}

func (s *Server) removed() bool {
	_, err := os.Lstat(s.folder)
	return errors.Is(err, fs.ErrNotExist)
}

func (s *Server) pidFile() string { return filepath.Join(s.DataDir(), "postmaster.pid") }

// endOfLog is the last lines that the server logged, for an error.
func (s *Server) endOfLog() string {
	content, err := os.ReadFile(s.LogFile())
	if err != nil {
		return "(no log)"
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
