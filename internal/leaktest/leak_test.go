package leaktest

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// everything lets the server log all that it can: each statement, those inside functions too, with its parameters.
var everything = map[string]string{
	"log_statement":                      "all",
	"log_min_duration_statement":         "0",
	"log_error_verbosity":                "verbose",
	"log_min_messages":                   "debug1",
	"log_min_error_statement":            "debug1",
	"log_connections":                    "on",
	"session_preload_libraries":          "auto_explain",
	"auto_explain.log_min_duration":      "0",
	"auto_explain.log_nested_statements": "on",
	"auto_explain.log_verbose":           "on",
}

// talkative is a server that logs everything, with gptoauth's schema.
func talkative(t *testing.T) *privatepg.Server {
	t.Helper()
	server, err := privatepg.Start(t.Context(), privatepg.Options{Settings: everything})
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Log(err)
		}
	})
	db, err := repo.Open(t.Context(), server.URL("postgres"), repo.PoolConfig{ReadTimeout: -1})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, migrations.Up(t.Context(), db))
	return server
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func password(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	secret, ok := u.User.Password()
	require.True(t, ok)
	return secret
}

// TestNothingLeaks runs a program that uses the whole API, has it fail in several ways, prints and logs whatever it gets,
// and panics in the end; then it looks for what that program was told in confidence.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	server := talkative(t)
	dsn, file := server.URL("postgres"), filepath.Join(t.TempDir(), "told.json")
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProgram$")
	program.Env = append(os.Environ(), dsnVariable+"="+dsn, fileVariable+"="+file, "GOTRACEBACK=system")
	output, err := program.CombinedOutput()
	require.Error(t, err)
	require.FileExists(t, file, string(output))
	require.Contains(t, string(output), "division by zero", "it panicked as it should")

	var told confidence
	require.NoError(t, json.Unmarshal([]byte(read(t, file)), &told))
	require.Greater(t, len(told.Grants), 10)
	h := newHunt()
	h.secret("the password", password(t, dsn))
	for _, grant := range told.Grants {
		h.grant(t, grant[:4], grant)
	}
	for _, secret := range told.Secrets {
		if secret != "" {
			h.secret("a verifier", secret)
		}
	}

	log := read(t, server.LogFile())
	require.Contains(t, log, "gpt_rotate_refresh_token_v1", "the log shows statements")
	require.Contains(t, log, "Query Text: WITH successor AS", "the log shows what functions do")
	require.Empty(t, h.in(string(output)), "printed")
	require.Empty(t, h.in(log), "logged by the server")
	t.Logf("%d secrets in %d forms are neither in %d bytes of output nor in %d bytes of the server's log",
		len(told.Grants)+len(told.Secrets)+1, len(h.forms), len(output), len(log))

	// The negative control: one token written into a statement on purpose.
	db, err := repo.Open(t.Context(), dsn, repo.PoolConfig{})
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "SELECT ?", []byte(told.Grants[0]))
	require.NoError(t, err)
	require.NotEmpty(t, h.in(read(t, server.LogFile())), "the test would not see a leak")
}

// TestTheCommandTellsNoSecret runs the command, its failures included, with a password in the URL.
func TestTheCommandTellsNoSecret(t *testing.T) {
	t.Parallel()
	server := talkative(t)
	command := filepath.Join(t.TempDir(), "gptoauth")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, "../../cmd/gptoauth").CombinedOutput()
	require.NoError(t, err, string(output))

	db, err := repo.Open(t.Context(), server.URL("postgres"), repo.PoolConfig{})
	require.NoError(t, err)
	defer db.Close()
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)

	const typed = "hunter2-and-more"
	h := newHunt()
	h.secret("the password", password(t, server.URL("postgres")))
	h.secret("the wrong password", typed)
	for _, token := range session.Tokens {
		h.grant(t, "token", token)
	}
	wrong := strings.Replace(server.URL("postgres"), password(t, server.URL("postgres")), typed, 1)
	told := 0
	for _, dsn := range []string{
		server.URL("postgres"), wrong, wrong + "?sslmode=nonsense", wrong + "?options=-c%20x=1", strings.Replace(wrong, "@", "%zz@", 1),
		strings.Replace(wrong, "127.0.0.1", "no.such.host.invalid", 1), "host=127.0.0.1 password=" + typed + " nonsense",
	} {
		for _, line := range []string{
			"migrate status", "migrate check", "migrate up --dry-run --show-sql", "demo", "doctor --invariants", "sessions list",
			"sessions show " + session.SessionID.String(), "users show " + session.ClerkUserID, "purge --dry-run",
			"users end " + session.ClerkUserID + " --reason test --yes", "nonsense " + typed, "--" + typed,
		} {
			for _, form := range []string{"", "--json"} {
				cmd := exec.CommandContext(t.Context(), command, strings.Fields(form+" "+line)...)
				cmd.Env = []string{"DATABASE_URL=" + dsn, "PATH=" + os.Getenv("PATH")}
				output, err := cmd.CombinedOutput() // most fail, as they should
				require.Empty(t, h.in(string(output)), "gptoauth %s %s (%v)", form, line, err)
				told += len(output)
			}
		}
	}
	require.Empty(t, h.in(read(t, server.LogFile())))
	t.Logf("no secret in %d bytes of output", told)
}
