package main

import (
	"context"
	"path/filepath"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
)

const formatSupabase = "supabase"

type exportResult struct {
	Format string   `json:"format"`
	Dir    string   `json:"dir"`
	Files  []string `json:"files"`
}

func (a *app) exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write the migrations as files for another tool",
		Description: `Writes one SQL file a migration, named as the Supabase CLI wants it. Each is one statement, records what it has done, and
does nothing where that is recorded already: migrate check is content afterwards. A file that is there with other content
is not overwritten. It needs no database.

Examples:
  gptoauth migrate export --format supabase supabase/migrations && supabase db push
  gptoauth migrate export sql && for f in sql/*.sql; do psql -v ON_ERROR_STOP=1 -f "$f" "$DATABASE_URL"; done`,
		Flags:     []cli.Flag{&cli.StringFlag{Name: "format", Usage: "supabase, the only one so far", Value: formatSupabase}},
		Arguments: []cli.Argument{&cli.StringArg{Name: "dir", UsageText: "DIR"}},
		Action: func(_ context.Context, cmd *cli.Command) error {
			if cmd.String("format") != formatSupabase {
				return usageErrorf("--format is unknown, want %s", formatSupabase)
			}
			result := exportResult{Format: formatSupabase, Dir: cmd.StringArg("dir")}
			if result.Dir == "" {
				return usageErrorf("DIR is empty")
			}
			var err error
			if result.Files, err = migrations.Export(result.Format, result.Dir); err != nil {
				return err
			}
			return a.show(result, func() {
				for _, file := range result.Files {
					a.printf("%s\n", filepath.Join(result.Dir, file))
				}
			})
		},
	}
}
