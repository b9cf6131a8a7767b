//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed keeper.sh
var keeperScript string

// closedFile in the folder of a server says that its keeper is about to stop it.
const closedFile = "closed"

// keep starts the keeper of a server. It runs as the server does, which is what its signals can reach. That there is a shell
// is no new demand: initdb needs one too.
func keep(ctx context.Context, as account, folder string) error {
	var pipes []*os.File
	defer func() {
		for _, pipe := range pipes {
			_ = pipe.Close()
		}
	}()
	for _, name := range []string{usersPipe, serverPipe} {
		fd, err := openReader(folder, name)
		if err != nil {
			return fmt.Errorf("opening the pipe %s: %w", name, err)
		}
		pipe, err := inheritable(fd, name)
		if err != nil {
			_ = syscall.Close(fd)
			return err
		}
		pipes = append(pipes, pipe)
	}
	grace := "0"
	if strings.HasPrefix(filepath.Base(folder), string(sharedKind)) {
		grace = strconv.Itoa(int(sharedGrace / time.Second))
	}
	cmd := as.command(ctx, folder, "/bin/sh", "-s", "gptoauth-pg-keeper", folder, grace)
	cmd.Stdin = strings.NewReader(keeperScript)
	cmd.ExtraFiles = pipes
	err := cmd.Run()
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s cannot reach the folder %s", as.name, folder)
	}
	if err != nil {
		return fmt.Errorf("starting the keeper: %w", err)
	}
	return nil
}
