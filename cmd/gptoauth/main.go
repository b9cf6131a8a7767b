// Command gptoauth looks after the database of gptoauth: it migrates it and shows what the library does.
//
// Try it without any database of your own:
//
//	go run github.com/gptoauth/gptoauth/cmd/gptoauth demo
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}
