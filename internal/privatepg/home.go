//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// kind of a server: the name of its folder begins with it.
type kind string

const (
	ownKind    kind = "own"
	sharedKind kind = "shared"
)

// home is the folder that holds the folders of all servers of one user.
type home struct {
	path    string
	account account
}

// openHome makes the folder if need be. It belongs to the account, so that a keeper can remove what is in it.
func openHome(root string, as account) (home, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return home{}, err
	}
	name := fmt.Sprintf("gptoauth-pg-%d", as.uid)
	if as.credential != nil {
		name = fmt.Sprintf("gptoauth-pg-root-%d", as.uid) // not the folder of that user's own servers
	}
	h := home{filepath.Join(root, name), as}
	if err := os.Mkdir(h.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return home{}, err
	}
	info, err := os.Lstat(h.path)
	if err != nil {
		return home{}, err
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if !info.IsDir() || (owner != as.uid && owner != os.Geteuid()) {
		return home{}, fmt.Errorf("%s is not a folder of %s", h.path, as.name)
	}
	if err := as.own(h.path); err != nil {
		return home{}, err
	}
	return h, os.Chmod(h.path, 0o700) //nolint:gosec // a folder without x is of no use
}

// newFolder makes the folder of a new server, its pipes and its keeper, and makes this process its user. Before that it
// sweeps, under the same lock, so that what is half made is not mistaken for what was left behind. What resists being swept is
// no obstacle to a new server.
func (h home) newFolder(ctx context.Context, kind kind) (folder string, user int, err error) {
	unlock, err := lock(ctx, filepath.Join(h.path, "folders.lock"))
	if err != nil {
		return "", -1, err
	}
	defer unlock()
	h.sweep(ctx)

	folder, err = os.MkdirTemp(h.path, string(kind)+"-")
	if err != nil {
		return "", -1, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(folder)
		}
	}()
	const longestSocket = len("/.s.PGSQL.12345")
	if len(folder)+longestSocket > 103 { // what the smallest sockaddr_un holds
		return "", -1, fmt.Errorf("%s is too long a path for a Unix socket", folder)
	}
	for _, name := range []string{usersPipe, serverPipe} {
		if err := h.makePipe(filepath.Join(folder, name)); err != nil {
			return "", -1, err
		}
	}
	if err := h.account.own(folder); err != nil {
		return "", -1, err
	}
	user, err = h.keepAndEnter(ctx, folder)
	return folder, user, err
}

// keepAndEnter opens the pipe before there is a keeper, which would otherwise find it without users.
func (h home) keepAndEnter(ctx context.Context, folder string) (int, error) {
	reader, err := openReader(folder, usersPipe)
	if err != nil {
		return -1, err
	}
	defer syscall.Close(reader) //nolint:errcheck // nothing was written
	user, err := enter(folder)
	if err != nil {
		return -1, err
	}
	if err := keep(ctx, h.account, folder); err != nil {
		_ = syscall.Close(user)
		return -1, err
	}
	return user, nil
}

func (h home) makePipe(path string) error {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	return h.account.own(path)
}

// folders lists the servers of a kind.
func (h home) folders(kind kind) []string {
	var found []string
	entries, _ := os.ReadDir(h.path)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), string(kind)+"-") {
			found = append(found, filepath.Join(h.path, entry.Name()))
		}
	}
	return found
}

// sweep cares for the servers whose keeper was killed, or ended with the machine. One that runs gets a new keeper, which
// stops it if nobody uses it. Of the others only the folder is left.
func (h home) sweep(ctx context.Context) {
	for _, folder := range slices.Concat(h.folders(ownKind), h.folders(sharedKind)) {
		switch {
		case kept(folder):
		case running(folder):
			_ = keep(ctx, h.account, folder)
		default:
			_ = os.RemoveAll(folder)
		}
	}
}
