package repo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJanitorPace(t *testing.T) {
	t.Parallel()
	const took = 50 * time.Millisecond
	require.Zero(t, loadPause(took, 0), "alone it does not pause")
	require.Equal(t, 3*took, loadPause(took, 3))
	require.Equal(t, 4*took, loadPause(took, 90), "it keeps up")
	require.Equal(t, time.Second, loadPause(time.Minute, 1))

	require.Equal(t, 1000, nextLimit(1000, 5000, batchTarget))
	require.Equal(t, 2000, nextLimit(1000, 5000, time.Millisecond), "at most twice as many")
	require.Equal(t, 500, nextLimit(1000, 5000, time.Minute), "at least half as many")
	require.Equal(t, 5000, nextLimit(4000, 5000, time.Millisecond))
	require.Equal(t, minBatch, nextLimit(minBatch, 5000, time.Minute))
	require.Equal(t, 20, nextLimit(20, 20, time.Minute), "BatchSize is never exceeded")
}
