package main

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
)

const (
	idFormat   = "20060102150405" // UTC
	defaultDir = "migrations"
)

var (
	migrationName = regexp.MustCompile(`^[0-9a-z_-]{1,100}$`) // Bun's rule
	migrationID   = regexp.MustCompile(`^(\d{14})_`)
	notInPackage  = regexp.MustCompile(`[^a-z0-9_]`)
)

type createResult struct {
	Files []string `json:"files"`
}

// newFile is one to be created: its name continues with suffix after the id and the name.
type newFile struct {
	suffix  string
	content func(dir string) string
}

func (a *app) createTxSQLCommand() *cli.Command {
	return a.createCommand(&cli.Command{
		Name:    "create-tx-sql",
		Aliases: []string{"create_tx_sql"},
		Usage:   "begin a migration of your own, in SQL that runs in a transaction",
	}, newFile{".tx.up.sql", txSQL}, newFile{".tx.down.sql", txSQL})
}

func (a *app) createSQLCommand() *cli.Command {
	return a.createCommand(&cli.Command{
		Name:    "create-sql",
		Aliases: []string{"create_sql"},
		Usage:   "begin a migration of your own, in SQL without a transaction",
	}, newFile{".up.sql", plainSQL}, newFile{".down.sql", plainSQL})
}

func (a *app) createGoCommand() *cli.Command {
	return a.createCommand(&cli.Command{
		Name:    "create-go",
		Aliases: []string{"create_go"},
		Usage:   "begin a migration of your own, in Go",
	}, newFile{".go", goSource})
}

// createCommand completes one of the three. They make migrations of the host, for a Bun migrator of its own; gptoauth's
// come with the release.
func (a *app) createCommand(cmd *cli.Command, files ...newFile) *cli.Command {
	cmd.Description = fmt.Sprintf(`Writes new files, named by the time as Bun's migrator wants it, for your own tables: gptoauth's migrations come with its
release, and migrate up does not run yours. NAME is of lower-case letters, digits, _ and -. It needs no database.

Examples:
  gptoauth migrate %s add_profiles
  gptoauth migrate %s --dir internal/db/migrations add_profiles`, cmd.Name, cmd.Name)
	cmd.Flags = []cli.Flag{&cli.StringFlag{Name: "dir", Usage: "where the migrations are; made if need be", Value: defaultDir}}
	cmd.Arguments = []cli.Argument{&cli.StringArg{Name: "name", UsageText: "NAME"}}
	cmd.Action = func(_ context.Context, cmd *cli.Command) error {
		result, err := createMigration(cmd.String("dir"), cmd.StringArg("name"), files)
		if err != nil {
			return err
		}
		return a.show(result, func() {
			for _, file := range result.Files {
				a.printf("%s\n", file)
			}
		})
	}
	return cmd
}

func createMigration(dir, name string, files []newFile) (createResult, error) {
	if !migrationName.MatchString(name) {
		return createResult{}, usageErrorf("NAME must be of lower-case letters, digits, _ and -, and at most 100 of them")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // source code, no secret
		return createResult{}, err
	}
	id, err := nextID(dir, time.Now())
	if err != nil {
		return createResult{}, err
	}
	var result createResult
	for _, file := range files {
		path := filepath.Join(dir, fileOf(id, name)+file.suffix)
		if err := writeNew(path, file.content(dir)); err != nil {
			return createResult{}, err
		}
		result.Files = append(result.Files, path)
	}
	return result, nil
}

// nextID is the time, or a second after the newest migration in dir, so that the order in which they are created is that
// in which they run.
func nextID(dir string, now time.Time) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	next := now.UTC().Truncate(time.Second)
	for _, entry := range entries {
		match := migrationID.FindStringSubmatch(entry.Name())
		if match == nil {
			continue
		}
		if taken, err := time.Parse(idFormat, match[1]); err == nil && !taken.Before(next) {
			next = taken.Add(time.Second)
		}
	}
	return next.Format(idFormat), nil
}

func writeNew(path, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // source code, no secret
	if err != nil {
		return err
	}
	if _, err := file.WriteString(content); err != nil {
		_ = file.Close() // the first error counts
		return err
	}
	return file.Close()
}

func txSQL(string) string {
	return `-- What this changes, and why.

SET LOCAL lock_timeout = '1s'; -- rather fail than let all traffic queue behind this

SELECT 1;
`
}

func plainSQL(string) string {
	return `-- What this changes, and why without a transaction. If it fails half way, half is done.

SELECT 1

--bun:split

SELECT 2
`
}

func goSource(dir string) string {
	return `package ` + packageIn(dir) + `

import (
	"context"

	"github.com/uptrace/bun"
)

func init() { // Migrations is a *migrate.Migrations that another file of this package makes.
	Migrations.MustRegister(func(ctx context.Context, db *bun.DB) error {
		_, err := db.ExecContext(ctx, "SELECT 1")
		return err
	}, func(ctx context.Context, db *bun.DB) error {
		_, err := db.ExecContext(ctx, "SELECT 1")
		return err
	})
}
`
}

// packageIn is the package of the Go files in dir, or what one would call it.
func packageIn(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.go")) // a bad pattern matches nothing
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
		if err == nil && !strings.HasSuffix(parsed.Name.Name, "_test") {
			return parsed.Name.Name
		}
	}
	name := defaultDir
	if path, err := filepath.Abs(dir); err == nil {
		name = notInPackage.ReplaceAllString(strings.ToLower(filepath.Base(path)), "")
	}
	if !token.IsIdentifier(name) {
		return defaultDir
	}
	return name
}
