//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package privatepg

import (
	"context"
	"errors"
	"runtime"
	"time"
)

var errSystem = errors.New("privatepg: a private PostgreSQL cannot be started on " + runtime.GOOS +
	": " + otherWay)

// Server cannot be had on this system.
type Server struct{}

// Start fails.
func Start(context.Context, Options) (*Server, error) { return nil, errSystem }

// Shared fails.
func Shared(context.Context) (*Server, error) { return nil, errSystem }

// URL is empty.
func (*Server) URL(string) string { return "" }

// Port is zero.
func (*Server) Port() int { return 0 }

// SocketDir is empty.
func (*Server) SocketDir() string { return "" }

// DataDir is empty.
func (*Server) DataDir() string { return "" }

// LogFile is empty.
func (*Server) LogFile() string { return "" }

// BinDir is empty.
func (*Server) BinDir() string { return "" }

// Stop fails.
func (*Server) Stop(context.Context) error { return errSystem }

// StopImmediate fails.
func (*Server) StopImmediate(context.Context) error { return errSystem }

// Kill fails.
func (*Server) Kill() error { return errSystem }

// StartAgain fails.
func (*Server) StartAgain(context.Context) error { return errSystem }

// Linger fails.
func (*Server) Linger(context.Context, time.Duration) error { return errSystem }

// PasswordFile is empty.
func (*Server) PasswordFile() string { return "" }
