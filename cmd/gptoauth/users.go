package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/repo"
)

func (a *app) usersCommand() *cli.Command {
	return &cli.Command{
		Name:  "users",
		Usage: "show, offboard or erase a person",
		Description: `USER is the id that Clerk gave, such as user_2aBcD. Keep the person from signing in first (Clerk: ban or delete the user):
a sign-in that is in flight survives.

Examples:
  gptoauth users show user_2aBcD
  gptoauth users end user_2aBcD --reason offboarding   # signed out everywhere, at once
  gptoauth users erase user_2aBcD                      # forgotten (GDPR); the audit trail stays, as no one's`,
		Commands: []*cli.Command{a.usersShowCommand(), a.usersEndCommand(), a.usersEraseCommand()},
	}
}

func userArgument() []cli.Argument {
	return []cli.Argument{&cli.StringArg{Name: "user", UsageText: "USER"}}
}

// endedOutput is what users end and sessions end print with --json.
type endedOutput struct {
	Sessions int `json:"sessions"`
	Codes    int `json:"codes"` // unused ones that can no longer be exchanged
}

func (a *app) showEnded(result repo.EndedResult) error {
	return a.show(endedOutput{result.Sessions, result.Codes}, func() {
		a.printf("%s ended, %s expired\n", count(result.Sessions, "session"), count(result.Codes, "unused code"))
	})
}

func (a *app) usersEndCommand() *cli.Command {
	return &cli.Command{
		Name:      "end",
		Usage:     "end all sessions of a person and let their unused codes expire",
		ArgsUsage: "USER",
		Description: `In one transaction, with one session_end event a session and one user_end event. Ending again is harmless.

Examples:
  gptoauth users end user_2aBcD --reason offboarding`,
		Arguments: userArgument(),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "for the audit trail; without personal data", Required: true},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			store, err := a.store(ctx)
			if err != nil {
				return err
			}
			result, err := store.EndUser(ctx, cmd.StringArg("user"), cmd.String("reason"))
			if err != nil {
				return err
			}
			return a.showEnded(result)
		},
	}
}

// erasedOutput is what users erase prints with --json.
type erasedOutput struct {
	Codes    int `json:"codes"`
	Sessions int `json:"sessions"`
	Tokens   int `json:"tokens"`
	Events   int `json:"events"` // kept, without the person
}

func (a *app) usersEraseCommand() *cli.Command {
	return &cli.Command{
		Name:      "erase",
		Usage:     "delete what is stored about a person, and keep their events as no one's",
		ArgsUsage: "USER",
		Description: `Deletes their codes, tokens and sessions, and takes their id, the IP addresses and the host's metadata out of their events, in
one transaction. What the store itself wrote stays: which rule was broken, which row, and the reasons given for an end.
Erasing again is harmless. Backups, archives of purge and logs are yours to look after.

Examples:
  gptoauth users erase user_2aBcD         # asks first
  gptoauth users erase user_2aBcD --yes`,
		Arguments: userArgument(),
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "yes", Usage: "do not ask"}},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			user := cmd.StringArg("user")
			store, err := a.store(ctx)
			if err != nil {
				return err
			}
			question := fmt.Sprintf("Erase %s? What is deleted cannot be brought back.", printable(user))
			if err := a.confirm(ctx, cmd.Bool("yes"), question); err != nil {
				return err
			}
			result, err := store.EraseUser(ctx, user)
			if err != nil {
				return err
			}
			return a.show(erasedOutput(result), func() {
				a.printf("%s, %s and %s deleted; %s kept without the person\n", count(result.Codes, "code"),
					count(result.Sessions, "session"), count(result.Tokens, "token"), count(result.Events, "event"))
			})
		},
	}
}
