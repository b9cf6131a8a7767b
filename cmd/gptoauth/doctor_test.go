package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestDoctorInvariants(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (string, repotest.Session) {
		t.Helper()
		databaseURL := repotest.URL(t)
		store, err := repo.New(openTest(t, databaseURL), repo.Config{})
		require.NoError(t, err)
		return databaseURL, repotest.NewSession(t, store, repo.IssueParams{}, 2)
	}

	t.Run("AllHold", func(t *testing.T) {
		t.Parallel()
		databaseURL, _ := setup(t)
		o := gptoauth(t, databaseURL, "doctor", "--invariants")
		require.Equal(t, outcome{0, o.stdout, ""}, o)
		require.Regexp(t, `^\d+ invariants hold\n$`, o.stdout)
		o = gptoauth(t, databaseURL, "doctor", "--invariants", "--json")
		require.Equal(t, outcome{0, o.stdout, ""}, o)
		require.Regexp(t, `^{\n  "checks": \d\d,\n  "findings": \[\]\n}\n$`, o.stdout)
	})

	t.Run("AFindingIsExitCode3", func(t *testing.T) {
		t.Parallel()
		databaseURL, session := setup(t)
		execIn(t, databaseURL, "UPDATE gpt_refresh_tokens SET revoked_at = clock_timestamp() WHERE rotated_to IS NULL")
		o := gptoauth(t, databaseURL, "doctor", "--invariants")
		require.Equal(t, outcome{3, o.stdout, "gptoauth: doctor: there is a finding\n"}, o)
		require.Equal(t, 2, strings.Count(o.stdout, "\n"))
		require.Contains(t, o.stdout, "the current token of a session that has not ended is not revoked")
		require.Contains(t, o.stdout, session.SessionID.String())
		o = gptoauth(t, databaseURL, "doctor", "--invariants", "--json")
		require.Equal(t, outcome{3, o.stdout, "gptoauth: doctor: there is a finding\n"}, o)
		require.Contains(t, o.stdout, `"id": "`+session.SessionID.String()+`"`)
	})

	t.Run("WhoCouldNotLookSaysSo", func(t *testing.T) {
		t.Parallel()
		for name, tc := range map[string]struct {
			databaseURL string
			want        string
		}{
			"no schema": {emptyURL(t), "gptoauth migrate up applies them"},
			"no server": {"postgres://app@127.0.0.1:1/app", "connect to the database"},
		} {
			o := gptoauth(t, tc.databaseURL, "doctor", "--invariants")
			require.Equal(t, outcome{1, "", o.stderr}, o, name)
			require.Contains(t, o.stderr, tc.want, name)
		}
	})
}

// examinedURL is a database of a server of the test's own: the shared one has fsync off, which doctor objects to.
func examinedURL(t *testing.T) string {
	t.Helper()
	server, err := privatepg.Start(t.Context(), privatepg.Options{Settings: map[string]string{"fsync": "on"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	require.NoError(t, migrations.Up(t.Context(), openTest(t, server.URL("postgres"))))
	return server.URL("postgres")
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	databaseURL := examinedURL(t)
	o := gptoauth(t, databaseURL, "doctor")
	require.Equal(t, outcome{0, o.stdout, ""}, o)
	require.Equal(t, len(doctor.Checks()), strings.Count(o.stdout, "\n"), o.stdout)
	require.Equal(t, len(doctor.Checks()), strings.Count("\n"+o.stdout, "\nok "), o.stdout)
	o = gptoauth(t, databaseURL, "doctor", "--json")
	require.Equal(t, outcome{0, o.stdout, ""}, o)
	require.Contains(t, o.stdout, `"findings": [],`)

	before := schemaOf(t, databaseURL)
	execIn(t, databaseURL, "DROP INDEX public.idx_gpt_sessions_ended_at",
		"INSERT INTO public.gpt_oauth_events (event_type, created_at) VALUES ('old', now() - interval '1000 days')")
	o = gptoauth(t, databaseURL, "doctor")
	require.Equal(t, outcome{3, o.stdout, "gptoauth: doctor: there are 2 findings\n"}, o)
	require.Contains(t, o.stdout, "NO drift")
	require.Contains(t, o.stdout, "\n   - The index idx_gpt_sessions_ended_at on public.gpt_sessions is missing.\n     fix: CREATE INDEX CONCURRENTLY ")
	o = gptoauth(t, databaseURL, "doctor", "--events", "off", "--json")
	require.Equal(t, outcome{3, o.stdout, "gptoauth: doctor: there is a finding\n"}, o)
	var result doctorResult
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &result))
	require.Len(t, result.Findings, 1)
	require.Equal(t, "drift", result.Findings[0].Check)
	execIn(t, databaseURL, result.Findings[0].Fix)
	require.Equal(t, before, schemaOf(t, databaseURL))

	// Someone who may not see everything is not told that all is well.
	execIn(t, databaseURL, "DELETE FROM public.gpt_oauth_events", "CREATE ROLE app LOGIN PASSWORD 'not-secret'")
	require.Equal(t, 0, gptoauth(t, databaseURL, "migrate", "grant", "app").code)
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	u.User = url.UserPassword("app", "not-secret")
	o = gptoauth(t, u.String(), "doctor")
	require.Equal(t, outcome{1, o.stdout, "gptoauth: doctor: nothing was found, but 1 of 14 checks could not look\n"}, o)
	require.Contains(t, o.stdout, "\n?  purge        could not look: ")
}

func TestDoctorThatCannotLook(t *testing.T) {
	t.Parallel()
	o := gptoauth(t, "postgres://app@127.0.0.1:1/app", "doctor")
	require.Equal(t, outcome{1, "", o.stderr}, o)
	require.Contains(t, o.stderr, "connect to the database")
	o = gptoauth(t, "postgres://app@127.0.0.1:1/app", "doctor", "--events", "soon")
	require.Equal(t, outcome{2, "", "gptoauth: doctor: --events is not a duration such as 30d, 24h or 90m, nor off (see gptoauth doctor --help)\n"}, o)
}
