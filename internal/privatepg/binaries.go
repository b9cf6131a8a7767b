//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the first major version that the migrations and the tests are meant for.
const oldest = 13

// finder finds the programs of PostgreSQL.
type finder struct {
	folders  []string // where they may be installed, the best first
	download download // for when they are in none of them
}

func newFinder(ctx context.Context) finder {
	return finder{installFolders(ctx), newDownload()}
}

// find returns the folder of programs that the account can run.
func (f finder) find(ctx context.Context, as account) (string, error) {
	var unfit []error
	for _, folder := range f.folders {
		found, err := tryPrograms(ctx, as, folder)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, exec.ErrNotFound) {
			unfit = append(unfit, err)
		}
	}
	folder, err := f.download.get(ctx)
	if err == nil {
		folder, err = tryPrograms(ctx, as, folder)
	}
	if err == nil {
		return folder, nil
	}
	installed := "none is installed"
	if len(unfit) > 0 {
		installed = errors.Join(unfit...).Error()
	}
	return "", fmt.Errorf("no PostgreSQL to start (%s; fetching one failed: %w): install PostgreSQL %d or newer, with initdb, pg_ctl and "+
		"postgres in PATH, or %s", installed, err, oldest, otherWay)
}

// installFolders lists where PATH, pg_config and the distributions have the programs. Debian, for one, keeps those of the
// server out of PATH.
func installFolders(ctx context.Context) []string {
	var folders []string
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	if output, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(output)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // PGDG on Red Hat
		"/usr/lib/postgresql*/bin",  // SUSE, Gentoo
		"/usr/libexec/postgresql*",  // Alpine
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/opt/local/lib/postgresql*/bin", // MacPorts
		"/usr/local/pgsql/bin",           // built from source
	} {
		found, _ := filepath.Glob(pattern)
		slices.SortFunc(found, newestFirst)
		folders = append(folders, found...)
	}
	return folders
}

var number = regexp.MustCompile(`\d+`)

// newestFirst compares by the first number in the path, which is the version; "latest" of Postgres.app has none.
func newestFirst(a, b string) int {
	version := func(path string) int {
		n, _ := strconv.Atoi(number.FindString(path))
		return n
	}
	return cmp.Or(cmp.Compare(version(b), version(a)), cmp.Compare(a, b))
}

// tryPrograms returns the real folder of the programs, for they find their libraries and each other from there. It fails with
// exec.ErrNotFound if they are not there.
func tryPrograms(ctx context.Context, as account, folder string) (string, error) {
	initdb, err := filepath.EvalSymlinks(filepath.Join(folder, "initdb"))
	if err != nil {
		return "", exec.ErrNotFound
	}
	folder = filepath.Dir(initdb)
	for _, name := range []string{"pg_ctl", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(folder, name)); err != nil {
			return "", exec.ErrNotFound
		}
	}
	output, err := as.command(ctx, "/", filepath.Join(folder, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s cannot run the programs in %s: %w %s", as.name, folder, err, strings.TrimSpace(string(output)))
	}
	if major, err := strconv.Atoi(number.FindString(string(output))); err != nil || major < oldest {
		return "", fmt.Errorf("%s in %s is older than version %d", strings.TrimSpace(string(output)), folder, oldest)
	}
	return folder, nil
}
