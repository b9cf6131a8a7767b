//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user that a server runs as.
type account struct {
	name       string
	uid        int
	credential *syscall.Credential // nil: the user of this process
}

// serverAccount is the user of this process. PostgreSQL refuses to run as root, for whom it is an unprivileged user.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "this user", uid: os.Geteuid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			continue
		}
		credential := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return account{name: "the user " + name, uid: int(uid), credential: credential}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

// command runs a program as the account, in a session of its own: a Ctrl-C in the terminal is meant for this process only.
// It inherits nothing from the environment that could change what it does or that it need not know.
func (a account) command(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // to run programs is what this package does
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	if path, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+path)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: a.credential}
	return cmd
}

// own gives the account a file or folder that this process has made.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	if err := os.Lchown(path, int(a.credential.Uid), int(a.credential.Gid)); err != nil {
		return fmt.Errorf("giving a file to %s: %w", a.name, err)
	}
	return nil
}
