package migrations

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed sql/export.sql
var exportSQL string

// The quotes around what an exported file executes. No migration may contain them.
const (
	bookkeepingQuote = "$gptoauth_bookkeeping$"
	migrationQuote   = "$gptoauth_migration$"
)

// Export writes the migrations to dir, which it creates if need be, as <14 digits>_<name>.sql, and returns the files'
// names. format is "supabase", the only one so far: forward only, for psql or the Supabase CLI.
//
// Each file is one statement, so that it happens as a whole or not at all, whoever sends it, and it ends with the same
// record that [Up] makes: [Check] is content afterwards, and where the migration is recorded already the file does nothing.
// A file that is there with other content is not overwritten, and then none is written; the error wraps fs.ErrExist.
func Export(format, dir string) ([]string, error) {
	return embedded.export(format, dir)
}

func (s *set) export(format, dir string) ([]string, error) {
	if format != "supabase" {
		return nil, fmt.Errorf("migrations: export: unknown format %q, want \"supabase\"", format)
	}
	var names []string
	contents := make(map[string]string)
	for _, src := range s.sources {
		name := src.id + "_" + src.name + ".sql"
		content, err := exported(src)
		if err != nil {
			return nil, fmt.Errorf("migrations: export: %w", err)
		}
		if err := refuseOther(filepath.Join(dir, name), content); err != nil {
			return nil, fmt.Errorf("migrations: export: %w", err)
		}
		names = append(names, name)
		contents[name] = content
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // SQL for a repository, no secret
		return nil, fmt.Errorf("migrations: export: %w", err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(contents[name]), 0o644); err != nil { //nolint:gosec // as above
			return nil, fmt.Errorf("migrations: export: %w", err)
		}
	}
	return names, nil
}

func exported(src source) (string, error) {
	if strings.Contains(src.up, "$gptoauth_") {
		return "", fmt.Errorf("%s_%s contains the quote of the exported file", src.id, src.name)
	}
	return strings.NewReplacer(
		"@id@", src.id,
		"@name@", src.name,
		"@checksum@", src.checksum,
		"@key@", strconv.FormatInt(advisoryKey, 10),
		"@lock_timeout@", lockTimeout,
		"@bookkeeping@", bookkeepingQuote+"\n"+bookkeepingSQL+bookkeepingQuote,
		"@migration@", migrationQuote+"\n"+src.up+migrationQuote,
	).Replace(exportSQL), nil
}

func refuseOther(path, content string) error {
	found, err := os.ReadFile(path) //nolint:gosec // the caller names the folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case bytes.Equal(found, []byte(content)):
		return nil
	}
	return fmt.Errorf("%s is there with other content: %w", path, fs.ErrExist)
}
