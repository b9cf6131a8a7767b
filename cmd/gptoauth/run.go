package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

const programName = "gptoauth"

// app is what the commands share: the world around the process, and the options that all commands have.
type app struct {
	stdin  io.Reader
	stdout io.Writer // data
	stderr io.Writer // progress, questions and errors
	getenv func(string) string

	databaseURL string // --database-url; see (*app).open
	json        bool   // --json

	pen draw.Pen // draws for what stdout really is

	closers []func() // called in reverse when the command has ended
}

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	out := &checkedWriter{w: stdout}
	a := &app{stdin: stdin, stdout: out, stderr: stderr, getenv: getenv, pen: draw.New(stdout, getenv)}
	err := a.rootCommand().Run(ctx, helpAsFlag(args))
	for _, closer := range slices.Backward(a.closers) {
		closer()
	}
	if err == nil && out.err != nil {
		err = fmt.Errorf("write the output: %w", out.err)
	}
	if err == nil {
		return exitDone
	}
	a.progressf("%s", message(ctx, err))
	return exitCode(ctx, err)
}

func (a *app) rootCommand() *cli.Command {
	root := &cli.Command{
		Name:  programName,
		Usage: "look after the database of gptoauth, the PostgreSQL data layer of an OAuth 2.1 server",
		Description: `Examples:
  gptoauth demo                      # see what the library does; needs no database
  export DATABASE_URL=postgres://app@db.example.com/app   # the password may stand in PGPASSWORD
  gptoauth migrate status            # what is applied and what is pending
  gptoauth migrate up --dry-run      # what would be done
  gptoauth migrate up                # do it
  gptoauth migrate check --json      # for scripts: exit code 3 if anything is pending or drifted
  gptoauth events list --type token_reuse --since 7d   # who was robbed this week?
  gptoauth tokens trace < token.txt  # what became of this token?

Data goes to stdout, progress and errors to stderr. Colours need a terminal, and NO_COLOR turns them off; tables fit the
terminal unless you say --wide. What --json prints is described, field by field, in cmd/gptoauth/json.md.
Exit codes: 0 done, 1 failed, 2 used wrongly, 3 pending or drifted.`,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "database-url", Usage: "the database, as postgres://user@host/database; defaults to " + databaseVariable, Destination: &a.databaseURL,
			},
			&cli.BoolFlag{Name: "json", Usage: "print JSON", Destination: &a.json},
			&cli.BoolFlag{
				Name: "wide", Usage: "do not fit tables to the terminal",
				Action: func(_ context.Context, _ *cli.Command, wide bool) error {
					if wide {
						a.pen.Width = 0
					}
					return nil
				},
			},
		},
		Commands: []*cli.Command{
			a.demoCommand(),
			a.doctorCommand(),
			a.migrateCommand(),
			a.serveCommand(),
			a.eventsCommand(),
			a.purgeCommand(),
			a.reportCommand(),
			a.sessionsCommand(),
			a.usersCommand(),
			a.tokensCommand(),
			a.benchCommand(),
			a.versionCommand(),
		},
		Version:         version(),
		HideHelpCommand: true, // see helpAsFlag

		EnableShellCompletion:           true,
		ConfigureShellCompletionCommand: a.showCompletion,

		ArgValidator:   checkArguments,
		Writer:         a.stdout,
		ErrWriter:      a.stderr,
		Reader:         a.stdin,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run decides, and never exits
	}
	a.prepare(root)
	return root
}

// prepare fits the help to the terminal and makes every error say which command it is from. A command without an action of
// its own wants one of its commands.
func (a *app) prepare(cmd *cli.Command) {
	cmd.Description = reflow(a.pen, cmd.Description)
	cmd.OnUsageError = func(_ context.Context, cmd *cli.Command, err error, _ bool) error {
		return inCommand(cmd, flagError(err))
	}
	action := cmd.Action
	if action == nil {
		action = missingCommand
	}
	cmd.Action = func(ctx context.Context, cmd *cli.Command) error {
		return inCommand(cmd, action(ctx, cmd))
	}
	for _, sub := range cmd.Commands {
		a.prepare(sub)
	}
}
