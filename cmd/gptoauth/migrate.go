package main

import (
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/migrations"
)

func (a *app) migrateCommand() *cli.Command {
	return &cli.Command{
		Name:    "migrate",
		Aliases: []string{"db"},
		Usage:   "bring the schema up to date, and look after it",
		Description: `Every migration is one transaction, so an interrupt or a crash leaves nothing half done, and any number of servers
and people may migrate at once.

Examples:
  gptoauth migrate up                          # apply what is pending
  gptoauth migrate up --dry-run --show-sql     # show what that would run
  gptoauth migrate status                      # applied, pending, changed, unknown, ahead
  gptoauth migrate check || exit 1             # in a deployment: is the schema what this release needs?
  gptoauth migrate lock --reason "backup"      # nobody migrates until gptoauth migrate unlock
  gptoauth migrate grant auth_server           # a role that runs the store, and nothing else
  gptoauth migrate export supabase/migrations  # for those who apply files with another tool

The names of Bun's starter kit work too: gptoauth db migrate is gptoauth migrate up.`,
		Commands: []*cli.Command{
			a.upCommand(),
			a.rollbackCommand(),
			a.statusCommand(),
			a.checkCommand(),
			a.lockCommand(),
			a.unlockCommand(),
			a.grantCommand(),
			a.markAppliedCommand(),
			a.exportCommand(),
			a.initCommand(),
			a.createTxSQLCommand(),
			a.createSQLCommand(),
			a.createGoCommand(),
		},
	}
}

// migration is one in the output of --json.
type migration struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
	SQL       string    `json:"sql,omitempty"` // with --show-sql
}

func migrationOf(s migrations.State) migration {
	return migration{ID: s.ID, Name: s.Name, AppliedAt: s.AppliedAt.UTC()}
}

func fileOf(id, name string) string { return id + "_" + name }

func migrationsOf(planned []migrations.Planned, showSQL bool) []migration {
	list := make([]migration, len(planned))
	for i, p := range planned {
		list[i] = migration{ID: p.ID, Name: p.Name}
		if showSQL {
			list[i].SQL = p.SQL
		}
	}
	return list
}

// changes is what migrate up and migrate rollback have done, or with --dry-run would do.
type changes struct {
	DryRun     bool        `json:"dry_run"`
	Migrations []migration `json:"migrations"`
}

// planFlags are those of the two.
func planFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Usage: "only show what would be done"},
		&cli.BoolFlag{Name: "show-sql", Usage: "with --dry-run: show the SQL too"},
	}
}

func checkPlanFlags(cmd *cli.Command) error {
	if cmd.Bool("show-sql") && !cmd.Bool("dry-run") {
		return usageErrorf("--show-sql is for --dry-run")
	}
	return nil
}

// showPlan shows what would be done.
func (a *app) showPlan(cmd *cli.Command, planned []migrations.Planned, verb, nothing string) error {
	result := changes{DryRun: true, Migrations: migrationsOf(planned, cmd.Bool("show-sql"))}
	return a.show(result, func() {
		if len(planned) == 0 {
			a.printf("%s\n", nothing)
			return
		}
		for _, m := range result.Migrations {
			if m.SQL != "" {
				a.printf("%s\n\n%s\n", a.pen.Paint(draw.Strong, "-- "+fileOf(m.ID, m.Name)), m.SQL)
			} else {
				a.printf("would %s %s\n", verb, fileOf(m.ID, m.Name))
			}
		}
	})
}
