package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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

	t.Run("SomethingMustBeAsked", func(t *testing.T) {
		t.Parallel()
		o := gptoauth(t, "", "doctor")
		require.Equal(t, outcome{2, "", "gptoauth: doctor: say what to look at: --invariants (see gptoauth doctor --help)\n"}, o)
	})
}
