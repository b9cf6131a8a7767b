//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFinder_PrefersTheNewestRelease(t *testing.T) {
	t.Parallel()
	folders := []string{"/usr/lib/postgresql/9.6/bin", "/usr/lib/postgresql/14/bin", "/usr/lib/postgresql/17/bin"}
	slices.SortFunc(folders, newestFirst)
	require.Equal(t, []string{"/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/14/bin", "/usr/lib/postgresql/9.6/bin"}, folders)
}

func TestFinder_ResolvesLinksAndSkipsWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	as, err := serverAccount()
	require.NoError(t, err)
	installed, err := newFinder(t.Context()).find(t.Context(), as)
	require.NoError(t, err)

	temp := newTemp(t)
	empty, old, links := filepath.Join(temp, "empty"), filepath.Join(temp, "old"), filepath.Join(temp, "links")
	for _, folder := range []string{empty, old, links} {
		require.NoError(t, os.Mkdir(folder, 0o755))
	}
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		script := []byte("#!/bin/sh\necho 'postgres (PostgreSQL) 11.22'\n")
		require.NoError(t, os.WriteFile(filepath.Join(old, name), script, 0o755))
		require.NoError(t, os.Symlink(filepath.Join(installed, name), filepath.Join(links, name)))
	}
	found, err := finder{[]string{empty, old, links}, unreachable(t)}.find(t.Context(), as)
	require.NoError(t, err)
	require.Equal(t, installed, found)

	_, err = finder{[]string{empty, old}, unreachable(t)}.find(t.Context(), as)
	require.ErrorContains(t, err, "(postgres (PostgreSQL) 11.22 in "+old+" is older than version 13; fetching one failed: ")
}

func TestFinder_SaysWhatToInstallOrSet(t *testing.T) {
	t.Parallel()
	as, err := serverAccount()
	require.NoError(t, err)
	_, err = finder{nil, unreachable(t)}.find(t.Context(), as)
	require.EqualError(t, err, "no PostgreSQL to start (none is installed; fetching one failed: "+
		"unable to connect to http://me:xxxxx@127.0.0.1:1): install PostgreSQL 13 or newer, with initdb, pg_ctl and postgres in PATH, "+
		"or set GPTOAUTH_TEST_DATABASE_URL for tests, or DATABASE_URL for gptoauth, to a server that runs")
}

// unreachable is a download that fails, from an URL with a password.
func unreachable(t testing.TB) download {
	t.Helper()
	return download{"http://me:secret@127.0.0.1:1", t.TempDir()}
}

func TestDownload_StartsWhatItHasFetched(t *testing.T) {
	t.Parallel()
	temp := newTemp(t)
	h := homeIn(t, temp)
	installed, err := newFinder(t.Context()).find(t.Context(), h.account)
	require.NoError(t, err)
	m := newMirror(t, installed, packed(installed)...)

	machine := &machine{h, finder{nil, download{m.URL, filepath.Join(temp, "cache")}}, freePort}
	for range 2 {
		s, err := machine.start(t.Context(), ownKind, nil)
		require.NoError(t, err)
		require.Equal(t, filepath.Join(temp, "cache", "postgresql-"+string(fetchedVersion), "bin"), s.BinDir())
		requireAnswer(t, s.URL("postgres"), "SELECT 1::text", "1")
		require.NoError(t, s.Stop(t.Context()))
	}
	require.EqualValues(t, 1, m.served.Load(), "it is fetched once")
	left, err := os.ReadDir(filepath.Join(temp, "cache"))
	require.NoError(t, err)
	require.Len(t, left, 2, "the lock and the programs")
}

func TestDownload_RefusesWhatIsNotIntact(t *testing.T) {
	t.Parallel()
	h := homeIn(t, newTemp(t))
	installed, err := newFinder(t.Context()).find(t.Context(), h.account)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		spoil func(*mirror)
		want  string
	}{
		"WrongChecksum": {func(m *mirror) { m.sum = strings.Repeat("0", 64) }, "checksums do not match"},
		"CutOff":        {func(m *mirror) { m.pack(t, m.archive[:len(m.archive)/2]) }, "unable to extract"},
		"Missing":       {func(m *mirror) { m.jar = nil }, "no version found"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, installed, "bin/pg_ctl")
			test.spoil(m)
			cache := t.TempDir()
			_, err := download{m.URL, cache}.get(t.Context())
			require.ErrorContains(t, err, test.want)
			left, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.Len(t, left, 1, "only the lock")
		})
	}
}
