package draw

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestElide(t *testing.T) {
	t.Parallel()
	matters := func(which ...int) func(int) bool {
		return func(i int) bool { return slices.Contains(which, i) }
	}
	require.Empty(t, Elide(0, 2, 2, matters()))
	require.Equal(t, []Span{{0, 5, false}}, Elide(5, 2, 3, matters()))
	require.Equal(t, []Span{{0, 2, false}, {2, 7, true}, {7, 9, false}}, Elide(9, 2, 2, matters()))
	require.Equal(t, []Span{{0, 2, false}, {2, 4, true}, {4, 5, false}, {5, 7, true}, {7, 9, false}}, Elide(9, 2, 2, matters(4)))
	require.Equal(t, []Span{{0, 2, false}, {2, 3, false}, {3, 5, false}}, Elide(5, 2, 2, matters()), "a gap of one line saves nothing")
}
