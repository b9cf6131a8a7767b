package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	rows := [][]cell{
		{{text: "2026-03-01 12:00:00Z"}, {text: "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ"}, {text: "a sentence of some length, which goes on"}},
		{{text: "2026-03-01 12:00:01Z"}, {text: "user_1"}, {text: "short"}},
	}

	t.Run("CutsTheWidestColumns", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{
			"2026-03-01 12:00:00Z  user_…wXyZ  a sentence…",
			"2026-03-01 12:00:01Z  user_1      short",
		}, pen{glyphs: unicodeGlyphs, width: 45}.table(rows)[:2:2])
	})

	t.Run("KeepsEveryLineWithin", func(t *testing.T) {
		t.Parallel()
		for width := 45; width < 120; width++ {
			for _, line := range (pen{glyphs: asciiGlyphs, width: width}).table(rows) {
				require.LessOrEqual(t, utf8.RuneCountInString(line), width)
			}
		}
	})

	t.Run("CutsNothingThatFitsOrHasNoTerminal", func(t *testing.T) {
		t.Parallel()
		whole := pen{}.table(rows)
		require.Equal(t, whole, pen{glyphs: asciiGlyphs, width: len(whole[0])}.table(rows))
		require.Contains(t, whole[0], rows[0][1].text)
	})

	t.Run("LeavesTimesAndWhatIsNarrowAlone", func(t *testing.T) {
		t.Parallel()
		for _, line := range (pen{glyphs: asciiGlyphs, width: 10}).table(rows) {
			require.Contains(t, line, "2026-03-01 12:00:0")
		}
	})
}

func TestReflow(t *testing.T) {
	t.Parallel()
	text := "A paragraph that is longer than a line\nand goes on.\n\nExamples:\n  gptoauth   x # stays as it is, however long it may be\nEnd."
	require.Equal(t, strings.Join([]string{
		"A paragraph that is", "longer than a line", "and goes on.", "", "Examples:",
		"  gptoauth   x # stays as it is, however long it may be", "End.",
	}, "\n"), pen{width: 23}.reflow(text))
	require.Empty(t, pen{}.reflow(""))
}
