package draw

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	rows := [][]Cell{
		{{Text: "2026-03-01 12:00:00Z"}, {Text: "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ"}, {Text: "a sentence of some length, which goes on"}},
		{{Text: "2026-03-01 12:00:01Z"}, {Text: "user_1"}, {Text: "short"}},
	}

	t.Run("CutsTheWidestColumns", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{
			"2026-03-01 12:00:00Z  user_…wXyZ  a sentence…",
			"2026-03-01 12:00:01Z  user_1      short",
		}, Pen{Glyphs: Unicode, Width: 45}.Table(rows)[:2:2])
	})

	t.Run("KeepsEveryLineWithin", func(t *testing.T) {
		t.Parallel()
		for width := 45; width < 120; width++ {
			for _, line := range (Pen{Glyphs: ASCII, Width: width}).Table(rows) {
				require.LessOrEqual(t, utf8.RuneCountInString(line), width)
			}
		}
	})

	t.Run("CutsNothingThatFitsOrHasNoTerminal", func(t *testing.T) {
		t.Parallel()
		whole := Pen{}.Table(rows)
		require.Equal(t, whole, Pen{Glyphs: ASCII, Width: len(whole[0])}.Table(rows))
		require.Contains(t, whole[0], rows[0][1].Text)
	})

	t.Run("LeavesTimesAndWhatIsNarrowAlone", func(t *testing.T) {
		t.Parallel()
		for _, line := range (Pen{Glyphs: ASCII, Width: 10}).Table(rows) {
			require.Contains(t, line, "2026-03-01 12:00:0")
		}
	})
}
