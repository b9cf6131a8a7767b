//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what a server is started on.
type machine struct {
	home   home
	finder finder
	ports  func() (int, error)
}

func newMachine(ctx context.Context, dataRoot string) (*machine, error) {
	if dataRoot == "" {
		dataRoot = os.TempDir()
	}
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	h, err := openHome(dataRoot, as)
	if err != nil {
		return nil, err
	}
	return &machine{h, newFinder(ctx), freePort}, nil
}

// Start starts a server of the caller's own. It ends with [Server.Stop], or soon after this process.
func Start(ctx context.Context, options Options) (*Server, error) {
	m, err := newMachine(ctx, options.DataRoot)
	if err == nil {
		var s *Server
		if s, err = m.start(ctx, ownKind, options.Settings); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("privatepg: starting a server: %w", err)
}

// start tries again if someone else takes the port first.
func (m *machine) start(ctx context.Context, kind kind, settings map[string]string) (*Server, error) {
	binDir, err := m.finder.find(ctx, m.home.account)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		s := &Server{binDir: binDir, password: rand.Text(), account: m.home.account, shared: kind == sharedKind, user: -1}
		if s.port, err = m.ports(); err != nil {
			return nil, err
		}
		if s.folder, s.user, err = m.home.newFolder(ctx, kind); err != nil {
			return nil, err
		}
		if err = s.create(ctx, settings); err == nil {
			return s, nil
		}
		s.leave() // and the keeper clears away what there is
		if attempt == 3 || isFree(s.port) {
			return nil, err
		}
	}
}

// create makes the database cluster in the server's folder and starts it.
func (s *Server) create(ctx context.Context, settings map[string]string) error {
	passwordFile := filepath.Join(s.folder, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password), 0o600); err != nil {
		return err
	}
	if err := s.account.own(passwordFile); err != nil {
		return err
	}
	err := s.run(ctx, "initdb", "--pgdata="+s.DataDir(), "--username=postgres", "--pwfile="+passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	if err := os.Remove(passwordFile); err != nil {
		return err
	}
	if err := s.configure(settings); err != nil {
		return err
	}
	return s.startPostmaster(ctx)
}

func (s *Server) configure(settings map[string]string) error {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": s.SocketDir(),
		"max_connections":         "300",
		"fsync":                   "off",
	}
	maps.Copy(all, settings)
	all["port"] = strconv.Itoa(s.port)

	file, err := os.OpenFile(filepath.Join(s.DataDir(), "postgresql.conf"), os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // a failed write has been seen
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := strings.ReplaceAll(strings.ReplaceAll(all[name], `\`, `\\`), "'", "''")
		if _, err := fmt.Fprintf(file, "%s = '%s'\n", name, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) startPostmaster(ctx context.Context) error {
	err := s.run(ctx, "pg_ctl", "start", "--pgdata="+s.DataDir(), "--log="+s.LogFile(), "--wait", "--timeout=300", "--silent")
	if err != nil {
		return fmt.Errorf("%w; the end of its log:\n%s", err, s.endOfLog())
	}
	return nil
}

// run runs one of PostgreSQL's programs. Whatever it starts counts as the server, as the pipe shows.
func (s *Server) run(ctx context.Context, program string, args ...string) error {
	fd, err := openWriter(s.folder, serverPipe)
	if err != nil {
		return fmt.Errorf("the keeper of the server is gone: %w", err)
	}
	pipe, err := inheritable(fd, serverPipe)
	if err != nil {
		_ = syscall.Close(fd)
		return err
	}
	defer pipe.Close() //nolint:errcheck // nothing was written

	cmd := s.account.command(ctx, s.folder, filepath.Join(s.binDir, program), args...)
	cmd.ExtraFiles = append(cmd.ExtraFiles, pipe)
	cmd.WaitDelay = 5 * time.Second // killed by the context, it may leave a child that has its output open
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", program, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(output))
	}
	return nil
}

// freePort chooses one below those that connections leaving the machine take, so that it stays free across a restart.
func freePort() (int, error) {
	const first, last = 20000, 32767
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(last-first+1))
		if err != nil {
			return 0, err
		}
		if port := first + int(n.Int64()); isFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("found no free port from %d to %d", first, last)
}

func isFree(port int) bool {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	return listener.Close() == nil
}
