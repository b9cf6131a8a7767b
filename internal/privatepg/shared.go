//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// sharedGrace is how long a shared server waits for its next user: go test runs one package after the other.
const sharedGrace = 4 * time.Second

// stateFile in the folder of a shared server says how to use it, once it can be used.
const stateFile = "state.json"

type state struct {
	BinDir   string `json:"bin_dir"`
	Port     int    `json:"port"`
	Password string `json:"password"`
}

// Shared joins the server that the test processes of this user share, and starts it if there is none. It stops a few seconds
// after the last of them has ended or has called [Server.Stop].
func Shared(ctx context.Context) (*Server, error) {
	m, err := newMachine(ctx, "")
	if err == nil {
		var s *Server
		if s, err = m.sharedServer(ctx); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("privatepg: sharing a server: %w", err)
}

func (m *machine) sharedServer(ctx context.Context) (*Server, error) {
	unlock, err := lock(ctx, filepath.Join(m.home.path, "shared.lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	for _, folder := range m.home.folders(sharedKind) {
		if s := m.join(ctx, folder); s != nil {
			return s, nil
		}
	}
	s, err := m.start(ctx, sharedKind, nil)
	if err != nil {
		return nil, err
	}
	if err := s.publish(); err != nil {
		s.leave()
		return nil, err
	}
	return s, nil
}

// join returns nil if the server cannot be used, whatever the reason: it has not been started to the end, is about to stop,
// is dead, or has lost its keeper.
func (m *machine) join(ctx context.Context, folder string) *Server {
	user, err := enter(folder)
	if err != nil {
		return nil
	}
	s := &Server{folder: folder, account: m.home.account, shared: true, user: user}
	if !s.isOpen() || !s.readState() || !s.accepts(ctx) {
		s.leave()
		return nil
	}
	return s
}

// isOpen is asked after entering: a keeper that closes the server later sees that someone has come.
func (s *Server) isOpen() bool {
	_, err := os.Lstat(filepath.Join(s.folder, closedFile))
	return errors.Is(err, fs.ErrNotExist)
}

func (s *Server) accepts(ctx context.Context) bool {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return running(s.folder)
}

func (s *Server) readState() bool {
	file, err := os.OpenFile(filepath.Join(s.folder, stateFile), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // it was only read
	var known state
	if err := json.NewDecoder(file).Decode(&known); err != nil {
		return false
	}
	s.binDir, s.port, s.password = known.BinDir, known.Port, known.Password
	return true
}

func (s *Server) publish() error {
	content, err := json.Marshal(state{s.binDir, s.port, s.password}) //nolint:gosec // into a file of this user only
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.folder, stateFile), content, 0o600)
}
