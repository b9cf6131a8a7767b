//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShared_IsOneServerForAllProcesses(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	first := make([]*process, 4)
	for i := range first {
		first[i] = launch(t, temp, sharedKind)
	}
	for _, p := range first {
		require.Equal(t, p.ready().said, first[0].said)
	}
	require.Len(t, servers(t, temp), 1)

	for _, p := range first {
		p.leave()
	}
	next := launch(t, temp, sharedKind).ready()
	require.Equal(t, first[0].said, next.said, "it waits a little for its next user")
	requireAnswer(t, next.URL, "SELECT 1::text", "1")
}

func TestShared_GoesWhenAllItsUsersAreKilled(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	first := launch(t, temp, sharedKind).ready()
	second := launch(t, temp, sharedKind).ready()
	require.Equal(t, first.said, second.said)

	first.kill()
	require.Never(t, func() bool { return !kept(second.Folder) }, sharedGrace+time.Second, 100*time.Millisecond)
	requireAnswer(t, second.URL, "SELECT 1::text", "1")
	second.kill()
	requireGone(t, temp)
}

func TestShared_ReplacesADeadServer(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	before := launch(t, temp, sharedKind).ready()
	content, err := os.ReadFile(filepath.Join(before.Folder, "data", "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))

	after := launch(t, temp, sharedKind).ready()
	require.NotEqual(t, before.Folder, after.Folder)
	requireAnswer(t, after.URL, "SELECT 1::text", "1")
}

func TestShared_ReplacesOneThatWasNeverReady(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	starter := launch(t, temp, sharedKind)
	require.Eventually(t, func() bool { return len(servers(t, temp)) == 1 }, goneWithin, time.Millisecond)
	starter.kill()
	requireAnswer(t, launch(t, temp, sharedKind).ready().URL, "SELECT 1::text", "1")
}

// Joining races with the keeper's decision to stop, of which there is none without users and grace. No server runs here.
func TestShared_WhoeverHasJoinedIsNotLeftAlone(t *testing.T) {
	t.Parallel()
	h := homeIn(t, newTemp(t))
	joined, late := 0, 0
	delay := time.Millisecond // nears the moment of decision, wherever a busy machine has it
	for range 40 {
		folder, user, err := h.newFolder(t.Context(), ownKind)
		require.NoError(t, err)
		users := make([]int, 8)
		var joiners sync.WaitGroup
		for i := range users {
			joiners.Go(func() {
				time.Sleep(delay + time.Duration(i)*100*time.Microsecond)
				users[i] = joinPlayed(folder)
			})
		}
		_ = syscall.Close(user)
		joiners.Wait()

		users = slices.DeleteFunc(users, func(user int) bool { return user < 0 })
		joined, late = joined+len(users), late+cap(users)-len(users)
		switch len(users) {
		case 0:
			delay /= 2
		case cap(users):
			delay += delay/4 + time.Millisecond
		}
		if len(users) > 0 {
			require.Never(t, func() bool { return !kept(folder) }, 50*time.Millisecond, 10*time.Millisecond)
		}
		for _, user := range users {
			_ = syscall.Close(user)
		}
	}
	t.Logf("%d joined, %d came too late", joined, late)
	require.NotZero(t, joined)
	require.NotZero(t, late)
}

// joinPlayed is what join does, without a server to connect to.
func joinPlayed(folder string) int {
	user, err := enter(folder)
	if err != nil {
		return -1
	}
	if s := (&Server{folder: folder, user: user}); !s.isOpen() {
		s.leave()
		return -1
	}
	return user
}
