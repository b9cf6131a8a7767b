// Command peers measures how many authorization codes a second can be exchanged and how many refresh tokens rotated through
// this library and, in the runs beside it, through what others keep theirs in:
//
//	cd cmd/gptoauth/internal/bench/peers
//	go run . --clients 1,8,32 --duration 3s --pairs 5
//
// Each of them has a database of its own, made by its own migrations, on one private PostgreSQL with fsync on, and as many
// connections as there are clients; everything else is as it comes. What is called of each, and what is left out, stands in
// hydra.go and dex.go. They do not promise the same: Hydra keeps every access token too, so that it can be looked up and
// revoked, which this library leaves to whoever makes them; this library keeps a session and an event for the audit, and
// gives a lost answer again; dex ends nothing when a token is used again, and its exchange is no transaction.
//
// Supabase Auth is missing because the packages that hold its storage are internal to its module, so that nothing can be
// linked to them, and an imitation would measure the imitator.
//
// This is a module of its own, so that no host has Hydra among what it depends on. It is no part of CI, which does not see it:
// the peers build for minutes, and throughput asserts nothing. "go test ./..." in this folder shows that each peer still
// works; where the main module has come to require something newer, "go mod tidy" comes first.
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
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
