package faulttest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

const noSpace = "No space left on device"

// TestDataDiskFull fills the disk that the tables are on. Statements that need a page more fail; the server goes on.
func TestDataDiskFull(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	disk := smallDisk(t, server, "64m")
	direct := openDirect(t, databaseOf(server))
	space := filepath.Join(disk, "space")
	require.NoError(t, os.Mkdir(space, 0o700))
	giveToOwner(t, server, space)
	_, err := direct.DB().ExecContext(t.Context(), "CREATE TABLESPACE small LOCATION ?", space)
	require.NoError(t, err)
	for _, statement := range []string{"ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE small", "ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE small"} {
		_, err := direct.DB().ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	newCrowd(t, openStore(t, databaseOf(server), patient), crowdSize).suffer(t, direct, func(t *testing.T) {
		before := logged(t, server, noSpace)
		empty := fill(t, disk)
		defer empty()
		require.Eventually(t, func() bool { return logged(t, server, noSpace) > before+crowdSize },
			time.Minute, 10*time.Millisecond, "the fault broke nothing")
	})
}

// TestLogDiskFull fills the disk that the write-ahead log is on. The server cannot go on then: it stops everyone, tries to
// recover, and gives up if there is still no space. What it has acknowledged is there when it is started again.
func TestLogDiskFull(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{Settings: map[string]string{"max_wal_size": "48MB", "min_wal_size": "32MB"}})
	disk := smallDisk(t, server, "160m")
	moveLog(t, server, disk)
	direct := openDirect(t, databaseOf(server))
	newCrowd(t, openStore(t, databaseOf(server), patient), crowdSize).suffer(t, direct, func(t *testing.T) {
		before := logged(t, server, noSpace)
		empty := fill(t, disk)
		defer empty()
		require.Eventually(t, func() bool {
			// Else it would take the clients long to write 16 MB, after which the server needs a new file.
			_, err := direct.DB().ExecContext(t.Context(), "SELECT pg_switch_wal()")
			return err != nil && logged(t, server, noSpace) > before
		}, time.Minute, 10*time.Millisecond, "the fault broke nothing")
		empty()
		restart(t, server, direct)
	})
}

// restart waits until the server has recovered, and starts it if it has given up.
func restart(t testing.TB, server *privatepg.Server, direct *repo.Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		if _, err := direct.DB().ExecContext(t.Context(), "SELECT 1"); err == nil {
			return true
		}
		if _, err := os.Stat(filepath.Join(server.DataDir(), "postmaster.pid")); errors.Is(err, os.ErrNotExist) {
			if err := server.StartAgain(t.Context()); err != nil {
				t.Log(err)
			}
		}
		return false
	}, 2*time.Minute, 100*time.Millisecond, "the server did not come back")
}

// smallDisk mounts a disk in memory for the server.
func smallDisk(t testing.TB, server *privatepg.Server, size string) string {
	t.Helper()
	dir := filepath.Join(server.SocketDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("this process may not mount a tmpfs (%v): run as root, as CI does, to see a full disk", err)
	}
	t.Cleanup(func() {
		// The cleanup of the server comes later, and the mount would be in its way; lazily, for the server still runs.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	giveToOwner(t, server, dir)
	return dir
}

// fill takes what space is left, to the last page. Calling what it returns gives it back; twice is fine.
func fill(t testing.TB, disk string) (empty func()) {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	for size := 1 << 20; size >= 4<<10; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			size /= 2
		}
	}
	return func() { _ = os.Remove(path) }
}

// moveLog puts the write-ahead log on another disk.
func moveLog(t testing.TB, server *privatepg.Server, disk string) {
	t.Helper()
	require.NoError(t, server.StopImmediate(t.Context()))
	from, to := filepath.Join(server.DataDir(), "pg_wal"), filepath.Join(disk, "pg_wal")
	output, err := asOwner(t, server, "cp", "-a", from, to).CombinedOutput()
	require.NoError(t, err, string(output))
	require.NoError(t, os.RemoveAll(from))
	require.NoError(t, os.Symlink(to, from))
	giveToOwner(t, server, from)
	require.NoError(t, server.StartAgain(t.Context()))
}
