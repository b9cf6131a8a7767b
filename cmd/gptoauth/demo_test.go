package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// demoReportOf reads the one object that --json prints.
func demoReportOf(t *testing.T, o outcome) demoReport {
	t.Helper()
	var report demoReport
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &report), o.stdout)
	return report
}

// UnmarshalJSON is only for tests.
func (m *milliseconds) UnmarshalJSON(text []byte) error {
	var number float64
	err := json.Unmarshal(text, &number)
	*m = milliseconds(number * 1e6)
	return err
}

// aSecret is what must not be seen: a code or a token, or 128 bits or more in base32, as a verifier is.
var aSecret = regexp.MustCompile(`gpt[cr]_|[A-Z2-7]{26}`)

func TestDemo(t *testing.T) {
	t.Parallel()

	t.Run("ShowsEveryStepOnAPrivateServer", func(t *testing.T) {
		t.Parallel()
		got := gptoauth(t, "", "demo")
		require.Equal(t, exitDone, got.code, got.stdout+got.stderr)
		require.Contains(t, got.stderr, "private PostgreSQL")

		rest := got.stdout
		for i, part := range (&story{}).parts() {
			rest = after(t, rest, fmt.Sprintf("\n%d  %s\n", i+1, part.title))
			for _, step := range part.steps {
				rest = after(t, rest, "  ok "+step.name+" ")
				line, _, _ := strings.Cut(rest, "\n")
				require.Regexp(t, `^ *`+regexp.QuoteMeta(step.expected)+` +[0-9.]+ m?s$`, line)
				rest = after(t, rest, step.why)
				rest = after(t, rest, step.reference)
			}
		}
		rest = after(t, rest, "ended after ")
		rest = after(t, rest, ": code_replay\n")
		rest = after(t, rest, "asked again x19\n")
		rest = after(t, rest, "reused: ends the session\n")
		rest = after(t, rest, "The audit trail since 20")
		rest = after(t, rest, "token_retry x19 ")
		rest = after(t, rest, "token_refresh x5 ")
		rest = after(t, rest, "token_reuse ")
		rest = after(t, rest, "2 sessions, 1 code\n")
		require.Regexp(t, `^\nAll 17 steps ended as they should, in [0-9.]+ m?s.\n$`, rest)

		require.NotRegexp(t, aSecret, got.stdout+got.stderr)
		require.NotRegexp(t, `[^\n -~]`, got.stdout, "a pipe is given ASCII without colours")
		for line := range strings.Lines(got.stdout) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
			require.NotRegexp(t, ` \n`, line, "no line ends in a space")
		}
	})

	t.Run("TellsMachinesTheSame", func(t *testing.T) {
		t.Parallel()
		databaseURL := repotest.URL(t)
		got := gptoauth(t, databaseURL, "demo", "--json")
		require.Equal(t, exitDone, got.code, got.stdout+got.stderr)
		report := demoReportOf(t, got)
		require.Equal(t, "the rows of "+report.ClerkUserID+" stay in your database, with every session ended\n", got.stderr)

		require.True(t, report.OK)
		require.Positive(t, report.DurationMS)
		steps := stepsOf((&story{}).parts())
		require.Len(t, report.Steps, len(steps))
		for i, step := range report.Steps {
			require.True(t, step.OK, step.Name)
			require.Equal(t, steps[i].name, step.Name)
			require.Equal(t, steps[i].expected, step.Outcome)
			require.Equal(t, steps[i].why, step.Why)
			require.Positive(t, step.DurationMS, step.Name)
		}
		requireFamilies(t, report.Family)
		requireEvents(t, report.Events)
		require.NotRegexp(t, aSecret, got.stdout)
		requireNoDigests(t, databaseURL, got.stdout)
	})

	t.Run("LeavesNothingAliveAndRunsTwice", func(t *testing.T) {
		t.Parallel()
		databaseURL := repotest.URL(t)
		for range 2 {
			require.Equal(t, exitDone, gptoauth(t, databaseURL, "--json", "demo").code)
		}
		db := openTest(t, databaseURL)
		alive, err := db.NewSelect().TableExpr("public.gpt_sessions").Where("ended_at IS NULL").Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, alive)
		sessions, err := db.NewSelect().TableExpr("public.gpt_sessions").Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 8, sessions)
	})
}

func TestDemoFails(t *testing.T) {
	t.Parallel()

	// A database whose rotation has no grace period: 20 refreshes at once end the session, as with strict rotation.
	t.Run("IfTheDatabaseDoesOtherwise", func(t *testing.T) {
		t.Parallel()
		databaseURL := repotest.URL(t)
		tamper(t, databaseURL, "gpt_rotate_refresh_token_v1", "v_session.successor_nonce IS NOT NULL", "false")
		got := gptoauth(t, databaseURL, "demo")
		require.Equal(t, exitFailed, got.code)
		require.Regexp(t, `(?m)^  NO refresh 20 times at once +1 rotated, 18 ended, 1 reused, 1 token +[0-9.]+ m?s$`, got.stdout)
		require.Contains(t, got.stdout, "\n     expected: 1 rotated, 19 retried, 1 token\n")
		require.Contains(t, got.stderr, `gptoauth: demo: "refresh 20 times at once" gave 1 rotated, 18 ended, 1 reused, 1 token instead of 1 rotated, 19 retried, 1 token;`)
		require.Contains(t, got.stderr, `"read the audit trail" gave `)
		require.Contains(t, got.stderr, "0 token_retry instead of 19")
		require.NotContains(t, got.stdout, "All 17 steps")

		report := demoReportOf(t, gptoauth(t, databaseURL, "demo", "--json"))
		require.False(t, report.OK)
		require.Len(t, report.Steps, 17, "it goes on, to show what comes of it")
		require.False(t, report.Steps[7].OK)
		require.Equal(t, "refresh 20 times at once", report.Steps[7].Name)
	})

	t.Run("IfReuseGoesUnnoticed", func(t *testing.T) {
		t.Parallel()
		databaseURL := repotest.URL(t)
		tamper(t, databaseURL, "gpt_rotate_refresh_token_v1", "PERFORM public.gpt_close_session_v1(v_session.id, 'token_reuse');", "")
		got := gptoauth(t, databaseURL, "demo")
		require.Equal(t, exitFailed, got.code)
		require.Contains(t, got.stderr, `"the thief tries once more" gave reused instead of ended`)
		require.Contains(t, got.stderr, `"the owner refreshes" gave rotated instead of ended`)
	})

	t.Run("AtEveryStepThatEndsOtherwise", func(t *testing.T) {
		t.Parallel()
		a, stdout := demoApp()
		s := newTestStory(t, repotest.URL(t), repo.Config{})
		parts := s.parts()
		for _, step := range stepsOf(parts) {
			step.expected = "a miracle"
		}
		err := a.play(t.Context(), s, parts)
		for _, step := range stepsOf(parts) {
			require.ErrorContains(t, err, fmt.Sprintf("%q gave ", step.name))
			require.Contains(t, stdout.String(), "\n  NO "+step.name+" ")
		}
		require.Equal(t, 17, strings.Count(err.Error(), " instead of a miracle"))
		require.Equal(t, 17, strings.Count(stdout.String(), "\n     expected: a miracle\n"))
	})

	t.Run("WithAStoreThatHasNoGracePeriod", func(t *testing.T) {
		t.Parallel()
		a, _ := demoApp()
		s := newTestStory(t, repotest.URL(t), repo.Config{Grace: repo.Off})
		require.ErrorContains(t, a.play(t.Context(), s, s.parts()), `"refresh 20 times at once" gave 1 rotated, 18 ended, 1 reused`)
	})

	t.Run("IfTheDatabaseCannotAnswer", func(t *testing.T) {
		t.Parallel()
		databaseURL := repotest.URL(t)
		execIn(t, databaseURL, "DROP FUNCTION public.gpt_end_user_v1")
		got := gptoauth(t, databaseURL, "demo")
		require.Equal(t, exitFailed, got.code)
		require.Regexp(t, `^the rows of .*\ngptoauth: demo: end the user: repo: Store.EndUser: refused: .*\n$`, got.stderr)
		require.Contains(t, got.stdout, "\n  NO end the user\n")
		require.NotContains(t, got.stdout, "use what is left")

		report := demoReportOf(t, gptoauth(t, databaseURL, "demo", "--json"))
		require.False(t, report.OK)
		require.Equal(t, "sign in on two devices", report.Steps[len(report.Steps)-1].Name)
		require.Empty(t, report.Family)
	})

	t.Run("AtOnceWhenInterrupted", func(t *testing.T) {
		t.Parallel()
		ctx, interrupt := context.WithCancel(t.Context())
		stdout := &triggerWriter{text: "rotate five times", trigger: interrupt}
		var stderr bytes.Buffer
		// Without a database, so that it has a server to stop.
		code := run(ctx, []string{programName, "demo"}, strings.NewReader(""), stdout, &stderr, func(string) string { return "" })
		require.Equal(t, exitFailed, code)
		require.Contains(t, stderr.String(), "gptoauth: demo: interrupted")
		require.NotContains(t, stderr.String(), "stopping the private PostgreSQL")
		require.NotContains(t, stdout.String(), "a thief uses an old token")
	})
}

func requireFamilies(t *testing.T, families []family) {
	t.Helper()
	var lengths []int
	var reasons []string
	for _, f := range families {
		require.False(t, f.Alive)
		require.Equal(t, demoClient, f.ClientID)
		lengths = append(lengths, len(f.Generations))
		reasons = append(reasons, f.EndReason)
		last := len(f.Generations) - 1
		for i, g := range f.Generations[:last] {
			require.Equal(t, i+1, g.Number)
			require.Equal(t, stateRotated, g.State)
			require.Equal(t, f.Generations[i+1].ID, g.RotatedTo)
		}
		require.Equal(t, stateEnded, f.Generations[last].State)
		require.Equal(t, f.EndedAt, f.Generations[last].RevokedAt)
	}
	require.Equal(t, []int{1, 7, 1, 1}, lengths)
	require.Equal(t, []string{"code_replay", "token_reuse", "offboarding", "offboarding"}, reasons)

	robbed := families[1].Generations
	require.Equal(t, demoParallel-1, robbed[0].Retries)
	require.False(t, robbed[1].ReusedAt.After(families[1].EndedAt))
	for i, g := range robbed {
		require.Equal(t, i != 1, g.ReusedAt.IsZero(), "only generation 2 was stolen")
	}
}

func requireEvents(t *testing.T, events []trailEvent) {
	t.Helper()
	require.Len(t, events, 40)
	require.True(t, slices.IsSortedFunc(events, func(a, b trailEvent) int { return a.CreatedAt.Compare(b.CreatedAt) }))
	require.Equal(t, repo.EventAuthorize, events[0].Type)
	require.Equal(t, repo.EventUserEnd, events[len(events)-1].Type)
	for _, event := range events {
		if event.Type == repo.EventTokenReuse || event.Type == repo.EventCodeReplay || event.Type == repo.EventCodeMismatch {
			require.Equal(t, demoThief.String(), event.IPAddress)
		}
	}
}

// requireNoDigests looks for what the database keeps in place of secrets.
func requireNoDigests(t *testing.T, databaseURL, output string) {
	t.Helper()
	var stored []string
	err := openTest(t, databaseURL).NewRaw(`
		SELECT token_hash FROM public.gpt_refresh_tokens
		 UNION ALL SELECT code FROM public.gpt_authorization_codes
		 UNION ALL SELECT code_challenge FROM public.gpt_authorization_codes`).Scan(t.Context(), &stored)
	require.NoError(t, err)
	require.Len(t, stored, 10+5+5)
	for _, digest := range stored {
		require.NotContains(t, output, digest)
	}
}

// tamper changes a function of the database.
func tamper(t *testing.T, databaseURL, function, from, to string) {
	t.Helper()
	var definition string
	err := openTest(t, databaseURL).NewRaw("SELECT pg_get_functiondef(?::regproc)", "public."+function).Scan(t.Context(), &definition)
	require.NoError(t, err)
	require.Contains(t, definition, from)
	execIn(t, databaseURL, strings.ReplaceAll(definition, from, to))
}

// demoApp prints text to what it returns.
func demoApp() (*app, *bytes.Buffer) {
	var stdout bytes.Buffer
	return &app{stdout: &stdout, pen: draw.Pen{Glyphs: draw.ASCII}}, &stdout
}

func newTestStory(t *testing.T, databaseURL string, config repo.Config) *story {
	t.Helper()
	s, err := newStory(openTest(t, databaseURL), config)
	require.NoError(t, err)
	return s
}

func stepsOf(parts []demoPart) []*demoStep {
	var steps []*demoStep
	for _, part := range parts {
		for i := range part.steps {
			steps = append(steps, &part.steps[i])
		}
	}
	return steps
}

// after wants text in s and returns what follows it.
func after(t *testing.T, s, text string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, text)
	require.Truef(t, ok, "%q is missing in:\n%s", text, s)
	return rest
}

// triggerWriter calls trigger once text has been written.
type triggerWriter struct {
	bytes.Buffer

	text    string
	trigger func()
}

func (w *triggerWriter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.text) {
		w.trigger()
	}
	return n, err
}
