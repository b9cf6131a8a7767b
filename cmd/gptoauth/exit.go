package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitDrifted = 3 // pending or drifted
)

// exitError says with which code its error ends the program.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageErrorf is for what the caller has to write differently.
func usageErrorf(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// commandError says which command failed.
type commandError struct {
	command string // without the program's name, as "migrate up"
	err     error
}

func (e *commandError) Error() string { return e.command + ": " + e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

func inCommand(cmd *cli.Command, err error) error {
	if err == nil {
		return nil
	}
	return &commandError{strings.TrimPrefix(strings.TrimPrefix(cmd.FullName(), programName), " "), err}
}

func exitCode(ctx context.Context, err error) int {
	if ctx.Err() != nil {
		return exitFailed
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	if _, ok := errors.AsType[*repo.DSNError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[cli.ExitCoder](err); ok { // the parser's own: no help for an unknown command
		return exitUsage
	}
	if drifted(err) {
		return exitDrifted
	}
	return exitFailed
}

// drifted says whether the database is not as this binary wants it, for what the package migrations has answered.
func drifted(err error) bool {
	_, pending := errors.AsType[*migrations.PendingError](err)
	_, changed := errors.AsType[*migrations.ChangedError](err)
	_, unknown := errors.AsType[*migrations.UnknownError](err)
	_, outOfOrder := errors.AsType[*migrations.OutOfOrderError](err)
	_, drift := errors.AsType[*migrations.DriftError](err)
	return pending || changed || unknown || outOfOrder || drift
}

// message is the line that ends on stderr: program, command, what is wrong, and what to do about it.
func message(ctx context.Context, err error) string {
	prefix := programName + ": "
	command, ok := errors.AsType[*commandError](err)
	if ok && command.command != "" {
		prefix += command.command + ": "
	}
	if ok {
		err = command.err
	}
	if ctx.Err() != nil {
		return prefix + "interrupted: what was not committed is undone, nothing is half done"
	}
	text := explain(err)
	if exitCode(ctx, err) == exitUsage {
		text += fmt.Sprintf(" (see %s --help)", strings.TrimSuffix(strings.ReplaceAll(prefix, ":", ""), " "))
	}
	return prefix + text
}

// explain words an error for someone at a terminal.
func explain(err error) string {
	if held, ok := errors.AsType[*migrations.HeldError](err); ok {
		return fmt.Sprintf("migrations are held by %s for %s: %s; gptoauth migrate unlock lifts it",
			printable(held.Holder), ageOf(held.Hold), printable(held.Reason))
	}
	if pending, ok := errors.AsType[*migrations.PendingError](err); ok {
		return pending.Error() + "; gptoauth migrate up applies them"
	}
	if changed, ok := errors.AsType[*migrations.ChangedError](err); ok {
		return changed.Error() + "; restore the file and put the change into a new migration"
	}
	if unknown, ok := errors.AsType[*migrations.UnknownError](err); ok {
		return unknown.Error() + "; use the release that has them"
	}
	if outOfOrder, ok := errors.AsType[*migrations.OutOfOrderError](err); ok {
		return outOfOrder.Error()
	}
	if drift, ok := errors.AsType[*migrations.DriftError](err); ok {
		lines := strings.Split(drift.Error(), "\n") // one a difference, so this error alone has several
		for i, line := range lines {
			lines[i] = printable(line)
		}
		return strings.Join(lines, "\n")
	}
	if errors.Is(err, migrations.ErrNothingToAdopt) {
		return migrations.ErrNothingToAdopt.Error() + "; gptoauth migrate up makes them"
	}
	if _, ok := errors.AsType[cli.ExitCoder](err); ok {
		return "there is no such command" // what was given may be a secret
	}
	text := err.Error()
	for _, packageName := range []string{"migrations: ", "repo: "} {
		text = strings.TrimPrefix(text, packageName)
	}
	return printable(strings.ReplaceAll(text, "\n", " "))
}
