package main

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/bench"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// A short run of everything: it asserts that bench works and says what is known beforehand, not how fast anything is.
func TestBench(t *testing.T) {
	t.Parallel()
	url := repotest.URL(t)
	o := gptoauth(t, url, "bench", "--json", "--concurrency", "2", "--table-size", "400", "--duration", "1s", "--pairs", "1")
	require.Equal(t, exitDone, o.code, o.stderr)
	var report benchReport
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &report))
	requireDocumented(t, "bench", []byte(o.stdout))
	require.Len(t, report.Results, len(bench.Operations()))
	_, err := exec.LookPath("pgbench")
	for _, r := range report.Results {
		require.Positive(t, r.Calls, r.Operation)
		require.Positive(t, r.PerSecond, r.Operation)
		require.GreaterOrEqual(t, r.P99MS, r.P50MS, r.Operation)
		if r.Operation == "purge" {
			require.Equal(t, 1, r.Clients)
			require.Less(t, r.RoundTrips, 1.0, "many rows in one")
		} else {
			require.Equal(t, 2, r.Clients)
			require.InDelta(t, 1, r.RoundTrips, 0, r.Operation)
		}
		require.Positive(t, r.Allocs, r.Operation)
		if slices.Contains([]string{"exchange", "rotate"}, r.Operation) && err == nil {
			require.Len(t, r.OfFunctionPairs, 1, r.Operation)
			require.InDelta(t, r.OfFunctionPairs[0], *r.OfFunction, 0)
			require.Positive(t, *r.OfFunction)
			require.Positive(t, *r.OfLimit)
		} else {
			require.Nil(t, r.OfFunction, r.Operation)
		}
	}
	require.Contains(t, o.stderr, "rotate, 2 clients, run 1 of 1")

	name := regexp.MustCompile(`gptoauth_bench_\w+`).FindString(o.stderr)
	require.NotEmpty(t, name)
	var left bool
	require.NoError(t, openTest(t, url).QueryRowContext(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = ?)", name).Scan(&left))
	require.False(t, left, "what it made is dropped")
}

func TestBenchUsage(t *testing.T) {
	t.Parallel()
	for flag, value := range map[string]string{
		"--operations": "rotate,fly", "--concurrency": "0", "--table-size": "-1", "--duration": "1ms", "--pairs": "0",
	} {
		o := gptoauth(t, "postgres://127.0.0.1:1/app", "bench", flag, value)
		require.Equal(t, exitUsage, o.code, flag)
		require.Empty(t, o.stdout, flag)
		require.Contains(t, o.stderr, flag)
	}
}
