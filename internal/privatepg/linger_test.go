//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLinger_OutlivesTheLastUser(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	user := launch(t, temp, sharedKind).ready()
	fd, err := enter(user.Folder)
	require.NoError(t, err)
	s := &Server{folder: user.Folder, shared: true, user: fd}
	require.FileExists(t, s.PasswordFile())
	lingering := sharedGrace + 4*time.Second
	require.NoError(t, s.Linger(t.Context(), lingering))
	s.leave()
	user.kill()
	require.Never(t, func() bool { return !running(user.Folder) }, sharedGrace+2*time.Second, 100*time.Millisecond)
	// newTemp sees it go when the time is over.
	require.Eventually(t, func() bool { return !running(user.Folder) }, lingering+goneWithin, 100*time.Millisecond)
}
