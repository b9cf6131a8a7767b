//go:build unix

package repo_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// giveToOwnerOf: as root the server runs as someone else, and reads only a key of its own.
func giveToOwnerOf(t *testing.T, folder, file string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	info, err := os.Stat(folder)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Chown(file, int(owner.Uid), int(owner.Gid)))
}
