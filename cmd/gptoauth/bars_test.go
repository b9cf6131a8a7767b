package main

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestBar(t *testing.T) {
	t.Parallel()
	rich, poor := pen{glyphs: unicodeGlyphs}, pen{glyphs: asciiGlyphs}
	require.Equal(t, "██████████", rich.bar(80, 80, 10))
	require.Equal(t, "█████", rich.bar(40, 80, 10))
	require.Equal(t, "█▌", rich.bar(12, 80, 10))
	require.Equal(t, "▏", rich.bar(1, 1_000_000, 10), "rare is not never")
	require.Empty(t, rich.bar(0, 80, 10))
	require.Equal(t, "##########", poor.bar(80, 80, 10))
	require.Equal(t, "#", poor.bar(1, 1_000_000, 10))
	require.Empty(t, poor.bar(0, 80, 10))
}

func TestSkyline(t *testing.T) {
	t.Parallel()
	require.Equal(t, " ▁▄█", pen{glyphs: unicodeGlyphs}.skyline([]int{0, 1, 500, 1000, 0}))
	require.Equal(t, " .=#", pen{glyphs: asciiGlyphs}.skyline([]int{0, 1, 500, 1000, 0}))
	require.Equal(t, "████", pen{glyphs: unicodeGlyphs}.skyline([]int{1, 1, 1, 1}))
	for _, glyphs := range []glyphs{unicodeGlyphs, asciiGlyphs} {
		require.Equal(t, 8, utf8.RuneCountInString(glyphs.levels))
		require.Equal(t, glyphs.levels, pen{glyphs: glyphs}.skyline([]int{1, 2, 3, 4, 5, 6, 7, 8}))
	}
}

func TestSqueeze(t *testing.T) {
	t.Parallel()
	values, each := squeeze([]int{1, 2, 3, 4, 5}, 5)
	require.Equal(t, []int{1, 2, 3, 4, 5}, values)
	require.Equal(t, 1, each)
	values, each = squeeze([]int{1, 2, 3, 4, 5}, 3)
	require.Equal(t, []int{3, 7, 5}, values)
	require.Equal(t, 2, each)
}
