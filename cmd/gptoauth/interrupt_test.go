package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An interrupt ends what the server is doing: the driver alone would wait for it, here for ten minutes.
func TestInterruptUndoesTheMigrationThatRuns(t *testing.T) {
	t.Parallel()
	databaseURL := emptyURL(t)
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "init").code)
	execIn(t, databaseURL,
		`CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); END'`,
		`CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.slow()`)
	before := schemaOf(t, databaseURL)

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout, stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{programName, "--database-url", databaseURL, "migrate", "up"}, strings.NewReader(""), &stdout, &stderr,
			func(string) string { return "" })
	}()
	db := openTest(t, databaseURL)
	sleeping := func() bool {
		var sleeps bool
		err := db.QueryRowContext(t.Context(), `
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')`).Scan(&sleeps)
		return err == nil && sleeps
	}
	require.Eventually(t, sleeping, 20*time.Second, 10*time.Millisecond)

	interrupt()
	select {
	case code := <-ended:
		require.Equal(t, outcome{
			exitFailed, "", "gptoauth: migrate up: interrupted: what was not committed is undone, nothing is half done\n",
		}, outcome{code, stdout.String(), stderr.String()})
	case <-time.After(20 * time.Second):
		t.Fatal("still running")
	}
	require.False(t, sleeping(), "the server goes on")
	require.Equal(t, before, schemaOf(t, databaseURL))
}
