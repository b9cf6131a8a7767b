package main

import (
	"context"
	"os"
	"os/user"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
)

// hold is migrations.Hold in the output of --json.
type hold struct {
	Holder     string    `json:"holder"`
	Reason     string    `json:"reason"`
	Since      time.Time `json:"since"`
	AgeSeconds float64   `json:"age_seconds"`
}

type holdResult struct {
	Held bool  `json:"held"` // now
	Hold *hold `json:"hold"` // that there is, or was until now; null: none
}

func holdOf(h *migrations.Hold) *hold {
	if h == nil {
		return nil
	}
	return &hold{Holder: h.Holder, Reason: h.Reason, Since: h.Since.UTC(), AgeSeconds: h.Age.Seconds()}
}

func describeHold(h *migrations.Hold) string {
	return "held by " + printable(h.Holder) + " since " + timestamp(h.Since) + " (" + ageOf(*h) + "): " + printable(h.Reason)
}

func ageOf(h migrations.Hold) string {
	if h.Age < time.Second {
		return "less than a second"
	}
	return elapsed(h.Age)
}

func (a *app) lockCommand() *cli.Command {
	return &cli.Command{
		Name:  "lock",
		Usage: "keep everyone from migrating until unlock",
		Description: `While migrations are held, up, rollback and mark-applied of every process fail and say who holds them, since when and why.
A server whose schema is up to date starts all the same. When lock returns, no migration is running.

Examples:
  gptoauth migrate lock --reason "backup is running"
  gptoauth migrate lock --holder "release 42" --reason "waiting for the canary"`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "shown to whoever it stops", Value: "no reason given"},
			&cli.StringFlag{Name: "holder", Usage: "who holds", DefaultText: "user@host"},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			holder := cmd.String("holder")
			if holder == "" {
				holder = userAtHost()
			}
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			if err := migrations.Lock(ctx, db, holder, cmd.String("reason")); err != nil {
				return err
			}
			held, err := migrations.Held(ctx, db)
			if err != nil {
				return err
			}
			return a.show(holdResult{held != nil, holdOf(held)}, func() {
				if held != nil { // null only if someone was quick to unlock
					a.printf("%s\n", describeHold(held))
				}
			})
		},
	}
}

func (a *app) unlockCommand() *cli.Command {
	return &cli.Command{
		Name:        "unlock",
		Usage:       "lift the hold of lock",
		Description: "Shows what it has lifted. Where nothing was held it does nothing.",
		Action: func(ctx context.Context, _ *cli.Command) error {
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			lifted, err := migrations.Unlock(ctx, db)
			if err != nil {
				return err
			}
			return a.show(holdResult{false, holdOf(lifted)}, func() {
				if lifted == nil {
					a.printf("nothing was held\n")
				} else {
					a.printf("lifted: %s\n", describeHold(lifted))
				}
			})
		},
	}
}

func userAtHost() string {
	name, host := unknown, unknown
	if current, err := user.Current(); err == nil {
		name = current.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
