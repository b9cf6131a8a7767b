package main

import "github.com/urfave/cli/v3"

func (a *app) tokensCommand() *cli.Command {
	return &cli.Command{
		Name:  "tokens",
		Usage: "look into refresh tokens",
		Description: `A session is a family of refresh tokens: each refresh replaces the current one by its successor. A token that has been
replaced and comes back later than the grace period allows has been stolen or restored from a backup, and ends its family.

Examples:
  gptoauth tokens trace < token.txt      # what became of this token, and of its family?
  gptoauth tokens trace 3f9ac2           # likewise, by the beginning of its SHA-256
  gptoauth tokens stats                  # how many families live, how often they refresh`,
		Commands: []*cli.Command{
			a.tokensTraceCommand(),
			a.tokensStatsCommand(),
		},
	}
}
