package main

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// pen draws for what stdout is: colours and box-drawing on a terminal that has them, plain ASCII for files and pipes.
type pen struct {
	colour bool
	glyphs glyphs
	width  int // of the terminal, in columns; 0: what is drawn may be as wide as it wants
}

// glyphs are the signs that are not letters.
type glyphs struct {
	tick, cross, dot, warning, alarm, end string
	branch, lastBranch, trunk, gap        string
	arrow, times, rule                    string
	here, dots, ellipsis                  string
	levels                                string // of a bar that stands, one rune each, the lowest first
	eighths                               string // of a bar that lies, likewise; the last is a whole
}

var (
	asciiGlyphs = glyphs{
		tick: "ok", cross: "NO", dot: "o", warning: "!", alarm: "X", end: "#",
		branch: "|- ", lastBranch: "`- ", trunk: "|  ", gap: "   ",
		arrow: "->", times: "x", rule: "-",
		here: "<-", dots: ":", ellipsis: "~",
		levels: ".:-=+*%#", eighths: "#",
	}
	unicodeGlyphs = glyphs{
		tick: "✓", cross: "✗", dot: "●", warning: "▲", alarm: "✗", end: "■",
		branch: "├─ ", lastBranch: "└─ ", trunk: "│  ", gap: "   ",
		arrow: "→", times: "×", rule: "─",
		here: "←", dots: "⋮", ellipsis: "…",
		levels: "▁▂▃▄▅▆▇█", eighths: "▏▎▍▌▋▊▉█",
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
	p.width, _, _ = term.GetSize(int(file.Fd())) // a terminal that does not know is as wide as one likes
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
