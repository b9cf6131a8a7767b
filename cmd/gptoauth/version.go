package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
)

const unknown = "unknown" // what the system does not tell

type versionResult struct {
	Version         string `json:"version"`
	Go              string `json:"go"`
	Platform        string `json:"platform"`
	NewestMigration string `json:"newest_migration"`
	SchemaDigest    string `json:"schema_digest"` // equal for releases with the same migrations
}

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "show which release this is, and which schema it wants",
		Action: func(context.Context, *cli.Command) error {
			registered := migrations.Migrations.Sorted()
			newest := registered[len(registered)-1]
			result := versionResult{
				Version:         version(),
				Go:              runtime.Version(),
				Platform:        runtime.GOOS + "/" + runtime.GOARCH,
				NewestMigration: newest.Name + "_" + newest.Comment,
				SchemaDigest:    migrations.Digest(),
			}
			return a.show(result, func() {
				a.printf("%s %s (%s, %s)\n", programName, result.Version, result.Go, result.Platform)
				a.printf("newest migration %s, schema %.12s\n", result.NewestMigration, result.SchemaDigest)
			})
		},
	}
}

// version is that of the module, as the go command has stamped it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return unknown
}
