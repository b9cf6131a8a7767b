package faulttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
)

// asOwner prepares a command of the user that a server runs as, which is not this process's if that is root.
func asOwner(t testing.TB, server *privatepg.Server, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = "/"
	if uid, gid := owner(t, server); os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	return cmd
}

func owner(t testing.TB, server *privatepg.Server) (uid, gid uint32) {
	t.Helper()
	info, err := os.Stat(server.DataDir())
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid, stat.Gid
}

// giveToOwner makes a file or folder the server's, as far as this process may.
func giveToOwner(t testing.TB, server *privatepg.Server, path string) {
	t.Helper()
	uid, gid := owner(t, server)
	require.NoError(t, os.Lchown(path, int(uid), int(gid)))
}

func program(server *privatepg.Server, name string) string {
	return filepath.Join(server.BinDir(), name)
}
