package main

import (
	"context"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
)

type grantResult struct {
	Role    string   `json:"role"`
	DryRun  bool     `json:"dry_run"`
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

func (a *app) grantCommand() *cli.Command {
	return &cli.Command{
		Name:  "grant",
		Usage: "let a role run the store, and nothing else",
		Description: `Makes ROLE, which exists, an application role: it may execute the functions and read what the server reads, and check
whether the schema is up to date. It cannot write a table, so that it cannot rewrite the audit trail, revive what has
ended, or read an authorization code. Rights on gptoauth's tables and functions that it had before are taken away.

Run it again, with the same flags, after gptoauth migrate up, which says when that is due: new functions are granted to no
one. Neither the owner of the tables nor a role of Supabase's API can be ROLE.

Examples:
  gptoauth migrate up && gptoauth migrate grant auth_server
  gptoauth migrate grant --erase privacy_desk     # erasing a person too
  gptoauth migrate grant --dry-run auth_server    # what it would change
  gptoauth migrate grant --dry-run --show-sql auth_server > supabase/migrations/20260401000000_grant_auth_server.sql
  gptoauth migrate grant --revoke auth_server     # take everything away again`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "erase", Usage: "also grant the function that erases a person"},
			&cli.BoolFlag{Name: "revoke", Usage: "take everything away instead"},
		}, planFlags()...),
		Arguments: []cli.Argument{&cli.StringArg{Name: "role", UsageText: "ROLE"}},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := checkPlanFlags(cmd); err != nil {
				return err
			}
			if cmd.Bool("erase") && cmd.Bool("revoke") {
				return usageErrorf("--revoke takes everything away, so --erase is not for it")
			}
			params := migrations.GrantParams{Role: cmd.StringArg("role"), Erase: cmd.Bool("erase"), Revoke: cmd.Bool("revoke")}
			statement, err := migrations.GrantSQL(params)
			if err != nil {
				return usageErrorf("%w", err)
			}
			if cmd.Bool("show-sql") { // this needs no database
				return a.show(map[string]string{"role": params.Role, "sql": statement}, func() { a.printf("%s", statement) })
			}
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			run := migrations.Grant
			if cmd.Bool("dry-run") {
				run = migrations.PlanGrant
			}
			changes, err := run(ctx, db, params)
			if err != nil {
				return err
			}
			result := grantResult{params.Role, cmd.Bool("dry-run"), append([]string{}, changes.Added...), append([]string{}, changes.Removed...)}
			return a.show(result, func() { a.printGrant(result) })
		},
	}
}

func (a *app) printGrant(result grantResult) {
	for _, line := range result.Removed {
		a.printf("- %s\n", printable(line))
	}
	for _, line := range result.Added {
		a.printf("+ %s\n", printable(line))
	}
	switch {
	case len(result.Added)+len(result.Removed) == 0:
		a.printf("nothing to change\n")
	case !result.DryRun:
		a.progressf("%s has its rights changed: %d added, %d removed", printable(result.Role), len(result.Added), len(result.Removed))
	}
}
