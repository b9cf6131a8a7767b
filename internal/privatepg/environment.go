//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"syscall"
)

// StartAgainIn is [Server.StartAgain] with more in the environment of the server: LD_PRELOAD, for a library that changes what
// time it is.
func (s *Server) StartAgainIn(ctx context.Context, env ...string) error {
	fd, err := openWriter(s.folder, serverPipe)
	if err != nil {
		return fmt.Errorf("privatepg: the keeper of the server is gone: %w", err)
	}
	pipe, err := inheritable(fd, serverPipe)
	if err != nil {
		_ = syscall.Close(fd)
		return err
	}
	defer pipe.Close() //nolint:errcheck // nothing was written

	cmd := s.account.command(ctx, s.folder, filepath.Join(s.binDir, "pg_ctl"), "start", "--pgdata="+s.DataDir(),
		"--log="+s.LogFile(), "--wait", "--timeout=300", "--silent")
	cmd.Env = append(cmd.Env, env...)
	cmd.ExtraFiles = append(cmd.ExtraFiles, pipe)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("privatepg: starting the server again: %w: %s; the end of its log:\n%s", err, bytes.TrimSpace(output), s.endOfLog())
	}
	return nil
}
