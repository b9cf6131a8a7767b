package repo_test

import (
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

// value is all that may differ between two statements of one call: a literal, NULL, a number. A plain literal has no
// backslash, so that it ends in the same place whatever standard_conforming_strings is.
var value = regexp.MustCompile(`E'(?:[^'\\]|''|\\\\)*'|'(?:[^'\\]|'')*'|\bNULL\b|[0-9]+`)

// TestNoInputBecomesSQL reads what arrived from the server's own log: statements for odd texts are those for plain ones,
// but for their literals. And no secret is in it.
func TestNoInputBecomesSQL(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{Settings: map[string]string{
		"log_statement": "all", "log_destination": "csvlog", "logging_collector": "on", "log_filename": "statements", "log_rotation_size": "0",
	}})
	require.NoError(t, err)
	storeNamed := func(name string) *repo.Store {
		db, err := repo.Open(t.Context(), server.URL("postgres"), repo.PoolConfig{ApplicationName: name})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		require.NoError(t, migrations.Up(t.Context(), db))
		store, err := repo.New(db, repo.Config{})
		require.NoError(t, err)
		return store
	}
	// The first opens with what is not compared.
	storeNamed("setup")
	var secrets []string
	for name, texts := range map[string][]string{"plain": {"a"}, "odd": oddTexts} {
		store := storeNamed(name)
		for _, text := range texts {
			secrets = append(secrets, requireRoundTrip(t, store, sent{
				text, text, "https://example.com/" + text, text, "urn:" + text, `{"a":"` + text + `"}`, text, text, `{"b":"` + text + `"}`,
			})...)
		}
		_, err := store.DB().ExecContext(t.Context(), "SELECT 'the end of "+name+"'")
		require.NoError(t, err)
	}

	file := filepath.Join(server.DataDir(), "log", "statements.csv")
	var log map[string][]string
	require.Eventually(t, func() bool {
		log = statements(t, file)
		return ended(log["plain"]) && ended(log["odd"])
	}, time.Minute, 100*time.Millisecond, "the log is written by a process of its own")

	templates := make(map[string]bool)
	for _, statement := range log["plain"] {
		templates[value.ReplaceAllString(statement, "0")] = true
	}
	require.GreaterOrEqual(t, len(templates), 8, "one a call at least")
	require.Greater(t, len(log["odd"]), 10*len(oddTexts))
	for _, statement := range log["odd"] {
		require.True(t, templates[value.ReplaceAllString(statement, "0")], "no template for %.2000q", statement)
	}

	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Greater(t, len(secrets), 4*len(oddTexts))
	for _, secret := range secrets {
		require.Zero(t, strings.Count(string(written), secret), "a secret in the log")
	}

	// That this would find something.
	template := value.ReplaceAllString("SELECT public.f('a', NULL)", "0")
	for _, text := range []string{`'); DROP TABLE x; --`, `\' OR true --`, `'`, `a' || 'b`} {
		require.NotEqual(t, template, value.ReplaceAllString("SELECT public.f('"+text+"', NULL)", "0"))
	}
}

func ended(statements []string) bool {
	return len(statements) > 0 && strings.HasPrefix(statements[len(statements)-1], "SELECT 'the end of ")
}

// statements are those of a log by application_name, in their order.
func statements(t *testing.T, file string) map[string][]string {
	t.Helper()
	const message, application = 13, 22 // columns of csvlog
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	found := make(map[string][]string)
	reader := csv.NewReader(f)
	reader.FieldsPerRecord = -1 // more from version to version
	for {
		record, err := reader.Read()
		if err == io.EOF {
			return found
		}
		if err != nil { // the last line is being written
			return nil
		}
		if statement, ok := strings.CutPrefix(record[message], "statement: "); ok {
			found[record[application]] = append(found[record[application]], statement)
		}
	}
}
