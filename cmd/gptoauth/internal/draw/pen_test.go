package draw

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
		require.Equal(t, Pen{Glyphs: ASCII}, New(&bytes.Buffer{}, env("LANG", "C.UTF-8")))
		pipe, _, err := os.Pipe()
		require.NoError(t, err)
		defer pipe.Close()
		require.Equal(t, Pen{Glyphs: ASCII}, New(pipe, env("LANG", "C.UTF-8")))
	})

	for name, test := range map[string]struct {
		env  []string
		want Pen
	}{
		"HasColoursAndBoxesOnATerminal": {[]string{"LANG", "en_US.UTF-8"}, Pen{true, Unicode, 0}},
		"ObeysNO_COLOR":                 {[]string{"LANG", "en_US.utf8", "NO_COLOR", "1"}, Pen{false, Unicode, 0}},
		"ObeysTheLocale":                {[]string{"LANG", "en_US.UTF-8", "LC_ALL", "C"}, Pen{true, ASCII, 0}},
		"SparesADumbTerminal":           {[]string{"LANG", "en_US.UTF-8", "TERM", "dumb"}, Pen{false, ASCII, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
			if err != nil {
				t.Skip("there is no pseudo-terminal here; the CI runs on Linux, which has them:", err)
			}
			defer terminal.Close()
			require.Equal(t, test.want, New(terminal, env(test.env...)))
		})
	}

	t.Run("PaintsNothingWithoutColours", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "x", Pen{}.Paint(Alarm, "x"))
		require.Equal(t, "\x1b[31mx\x1b[0m", Pen{Colour: true}.Paint(Alarm, "x"))
	})

	t.Run("AlignsColumns", func(t *testing.T) {
		t.Parallel()
		rows := [][]Cell{
			{{Text: "9", Right: true}, {Text: "→ a"}, {Text: "end"}},
			{{Text: "10", Right: true}, {Text: ""}, {Text: "end"}},
			{{Text: "", Right: true}, {Text: "longer"}, {Text: ""}},
		}
		require.Equal(t, []string{
			" 9  → a     end",
			"10          end",
			"    longer",
		}, Pen{}.Table(rows))
	})
}
