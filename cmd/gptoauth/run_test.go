package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// outcome is what one run of the program has left.
type outcome struct {
	code           int
	stdout, stderr string
}

// gptoauth runs the program with DATABASE_URL set to databaseURL, if there is one, and nothing else in the environment.
func gptoauth(t testing.TB, databaseURL string, args ...string) outcome {
	t.Helper()
	return runWith(t.Context(), t, map[string]string{databaseVariable: databaseURL}, strings.NewReader(""), args...)
}

func runWith(ctx context.Context, t testing.TB, env map[string]string, stdin io.Reader, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, append([]string{programName}, args...), stdin, &stdout, &stderr, func(name string) string { return env[name] })
	o := outcome{code, stdout.String(), stderr.String()}
	require.NotContains(t, o.stdout+o.stderr, "\x1b", "a file is no terminal")
	if u, err := url.Parse(env[databaseVariable]); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok && password != "" {
			require.NotContains(t, o.stdout+o.stderr, password)
		}
	}
	return o
}

// emptyURL is the URL of a database without anything in it.
func emptyURL(t testing.TB) string {
	t.Helper()
	databaseURL := repotest.URL(t)
	execIn(t, databaseURL, `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	return databaseURL
}

func openTest(t testing.TB, databaseURL string) *bun.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), databaseURL, repo.PoolConfig{MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execIn(t testing.TB, databaseURL string, queries ...string) {
	t.Helper()
	db := openTest(t, databaseURL)
	for _, query := range queries {
		_, err := db.DB.ExecContext(t.Context(), query)
		require.NoError(t, err)
	}
}

func schemaOf(t testing.TB, databaseURL string) []string {
	t.Helper()
	lines, err := migrations.Describe(t.Context(), openTest(t, databaseURL))
	require.NoError(t, err)
	return lines
}

var (
	anyTime = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
	anyAge  = regexp.MustCompile(`("age_seconds": )[0-9.e-]+`)
)

// requireJSON compares what is on stdout, with every time (in UTC) as "TIME" and every age as 0.
func requireJSON(t testing.TB, want string, o outcome) {
	t.Helper()
	got := anyAge.ReplaceAllString(anyTime.ReplaceAllString(o.stdout, `"TIME"`), "${1}0")
	require.JSONEq(t, want, got)
	require.Truef(t, strings.HasSuffix(o.stdout, "}\n"), "unfinished line: %q", o.stdout)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	const secret = "postgres://ada:hunter2@db.example.com/app"
	for name, test := range map[string]struct {
		args   []string
		stderr string
	}{
		"Nothing":             {nil, "gptoauth: name a command: demo, doctor, migrate"},
		"Group":               {[]string{"migrate"}, "gptoauth: migrate: name a command: up, rollback"},
		"Typo":                {[]string{"migrate", "statsu"}, "gptoauth: migrate: there is no command statsu; did you mean status? (see gptoauth migrate --help)"},
		"URLForCommand":       {[]string{secret}, "gptoauth: there is an argument where a command is wanted (see gptoauth --help)"},
		"URLForCommandHelp":   {[]string{secret, "--help"}, "gptoauth: there is no such command (see gptoauth --help)"},
		"URLForSubcommand":    {[]string{"migrate", secret}, "gptoauth: migrate: there is an argument where a command is wanted"},
		"URLForArgument":      {[]string{"migrate", "up", secret}, "gptoauth: migrate up: there is an argument and none is wanted"},
		"URLForFlag":          {[]string{"migrate", "up", "--" + secret}, "gptoauth: migrate up: there is an unknown flag"},
		"URLForSteps":         {[]string{"migrate", "rollback", "--steps", secret}, "gptoauth: migrate rollback: the value of --steps is not of its kind"},
		"URLForFormat":        {[]string{"migrate", "export", "--format", secret, "dir"}, "gptoauth: migrate export: --format is unknown, want supabase"},
		"URLForName":          {[]string{"migrate", "create-go", "--dir", "nowhere", secret}, "gptoauth: migrate create-go: NAME must be of"},
		"URLForJSON":          {[]string{"version", "--json=" + secret}, "gptoauth: version: the value of --json is not of its kind"},
		"UnknownFlag":         {[]string{"migrate", "up", "--databse-url=" + secret}, "gptoauth: migrate up: there is no flag --databse-url (see"},
		"FlagWithoutValue":    {[]string{"migrate", "up", "--database-url"}, "gptoauth: migrate up: flag needs an argument: --database-url"},
		"MissingName":         {[]string{"migrate", "create-go"}, "gptoauth: migrate create-go: NAME is missing"},
		"TwoNames":            {[]string{"migrate", "create-sql", "a", "b"}, "gptoauth: migrate create-sql: there are 2 arguments and only 1 wanted"},
		"NameWithCapitals":    {[]string{"migrate", "create-sql", "--dir", "nowhere", "AddUsers"}, "gptoauth: migrate create-sql: NAME must be of lower-case"},
		"MissingDir":          {[]string{"migrate", "export"}, "gptoauth: migrate export: DIR is missing"},
		"EmptyDir":            {[]string{"migrate", "export", ""}, "gptoauth: migrate export: DIR is empty"},
		"NoSteps":             {[]string{"migrate", "rollback", "--steps", "0"}, "gptoauth: migrate rollback: --steps is 0, want at least 1"},
		"SQLWithoutDryRun":    {[]string{"migrate", "up", "--show-sql"}, "gptoauth: migrate up: --show-sql is for --dry-run"},
		"SQLWithoutDryRun2":   {[]string{"migrate", "rollback", "--show-sql"}, "gptoauth: migrate rollback: --show-sql is for --dry-run"},
		"BadURL":              {[]string{"migrate", "up", "--database-url", "postgres://ada:hunter2@:x/app"}, "gptoauth: migrate up: the DSN's port must be"},
		"NotAURL":             {[]string{"--database-url", "hunter2", "migrate", "up"}, "gptoauth: migrate up: the DSN must be a postgres:// URL"},
		"RuntimeParameterURL": {[]string{"--database-url", secret + "?search_path=x", "migrate", "up"}, "gptoauth: migrate up: the DSN's search_path is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := gptoauth(t, "", test.args...)
			require.Equal(t, exitUsage, o.code)
			require.Empty(t, o.stdout)
			require.Contains(t, o.stderr, test.stderr)
			require.Equal(t, 1, strings.Count(o.stderr, "\n"), "more than one line: %s", o.stderr)
			require.NotContains(t, o.stderr, "hunter2")
		})
	}
	require.NoDirExists(t, "nowhere")
}

// Every command that needs a database says what to set.
func TestWithoutDatabase(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"init", "up", "rollback", "status", "check", "lock", "unlock", "mark-applied"} {
		o := gptoauth(t, "", "migrate", command)
		require.Equal(t, exitUsage, o.code, command)
		require.Empty(t, o.stdout, command)
		require.Contains(t, o.stderr, "gptoauth: migrate "+command+": no database is named: set DATABASE_URL, or --database-url, to postgres://", command)
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, "postgres://ada:hunter2@127.0.0.1:1/app", "migrate", "up")
	require.Equal(t, exitFailed, o.code)
	require.Contains(t, o.stderr, "gptoauth: migrate up: connect to the database: dial tcp 127.0.0.1:1")
	require.Equal(t, 1, strings.Count(o.stderr, "\n"))
}

// The flag is the nearer one.
func TestDatabaseURLFlagComesFirst(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, "postgres://127.0.0.1:1/other", "--database-url", repotest.URL(t), "migrate", "check")
	require.Equal(t, outcome{exitDone, "the schema is what this release needs\n", ""}, o)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"migrate", "up", "--help"},
		{"migrate", "up", "-h"},
		{"help", "migrate", "up"},
		{"migrate", "help", "up"},
		{"help", "db", "migrate"},
	} {
		o := gptoauth(t, "postgres://ada:hunter2@127.0.0.1/app", args...)
		require.Equal(t, exitDone, o.code, args)
		require.Empty(t, o.stderr, args)
		require.Contains(t, o.stdout, "gptoauth migrate up --dry-run", args)
		require.Contains(t, o.stdout, "--show-sql", args)
	}
	for _, args := range [][]string{{"--help"}, {"help"}} {
		o := gptoauth(t, "", args...)
		require.Equal(t, exitDone, o.code, args)
		require.Contains(t, o.stdout, "Exit codes: 0 done", args)
	}
}

// Every command says what it is for and, unless that is all there is to say, how it is used.
func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, "", "migrate", "--help")
	for _, command := range []string{
		"up, migrate", "rollback", "status", "check", "lock", "unlock", "mark-applied, mark_applied", "export", "init",
		"create-tx-sql, create_tx_sql", "create-sql, create_sql", "create-go, create_go",
	} {
		require.Regexp(t, `\n   `+command+` +[a-z]`, o.stdout)
		first, _, _ := strings.Cut(command, ",")
		require.Contains(t, gptoauth(t, "", "migrate", first, "--help").stdout, "DESCRIPTION:", command)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, "", "version")
	require.Equal(t, exitDone, o.code)
	require.Regexp(t, `^gptoauth \S+ \(go1\.\S+, \w+/\w+\)\nnewest migration \d{14}_\w+, schema [0-9a-f]{12}\n$`, o.stdout)

	o = gptoauth(t, "", "--json", "version")
	for _, field := range []string{"version", "go", "platform", "newest_migration", "schema_digest"} {
		require.Regexp(t, `"`+field+`": "\S+"`, o.stdout)
	}
	require.Contains(t, o.stdout, migrations.Digest())
}

// fullDisk is a file that takes no more.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestUnwritableOutputIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"version", "--json"}} {
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{programName}, args...), strings.NewReader(""), fullDisk{}, &stderr, func(string) string { return "" })
		require.Equal(t, exitFailed, code)
		require.Contains(t, stderr.String(), "no space left on device")
	}
}
