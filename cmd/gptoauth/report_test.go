package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/report"
	"github.com/gptoauth/gptoauth/internal/ageing"
	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestReportUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "notes.html")
	require.NoError(t, os.WriteFile(other, []byte("<!doctype html>\nmine, with "+report.Beginning), 0o600))
	empty, dangling := filepath.Join(dir, "empty.html"), filepath.Join(dir, "dangling.html")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	require.NoError(t, os.Symlink("nowhere.html", dangling))
	for stderr, args := range map[string][]string{
		"--out is missing: name a file for the page, or - for stdout": {},
		"--out - and --json both want stdout":                         {"--out", "-", "--json"},
		"--days is 0, want 1 to 400":                                  {"--out", "-", "--days", "0"},
		"--days is 401, want 1 to 400":                                {"--out", "-", "--days", "401"},
		"the value of --days is not of its kind":                      {"--out", "-", "--days", "week"},
		"--timeout is -1s, want 1ms to 576h, or 0 for never":          {"--out", "-", "--timeout", "-1s"},
		"--timeout is 900µs, want 1ms to 576h, or 0 for never":        {"--out", "-", "--timeout", "900us"},
		"--timeout is 1000h0m0s, want 1ms to 576h, or 0 for never":    {"--out", "-", "--timeout", "1000h"},
		"--events is not a duration":                                  {"--out", "-", "--events", "soon"},
		"--out is a folder or a device, not a file":                   {"--out", dir},
		"--out exists and was not written by gptoauth report: name":   {"--out", other},
		"--out exists and was not written by gptoauth report:":        {"--out", empty},
		"--out is a link that leads nowhere":                          {"--out", dangling},
		"no database is named":                                        {"--out", "-"},
		"there is an argument and none is wanted":                     {"report.html"},
	} {
		o := gptoauth(t, "", append([]string{"report"}, args...)...)
		require.Equal(t, exitUsage, o.code, o.stderr)
		require.Empty(t, o.stdout)
		require.Contains(t, o.stderr, "gptoauth: report: "+stderr)
		require.Equal(t, 1, strings.Count(o.stderr, "\n"))
	}
	o := gptoauth(t, "", "report", "--out", filepath.Join(dir, "nowhere", "report.html"))
	require.Equal(t, exitFailed, o.code)
	require.Contains(t, o.stderr, "no such file or directory")
	o = gptoauth(t, "", "report", "--out", filepath.Join(other, "report.html"))
	require.Equal(t, exitFailed, o.code)
	require.Contains(t, o.stderr, "not a directory")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 3, "no temporary file is left")
	content, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Contains(t, string(content), "mine")
}

func TestReportWritesAFileOrStdout(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	storyEnd := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	require.NoError(t, ageing.All(t.Context(), openTest(t, databaseURL), -time.Since(storyEnd))) // it has just ended
	dir := t.TempDir()
	path, link := filepath.Join(dir, "report.html"), filepath.Join(dir, "latest.html")

	o := gptoauth(t, databaseURL, "report", "--out", path, "--days", "30")
	require.Equal(t, outcome{exitDone, path + "\n", ""}, o)
	first, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, modeByUmask(t), first.Mode())
	require.NoError(t, os.Chmod(path, 0o640))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "<h1>The last 30 days</h1>")
	require.Contains(t, string(page), "Someone should look at this", "the story is in it")
	for _, secret := range []string{"user_2ada", "user_2eve", "198.51.100.7", "203.0.113.66", storySession, digestOf("a1"), "gopher, remote", "gptr_"} {
		require.NotContains(t, string(page), secret)
	}

	require.NoError(t, os.Symlink("report.html", link))
	o = gptoauth(t, databaseURL, "report", "--out", link, "--days", "1", "--json")
	require.Equal(t, outcome{exitDone, o.stdout, ""}, o)
	require.True(t, json.Valid([]byte(o.stdout)))
	page, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "<h1>The last 24 hours</h1>", "an earlier report is replaced, where the link leads")
	second, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), second.Mode(), "whom it was closed to")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2, "nothing else is left")

	o = gptoauth(t, databaseURL, "report", "--out", "-")
	require.Equal(t, exitDone, o.code)
	require.Empty(t, o.stderr)
	require.True(t, strings.HasPrefix(o.stdout, "<!doctype html>\n"), o.stdout[:40])
	require.True(t, strings.HasSuffix(o.stdout, "</html>\n"))
}

// modeByUmask is what a file gets that no one chooses a mode for.
func modeByUmask(t *testing.T) os.FileMode {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	return info.Mode()
}

// What was written to the file while the report was read is left, and JSON does not go where the page goes.
func TestReportLeavesWhatOthersWrite(t *testing.T) {
	t.Parallel()
	a := &app{}
	path := filepath.Join(t.TempDir(), "report.html")
	file, err := a.openReportFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
	require.ErrorContains(t, file.write(t.Context(), []byte(report.Beginning)), "--out exists and was not written by gptoauth report")
	file.discard()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "mine", string(content))

	require.NoError(t, os.WriteFile(path, []byte(report.Beginning), 0o600))
	stdout, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	defer stdout.Close()
	var stderr bytes.Buffer
	code := run(t.Context(), []string{programName, "report", "--out", path, "--json"}, strings.NewReader(""), stdout, &stderr, func(string) string { return "" })
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr.String(), "--out and stdout are the same file")
}

func TestReportFromADatabaseThatIsNone(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, emptyURL(t), "report", "--out", "-")
	require.Equal(t, outcome{exitFailed, "", "gptoauth: report: the tables of gptoauth are not in this database; gptoauth migrate up makes them\n"}, o)
}

// An application role may read all but codes, so that what it cannot see is missing and not zero.
func TestReportOfAnApplicationRole(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{}) // of its own, because roles belong to a server
	require.NoError(t, err)
	databaseURL := server.URL("postgres")
	execIn(t, databaseURL, "CREATE ROLE auth_server LOGIN PASSWORD 'not-secret'", "CREATE ROLE stranger LOGIN PASSWORD 'not-secret'")
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "up").code)
	execIn(t, databaseURL, storySQL)
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "migrate", "grant", "auth_server").code)
	type result struct {
		Activity  *struct{} `json:"activity"`
		Living    *struct{} `json:"living"`
		Ended     *struct{} `json:"ended"`
		Storage   *struct{} `json:"storage"`
		Retention *struct {
			Kinds []struct{} `json:"kinds"`
		} `json:"retention"`
		Gaps []struct {
			Figure string `json:"figure"`
			Reason string `json:"reason"`
		} `json:"gaps"`
	}
	as := func(role string) (r result) {
		u, err := url.Parse(databaseURL)
		require.NoError(t, err)
		u.User = url.UserPassword(role, "not-secret")
		o := gptoauth(t, u.String(), "report", "--json", "--days", "400")
		require.Equal(t, exitDone, o.code, o.stderr)
		require.NoError(t, json.Unmarshal([]byte(o.stdout), &r))
		return r
	}
	r := as("auth_server")
	require.Len(t, r.Gaps, 1)
	require.Equal(t, "retention: expired codes", r.Gaps[0].Figure)
	require.Len(t, r.Retention.Kinds, 3, "the others are seen")
	require.Contains(t, r.Gaps[0].Reason, "gpt_authorization_codes")
	require.NotNil(t, r.Activity)
	require.NotNil(t, r.Living)
	require.NotNil(t, r.Ended)
	r = as("stranger")
	require.Nil(t, r.Activity)
	require.Nil(t, r.Living)
	require.NotNil(t, r.Storage)
	require.Nil(t, r.Retention)
	require.Contains(t, r.Gaps[0].Reason, "connect as the owner of the tables, or as a role with SELECT on them and BYPASSRLS")
}

func TestReportThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	var stderr bytes.Buffer
	code := run(t.Context(), []string{programName, "--database-url", databaseURL, "report", "--out", "-"}, strings.NewReader(""), fullDisk{}, &stderr,
		func(string) string { return "" })
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "no space left on device")
}

// An interrupt leaves the report that was there, and nothing else.
func TestInterruptedReportLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	path := filepath.Join(t.TempDir(), "report.html")
	require.Equal(t, exitDone, gptoauth(t, databaseURL, "report", "--out", path).code)
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	db := openTest(t, databaseURL)
	holder, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = holder.Rollback() }()
	_, err = holder.ExecContext(t.Context(), "LOCK TABLE public.gpt_oauth_events")
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan outcome, 1)
	go func() {
		var stdout, stderr bytes.Buffer
		code := run(ctx, []string{programName, "--database-url", databaseURL, "report", "--out", path, "--timeout", "0"}, strings.NewReader(""), &stdout, &stderr,
			func(string) string { return "" })
		ended <- outcome{code, stdout.String(), stderr.String()}
	}()
	waiting := func() bool {
		var waits bool
		err := db.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits)
		return err == nil && waits
	}
	require.Eventually(t, waiting, 20*time.Second, 10*time.Millisecond)
	interrupt()
	select {
	case o := <-ended:
		require.Equal(t, outcome{exitFailed, "", "gptoauth: report: interrupted: what was not committed is undone, nothing is half done\n"}, o)
	case <-time.After(20 * time.Second):
		t.Fatal("still running")
	}
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 1)
}
