//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/driver/pgdriver"
)

func TestStart_AnswersAndLeavesNothing(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	s := startIn(t, temp, map[string]string{"cluster_name": `it's \ quoted`, "fsync": "on"})

	requireAnswer(t, s.URL("postgres"), "SELECT current_user::text", "postgres")
	requireAnswer(t, s.URL("template1"), "SHOW cluster_name", `it's \ quoted`)
	requireAnswer(t, s.URL("postgres"), "SHOW fsync", "on")
	requireAnswer(t, s.URL("postgres"), "SHOW max_connections", "300")
	requireAnswer(t, s.URL("postgres"), "SHOW server_encoding", "UTF8")
	requireAnswer(t, s.URL("postgres"), "SHOW data_directory", s.DataDir())
	answer, err := query(t, "SHOW port", overSocket(s)...)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(s.Port()), answer)
	require.FileExists(t, s.LogFile())
	require.FileExists(t, filepath.Join(s.BinDir(), "postgres"))

	require.NotEmpty(t, pids(t, temp), "else the look for processes sees none")
	require.NoError(t, s.Stop(t.Context()))
	require.Empty(t, servers(t, temp))
	require.False(t, running(s.folder))
	require.NoError(t, s.Stop(t.Context()), "stopping twice")
}

func TestStart_AsksForThePassword(t *testing.T) {
	t.Parallel()
	s := startIn(t, newTemp(t), nil)
	for name, options := range map[string][]pgdriver.Option{
		"TCP":    {pgdriver.WithDSN(s.URL("postgres") + "?sslmode=disable")},
		"Socket": overSocket(s),
	} {
		_, err := query(t, "SHOW port", append(options, pgdriver.WithPassword("guess"))...)
		var refused pgdriver.Error
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, "28P01", refused.Field('C'), name)
	}
}

func TestStart_NeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	startIn(t, temp, nil)
	as, err := serverAccount()
	require.NoError(t, err)
	require.NotZero(t, as.uid, "the server's account")
	found := pids(t, temp)
	require.GreaterOrEqual(t, len(found), 2, "the postmaster and the keeper")
	for _, pid := range found {
		require.Equal(t, as.uid, ownerOf(t, pid))
	}
}

func TestStart_ErrorShowsTheLog(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	_, err := Start(t.Context(), Options{DataRoot: temp, Settings: map[string]string{"shared_preload_libraries": "no_such_library"}})
	require.ErrorContains(t, err, "privatepg: starting a server: pg_ctl: ")
	require.ErrorContains(t, err, `could not access file "no_such_library"`)
	requireGone(t, temp)
}

func TestStart_RefusesAFolderThatIsNotOurs(t *testing.T) {
	t.Parallel()
	temp, elsewhere := newTemp(t), t.TempDir()
	h := homeIn(t, temp)
	refused := func() {
		t.Helper()
		_, err := Start(t.Context(), Options{DataRoot: temp})
		require.ErrorContains(t, err, "is not a folder of "+h.account.name)
	}
	require.NoError(t, os.Remove(h.path))
	require.NoError(t, os.Symlink(elsewhere, h.path))
	refused()
	require.NoError(t, os.Remove(h.path))
	if os.Geteuid() == 0 { // others cannot make what belongs to someone else
		require.NoError(t, os.Mkdir(h.path, 0o700))
		require.NoError(t, os.Chown(h.path, 54321, 54321))
		refused()
		require.NoError(t, os.Remove(h.path))
	}
}

func TestStart_SaysThatTheServerCannotReachAFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose servers run as someone else; CI is root")
	}
	temp := newTemp(t)
	require.NoError(t, os.Chmod(temp, 0o700))
	_, err := Start(t.Context(), Options{DataRoot: temp})
	require.ErrorContains(t, err, " cannot reach the folder ")
}

func TestStart_TakesAnotherPortIfItsOwnIsTaken(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	other, err := net.Listen("tcp", loopback(0))
	require.NoError(t, err)
	defer other.Close()
	m, err := newMachine(t.Context(), temp)
	require.NoError(t, err)
	asked := 0
	m.ports = func() (int, error) {
		if asked++; asked == 1 {
			return other.Addr().(*net.TCPAddr).Port, nil
		}
		return freePort()
	}
	s, err := m.start(t.Context(), ownKind, nil)
	require.NoError(t, err)
	require.Equal(t, 2, asked)
	requireAnswer(t, s.URL("postgres"), "SELECT 1::text", "1")
	require.NoError(t, s.Stop(t.Context()))
}

func TestStart_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, Options{DataRoot: temp})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireGone(t, temp)
}

func TestServer_GoesEvenIfStopHasNoTime(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	s := startIn(t, temp, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Stop(ctx), context.Canceled)
	requireGone(t, temp)
}

func TestServer_KeepsItsDataThroughACrash(t *testing.T) {
	t.Parallel()
	s := startIn(t, newTemp(t), nil)
	url := s.URL("postgres")
	requireAnswer(t, url, "CREATE TABLE kept AS SELECT 1; SELECT count(*)::text FROM kept", "1")
	for name, crash := range map[string]func() error{
		"Kill":          s.Kill,
		"StopImmediate": func() error { return s.StopImmediate(t.Context()) },
	} {
		require.NoError(t, crash(), name)
		_, err := net.Dial("tcp", loopback(s.Port()))
		require.ErrorIs(t, err, syscall.ECONNREFUSED, name)
		require.NoError(t, crash(), "%s of a dead server", name)
		require.NoError(t, s.StartAgain(t.Context()), name)
		requireAnswer(t, url, "SELECT count(*)::text FROM kept", "1")
	}
	log, err := os.ReadFile(s.LogFile())
	require.NoError(t, err)
	require.Contains(t, string(log), "database system was not properly shut down")
}

func TestServer_OutlivesCtrlCAndNotItsProcess(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	p := launch(t, temp, ownKind).ready()
	require.NoError(t, syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT), "as the terminal does to all processes in the foreground")
	requireAnswer(t, p.URL, "SELECT 1::text", "1")
	p.kill()
	requireGone(t, temp)
}

func TestServer_GoesWhereverItsStarterIsKilled(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	for _, after := range []int{5, 40, 150, 400, 800, 1200} { // it takes about a second
		p := launch(t, temp, ownKind)
		timer := time.AfterFunc(time.Duration(after)*time.Millisecond, p.kill)
		_, _ = p.lines.ReadBytes('\n') // the end of its output, or that it was faster
		timer.Stop()
		p.kill()
	}
	requireAnswer(t, launch(t, temp, ownKind).ready().URL, "SELECT 1::text", "1")
}

func TestServer_OutlivesItsKeeperWhileItIsUsed(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	p := launch(t, temp, ownKind).ready()
	killKeeper(t, p.Folder)

	s := startIn(t, temp, nil)
	require.True(t, kept(p.Folder), "the next start gives it a new keeper")
	requireAnswer(t, p.URL, "SELECT 1::text", "1")
	p.kill()
	require.Eventually(t, func() bool { return len(servers(t, temp)) == 1 }, goneWithin, 20*time.Millisecond)
	requireAnswer(t, s.URL("postgres"), "SELECT 1::text", "1")
}

func TestStart_SweepsWhatWasLeftBehind(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	orphan := launch(t, temp, sharedKind).ready()
	killKeeper(t, orphan.Folder)
	orphan.kill()

	h := homeIn(t, temp)
	pid, lives := bystander(t, h.account)
	dead, halfMade := filepath.Join(h.path, "own-dead"), filepath.Join(h.path, "shared-half")
	pretendPID(t, dead, pid)
	require.NoError(t, h.makePipe(filepath.Join(dead, usersPipe)))
	require.NoError(t, h.makePipe(filepath.Join(dead, serverPipe)))
	require.NoError(t, os.Mkdir(halfMade, 0o700))

	s := startIn(t, temp, nil)
	require.NoDirExists(t, dead)
	require.NoDirExists(t, halfMade)
	require.Eventually(t, func() bool { return len(servers(t, temp)) == 1 }, goneWithin, 20*time.Millisecond)
	require.DirExists(t, s.folder)
	require.True(t, lives())
}

func TestKeeper_SignalsNoProcessButTheServers(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	h := homeIn(t, temp)
	pid, lives := bystander(t, h.account)
	folder, user, err := h.newFolder(t.Context(), ownKind)
	require.NoError(t, err)
	pretendPID(t, folder, pid)
	require.NoError(t, h.account.own(filepath.Join(folder, "data")))
	require.NoError(t, syscall.Close(user))
	requireGone(t, temp)
	require.Never(t, func() bool { return !lives() }, 2*time.Second, 100*time.Millisecond)
}
