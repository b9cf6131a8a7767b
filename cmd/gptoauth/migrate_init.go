package main

import (
	"context"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
)

type initResult struct {
	Tables []string `json:"tables"`
}

func (a *app) initCommand() *cli.Command {
	return &cli.Command{
		Name:        "init",
		Usage:       "make the bookkeeping tables, which up does itself",
		Description: "For those who give the role that migrates no right to create tables later on. Where they are there already it does nothing.",
		Action: func(ctx context.Context, _ *cli.Command) error {
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			if err := migrations.Init(ctx, db); err != nil {
				return err
			}
			result := initResult{Tables: []string{"public.gpt_migrations", "public.gpt_migration_locks"}}
			return a.show(result, func() {
				for _, table := range result.Tables {
					a.printf("%s\n", table)
				}
			})
		},
	}
}
