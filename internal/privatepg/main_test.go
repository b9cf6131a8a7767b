//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/driver/pgdriver"
)

// childVariable says what this binary does as a child: start a server or join the shared one, say which, and wait for the
// end of its input.
const childVariable = "GPTOAUTH_PRIVATEPG_CHILD"

// goneWithin is how soon a server must be gone after its last user.
const goneWithin = 10 * time.Second

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		os.Exit(child(kind(role)))
	}
	os.Exit(run(m))
}

// run keeps to itself what the tests leave among the temporary files, a log of embedded-postgres for one.
func run(m *testing.M) int {
	temp, err := os.MkdirTemp("", "privatepg-test-")
	if err == nil {
		defer os.RemoveAll(temp)
		err = os.Setenv("TMPDIR", temp)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// said is what a child prints.
type said struct {
	Folder string `json:"folder"`
	URL    string `json:"url"`
}

func child(role kind) int {
	signal.Ignore(os.Interrupt) // the terminal's Ctrl-C is for programs that tidy up; this one is killed
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var s *Server
	var err error
	if role == ownKind {
		s, err = Start(ctx, Options{})
	} else {
		s, err = Shared(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(said{s.folder, s.URL("postgres")}); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// process is a child that uses a server.
type process struct {
	said

	t     testing.TB
	cmd   *exec.Cmd
	input io.Closer
	lines *bufio.Reader
	ended sync.Once
}

// launch starts a child whose servers are in a folder for temporary files of the test's own.
func launch(t testing.TB, temp string, role kind) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(role), "TMPDIR="+temp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, input: input, lines: bufio.NewReader(output)}
	t.Cleanup(p.kill)
	return p
}

// ready waits until the child has its server.
func (p *process) ready() *process {
	p.t.Helper()
	line, err := p.lines.ReadBytes('\n')
	require.NoError(p.t, err)
	require.NoError(p.t, json.Unmarshal(line, &p.said))
	return p
}

func (p *process) kill() {
	p.ended.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

// leave lets the child return from main, without a call of Stop.
func (p *process) leave() {
	p.t.Helper()
	p.ended.Do(func() {
		require.NoError(p.t, p.input.Close())
		require.NoError(p.t, p.cmd.Wait())
	})
}

// newTemp makes a folder for temporary files that an unprivileged user can reach, unlike t.TempDir of root, with a short name,
// for the sake of sockets. When the test ends nothing may be left in it.
func newTemp(t testing.TB) string {
	t.Helper()
	temp, err := os.MkdirTemp("/tmp", "pg-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(temp, 0o711))
	t.Cleanup(func() {
		requireGone(t, temp)
		require.NoError(t, os.RemoveAll(temp))
	})
	return temp
}

func homeIn(t testing.TB, temp string) home {
	t.Helper()
	as, err := serverAccount()
	require.NoError(t, err)
	h, err := openHome(temp, as)
	require.NoError(t, err)
	return h
}

// servers lists the folders of all servers.
func servers(t testing.TB, temp string) []string {
	t.Helper()
	h := homeIn(t, temp)
	return append(h.folders(ownKind), h.folders(sharedKind)...)
}

// requireGone: of all servers neither a folder nor a process is left, soon.
func requireGone(t testing.TB, temp string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(servers(t, temp)) == 0 && len(pids(t, temp)) == 0 },
		goneWithin, 20*time.Millisecond)
}

// pids lists the living processes whose arguments name a server below the folder: postmasters, keepers and initdb.
func pids(t testing.TB, temp string) []int {
	t.Helper()
	return pidsWith(t, temp+"/gptoauth-pg-")
}

func pidsWith(t testing.TB, arguments string) []int {
	t.Helper()
	output, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "stat=", "-o", "args=").Output()
	require.NoError(t, err)
	var found []int
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && !strings.HasPrefix(fields[1], "Z") && strings.Contains(line, arguments) {
			pid, err := strconv.Atoi(fields[0])
			require.NoError(t, err)
			found = append(found, pid)
		}
	}
	return found
}

// killKeeper kills the shell that keeps a server, not the postmaster.
func killKeeper(t testing.TB, folder string) {
	t.Helper()
	found := pidsWith(t, "gptoauth-pg-keeper "+folder)
	require.Len(t, found, 1)
	require.NoError(t, syscall.Kill(found[0], syscall.SIGKILL))
	require.Eventually(t, func() bool { return !kept(folder) }, goneWithin, 5*time.Millisecond)
}

// bystander starts a process that has nothing to do with any server, as the user that they run as.
func bystander(t testing.TB, as account) (pid int, lives func() bool) {
	t.Helper()
	cmd := as.command(context.WithoutCancel(t.Context()), "/", "sleep", "600")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	return cmd.Process.Pid, func() bool {
		ended, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WNOHANG, nil)
		return err == nil && ended == 0
	}
}

// pretendPID writes the lock file of a postmaster that was, with a number that is another process's now.
func pretendPID(t testing.TB, folder string, pid int) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "data"), 0o755))
	content := []byte(strconv.Itoa(pid) + "\n")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "data", "postmaster.pid"), content, 0o644))
}

func startIn(t testing.TB, temp string, settings map[string]string) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{DataRoot: temp, Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

// query returns what a query answers, as text.
func query(t testing.TB, text string, options ...pgdriver.Option) (string, error) {
	t.Helper()
	db := sql.OpenDB(pgdriver.NewConnector(options...))
	defer db.Close()
	var answer string
	err := db.QueryRowContext(t.Context(), text).Scan(&answer)
	return answer, err
}

func requireAnswer(t testing.TB, url, text, want string) {
	t.Helper()
	got, err := query(t, text, pgdriver.WithDSN(url+"?sslmode=disable"))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func overSocket(s *Server) []pgdriver.Option {
	return []pgdriver.Option{
		pgdriver.WithNetwork("unix"),
		pgdriver.WithAddr(filepath.Join(s.SocketDir(), ".s.PGSQL."+strconv.Itoa(s.Port()))),
		pgdriver.WithUser("postgres"), pgdriver.WithPassword(s.password), pgdriver.WithDatabase("postgres"),
		pgdriver.WithInsecure(true),
	}
}

func ownerOf(t testing.TB, pid int) int {
	t.Helper()
	output, err := exec.Command("ps", "-o", "uid=", "-p", strconv.Itoa(pid)).Output()
	require.NoError(t, err)
	uid, err := strconv.Atoi(strings.TrimSpace(string(output)))
	require.NoError(t, err)
	return uid
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
