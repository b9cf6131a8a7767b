package main

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachPeerExchangesAndRotates(t *testing.T) {
	t.Parallel()
	all := []peer{library, peers["hydra"], peers["dex"]}
	c, err := startCluster(t.Context(), all)
	t.Cleanup(func() { require.NoError(t, c.stop(context.Background())) })
	require.NoError(t, err)

	for i, p := range all {
		t.Run(p.name, func(t *testing.T) {
			s, err := p.open(t.Context(), c.databases[i].url, 1)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.close()) }()
			g, err := s.issue(t.Context(), 0)
			require.NoError(t, err)
			require.NoError(t, g.exchange(t.Context()))
			require.Error(t, g.exchange(t.Context()), "a code is spent once, so it is the database that answers")

			g, err = s.issue(t.Context(), 0)
			require.NoError(t, err)
			require.NoError(t, g.exchange(t.Context()))
			require.NoError(t, g.rotate(t.Context()))
			require.NoError(t, g.rotate(t.Context()))
		})
	}
}

func TestRunPrintsOneResultForEach(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"--clients", "2", "--duration", "200ms", "--pairs", "2", "--json"}, &stdout, &stderr)
	require.Equal(t, exitDone, status, stderr.String())
	var r report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	require.Len(t, r.Results, 6) // two operations, three peers
	for _, one := range r.Results {
		require.Positive(t, one.PerSecond)
		require.Positive(t, one.WALBytes)
		if one.Peer == library.name {
			require.InDelta(t, 1, one.RoundTrips, 1e-9)
		} else {
			require.Greater(t, one.RoundTrips, 1.0)
		}
		require.Equal(t, one.Peer == library.name, one.OfLibrary == nil)
	}
}

func TestQuantileLiesBetweenTheNearest(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 3, quantile([]float64{5, 1, 3}, 0.5), 1e-9)
	require.InDelta(t, 2, quantile([]float64{5, 1, 3}, 0.25), 1e-9)
	require.InDelta(t, 7, quantile([]float64{7}, 0.75), 1e-9)
}
