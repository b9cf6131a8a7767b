package main

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/migrate"
)

// What psql has run is what check wants.
func TestExportedFilesByPsql(t *testing.T) {
	t.Parallel()
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed; CI has it")
	}
	databaseURL, dir := emptyURL(t), filepath.Join(t.TempDir(), "supabase", "migrations")
	o := gptoauth(t, "", "migrate", "export", "--format", "supabase", dir)
	require.Equal(t, exitDone, o.code, o.stderr)
	files := strings.Fields(o.stdout)
	require.Len(t, files, len(known()))
	for i, file := range files {
		require.Equal(t, filepath.Join(dir, known()[i]+".sql"), file)
		out, err := exec.CommandContext(t.Context(), psql, "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-f", file, databaseURL).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "check").code)
	require.Equal(t, outcome{exitDone, "nothing is pending\n", ""}, gptoauth(t, databaseURL, "migrate", "up"))
}

func TestExportOverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	requireJSON(t, `{"format": "supabase", "dir": "`+dir+`", "files": ["`+strings.Join(known(), `.sql","`)+`.sql"]}`,
		gptoauth(t, "", "migrate", "export", "--json", dir))
	edited := filepath.Join(dir, known()[0]+".sql")
	require.NoError(t, os.WriteFile(edited, []byte("-- mine"), 0o600))
	o := gptoauth(t, "", "migrate", "export", dir)
	require.Equal(t, exitFailed, o.code)
	require.Contains(t, o.stderr, "gptoauth: migrate export: ")
	require.Contains(t, o.stderr, "is there with other content")
	content, err := os.ReadFile(edited)
	require.NoError(t, err)
	require.Equal(t, "-- mine", string(content))
}

// Bun finds what was created, in the order in which it was, although all of it happened within one second.
func TestCreatedFilesAreMigrations(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "db", "migrations")
	var files []string
	for _, step := range []struct {
		command, name string
		files         int
	}{
		{"create-go", "first", 1},
		{"create-tx-sql", "second", 2},
		{"create-sql", "third-one", 2},
	} {
		o := gptoauth(t, "", "migrate", step.command, step.name, "--dir", dir)
		require.Equal(t, exitDone, o.code, o.stderr)
		require.Len(t, strings.Fields(o.stdout), step.files)
		files = append(files, strings.Fields(o.stdout)...)
	}
	at, err := time.Parse(idFormat, filepath.Base(files[0])[:14])
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)

	found := migrate.NewMigrations()
	require.NoError(t, found.Discover(os.DirFS(dir)))
	var names []string
	for _, m := range found.Sorted() {
		names = append(names, m.Comment)
		require.NotNil(t, m.Up)
		require.NotNil(t, m.Down)
	}
	require.Equal(t, []string{"second", "third-one"}, names)
	require.IsIncreasing(t, []string{filepath.Base(files[0]), filepath.Base(files[1]), filepath.Base(files[3])})

	parsed, err := parser.ParseFile(token.NewFileSet(), files[0], nil, parser.AllErrors)
	require.NoError(t, err)
	require.Equal(t, "migrations", parsed.Name.Name)
}

// What was created runs as it stands, so that one can begin from something that works.
func TestCreatedSQLRuns(t *testing.T) {
	t.Parallel()
	databaseURL, dir := emptyURL(t), t.TempDir()
	requireJSON(t, `{"files": ["`+filepath.Join(dir, "20991231235959_a.up.sql")+`", "`+filepath.Join(dir, "20991231235959_a.down.sql")+`"]}`,
		withNewest(t, dir, "20991231235958_before.go", func() outcome { return gptoauth(t, "", "migrate", "create-sql", "a", "--dir", dir, "--json") }))
	require.Equal(t, exitDone, gptoauth(t, "", "migrate", "create-tx-sql", "b", "--dir", dir).code)

	found := migrate.NewMigrations()
	require.NoError(t, found.Discover(os.DirFS(dir)))
	migrator := migrate.NewMigrator(openTest(t, databaseURL), found)
	require.NoError(t, migrator.Init(t.Context()))
	group, err := migrator.Migrate(t.Context())
	require.NoError(t, err)
	require.Len(t, group.Migrations, 2)
	_, err = migrator.Rollback(t.Context())
	require.NoError(t, err)
}

func withNewest(t testing.TB, dir, file string, f func() outcome) outcome {
	t.Helper()
	path := filepath.Join(dir, file)
	require.NoError(t, os.WriteFile(path, []byte("package p"), 0o600))
	defer os.Remove(path)
	return f()
}

func TestPackageOfGoMigration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dir   string
		files fstest.MapFS
		want  string
	}{
		"FromFolder":  {"dbmigrations", nil, "dbmigrations"},
		"FromFiles":   {"db", fstest.MapFS{"a_test.go": {Data: []byte("package other_test")}, "b.go": {Data: []byte("package other")}}, "other"},
		"NoName":      {"2026", nil, "migrations"},
		"NoKeyword":   {"func", nil, "migrations"},
		"Hyphens":     {"my-migrations", nil, "mymigrations"},
		"BrokenFiles": {"db", fstest.MapFS{"a.go": {Data: []byte("-")}}, "db"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), test.dir)
			require.NoError(t, os.CopyFS(dir, test.files))
			o := gptoauth(t, "", "migrate", "create-go", "x", "--dir", dir)
			require.Equal(t, exitDone, o.code, o.stderr)
			content, err := os.ReadFile(strings.TrimSpace(o.stdout))
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(content), "package "+test.want+"\n"), string(content))
		})
	}
}
