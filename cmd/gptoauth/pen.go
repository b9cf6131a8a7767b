package main

import (
	"io"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// pen draws for what stdout is: colours and box-drawing on a terminal that has them, plain ASCII for files and pipes.
type pen struct {
	colour bool
	glyphs glyphs
}

// glyphs are the signs that are not letters.
type glyphs struct {
	tick, cross, dot, warning, alarm, end string
	branch, lastBranch, trunk, gap        string
	arrow, times, rule                    string
}

var (
	asciiGlyphs = glyphs{
		tick: "ok", cross: "NO", dot: "o", warning: "!", alarm: "X", end: "#",
		branch: "|- ", lastBranch: "`- ", trunk: "|  ", gap: "   ",
		arrow: "->", times: "x", rule: "-",
	}
	unicodeGlyphs = glyphs{
		tick: "✓", cross: "✗", dot: "●", warning: "▲", alarm: "✗", end: "■",
		branch: "├─ ", lastBranch: "└─ ", trunk: "│  ", gap: "   ",
		arrow: "→", times: "×", rule: "─",
	}
)

// tone is what a word means, for its colour.
type tone string

const (
	plain  tone = ""
	strong tone = "1"  // bold
	faint  tone = "2"  // dim
	good   tone = "32" // green
	refuse tone = "33" // yellow
	alarm  tone = "31" // red
)

func newPen(out io.Writer, getenv func(string) string) pen {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || getenv("TERM") == "dumb" {
		return pen{glyphs: asciiGlyphs}
	}
	p := pen{colour: getenv("NO_COLOR") == "", glyphs: asciiGlyphs}
	if runtime.GOOS == "windows" || isUTF8(getenv) {
		p.glyphs = unicodeGlyphs
	}
	return p
}

// isUTF8 goes by the variables of a POSIX locale, in their order of precedence.
func isUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(getenv(name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

func (p pen) paint(t tone, text string) string {
	if !p.colour || t == plain || text == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// cell is a text of a table and how it looks. Colours have no width.
type cell struct {
	text  string
	tone  tone
	right bool // flush right
}

// table aligns the columns of rows. The last column is not padded, so that no line ends in spaces.
func (p pen) table(rows [][]cell) []string {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		var line strings.Builder
		blank := 0 // spaces owed, paid only if something follows
		for j, c := range row {
			padding := widths[j] - utf8.RuneCountInString(c.text)
			if c.right {
				blank += padding
				padding = 0
			}
			if c.text != "" {
				line.WriteString(strings.Repeat(" ", blank))
				line.WriteString(p.paint(c.tone, c.text))
				blank = 0
			}
			blank += padding + columnGap
		}
		lines[i] = line.String()
	}
	return lines
}

const columnGap = 2
