package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPen(t *testing.T) {
	t.Parallel()
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}

	t.Run("IsPlainWithoutATerminal", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, pen{glyphs: asciiGlyphs}, newPen(&bytes.Buffer{}, env("LANG", "C.UTF-8")))
		pipe, _, err := os.Pipe()
		require.NoError(t, err)
		defer pipe.Close()
		require.Equal(t, pen{glyphs: asciiGlyphs}, newPen(pipe, env("LANG", "C.UTF-8")))
	})

	for name, test := range map[string]struct {
		env  []string
		want pen
	}{
		"HasColoursAndBoxesOnATerminal": {[]string{"LANG", "en_US.UTF-8"}, pen{true, unicodeGlyphs, 0}},
		"ObeysNO_COLOR":                 {[]string{"LANG", "en_US.utf8", "NO_COLOR", "1"}, pen{false, unicodeGlyphs, 0}},
		"ObeysTheLocale":                {[]string{"LANG", "en_US.UTF-8", "LC_ALL", "C"}, pen{true, asciiGlyphs, 0}},
		"SparesADumbTerminal":           {[]string{"LANG", "en_US.UTF-8", "TERM", "dumb"}, pen{false, asciiGlyphs, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
			if err != nil {
				t.Skip("there is no pseudo-terminal here; the CI runs on Linux, which has them:", err)
			}
			defer terminal.Close()
			require.Equal(t, test.want, newPen(terminal, env(test.env...)))
		})
	}

	t.Run("PaintsNothingWithoutColours", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "x", pen{}.paint(alarm, "x"))
		require.Equal(t, "\x1b[31mx\x1b[0m", pen{colour: true}.paint(alarm, "x"))
	})

	t.Run("AlignsColumns", func(t *testing.T) {
		t.Parallel()
		rows := [][]cell{
			{{text: "9", right: true}, {text: "→ a"}, {text: "end"}},
			{{text: "10", right: true}, {text: ""}, {text: "end"}},
			{{text: "", right: true}, {text: "longer"}, {text: ""}},
		}
		require.Equal(t, []string{
			" 9  → a     end",
			"10          end",
			"    longer",
		}, pen{}.table(rows))
	})
}
