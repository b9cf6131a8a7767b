package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2, *median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, *median([]float64{4, 1, 2, 3}), 0)
	require.Nil(t, median(nil))
}
