package draw

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestBar(t *testing.T) {
	t.Parallel()
	rich, poor := Pen{Glyphs: Unicode}, Pen{Glyphs: ASCII}
	require.Equal(t, "██████████", rich.Bar(80, 80, 10))
	require.Equal(t, "█████", rich.Bar(40, 80, 10))
	require.Equal(t, "█▌", rich.Bar(12, 80, 10))
	require.Equal(t, "▏", rich.Bar(1, 1_000_000, 10), "rare is not never")
	require.Empty(t, rich.Bar(0, 80, 10))
	require.Equal(t, "##########", poor.Bar(80, 80, 10))
	require.Equal(t, "#", poor.Bar(1, 1_000_000, 10))
	require.Empty(t, poor.Bar(0, 80, 10))
}

func TestSkyline(t *testing.T) {
	t.Parallel()
	require.Equal(t, " ▁▄█", Pen{Glyphs: Unicode}.Skyline([]int{0, 1, 500, 1000, 0}))
	require.Equal(t, " .=#", Pen{Glyphs: ASCII}.Skyline([]int{0, 1, 500, 1000, 0}))
	require.Equal(t, "████", Pen{Glyphs: Unicode}.Skyline([]int{1, 1, 1, 1}))
	for _, glyphs := range []Glyphs{Unicode, ASCII} {
		require.Equal(t, 8, utf8.RuneCountInString(glyphs.levels))
		require.Equal(t, glyphs.levels, Pen{Glyphs: glyphs}.Skyline([]int{1, 2, 3, 4, 5, 6, 7, 8}))
	}
}

func TestSqueeze(t *testing.T) {
	t.Parallel()
	values, each := Squeeze([]int{1, 2, 3, 4, 5}, 5)
	require.Equal(t, []int{1, 2, 3, 4, 5}, values)
	require.Equal(t, 1, each)
	values, each = Squeeze([]int{1, 2, 3, 4, 5}, 3)
	require.Equal(t, []int{3, 7, 5}, values)
	require.Equal(t, 2, each)
}
