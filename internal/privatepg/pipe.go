//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// The named pipes in the folder of a server, see the package comment.
const (
	usersPipe  = "users"
	serverPipe = "server"
)

// enter makes this process a user of a server until it closes the descriptor or ends. It fails with ENXIO if the server has
// no keeper. It is a bare descriptor because an os.File would be closed when nobody refers to it any more.
func enter(folder string) (int, error) {
	fd, err := openWriter(folder, usersPipe)
	if err != nil {
		return -1, err
	}
	// The keeper sees by this line that someone came while it was not looking.
	if _, err := syscall.Write(fd, []byte("\n")); err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// kept tells whether a server has a keeper.
func kept(folder string) bool {
	fd, err := openWriter(folder, usersPipe)
	if err == nil {
		_ = syscall.Close(fd)
	}
	return err == nil
}

// running tells whether any process of a server is left.
func running(folder string) bool {
	fd, err := openReader(folder, serverPipe)
	if err != nil {
		return false
	}
	defer syscall.Close(fd) //nolint:errcheck // nothing was written
	_, err = syscall.Read(fd, make([]byte, 1))
	return errors.Is(err, syscall.EAGAIN) // else it is the end of the pipe
}

// openWriter fails with ENXIO if nobody has the pipe open for reading.
func openWriter(folder, pipe string) (int, error) {
	return openPipe(folder, pipe, syscall.O_WRONLY)
}

func openReader(folder, pipe string) (int, error) {
	return openPipe(folder, pipe, syscall.O_RDONLY)
}

func openPipe(folder, pipe string, mode int) (int, error) {
	path := filepath.Join(folder, pipe)
	for {
		fd, err := syscall.Open(path, mode|syscall.O_NONBLOCK|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
		if !errors.Is(err, syscall.EINTR) {
			return fd, err
		}
	}
}

// inheritable makes of a descriptor what a child process expects: its reads wait.
func inheritable(fd int, name string) (*os.File, error) {
	if err := syscall.SetNonblock(fd, false); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
