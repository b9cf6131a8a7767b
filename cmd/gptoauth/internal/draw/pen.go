// Package draw draws tables, trees' branches, bars and colours for a terminal, and plain ASCII for everything else.
package draw

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// Pen draws for what stdout is: colours and box-drawing on a terminal that has them, plain ASCII for files and pipes.
type Pen struct {
	Colour bool
	Glyphs Glyphs
	Width  int // of the terminal, in columns; 0: what is drawn may be as wide as it wants
}

// Glyphs are the signs that are not letters.
type Glyphs struct {
	Tick, Cross, Dot, Warning, Alarm, End string
	Branch, LastBranch, Trunk, Gap        string
	Arrow, Times                          string
	Here, Dots, ellipsis                  string
	levels                                string // of a bar that stands, one rune each, the lowest first
	eighths                               string // of a bar that lies, likewise; the last is a whole
}

// The signs for a pen.
var (
	ASCII = Glyphs{
		Tick: "ok", Cross: "NO", Dot: "o", Warning: "!", Alarm: "X", End: "#",
		Branch: "|- ", LastBranch: "`- ", Trunk: "|  ", Gap: "   ",
		Arrow: "->", Times: "x",
		Here: "<-", Dots: ":", ellipsis: "~",
		levels: ".:-=+*%#", eighths: "#",
	}
	Unicode = Glyphs{
		Tick: "✓", Cross: "✗", Dot: "●", Warning: "▲", Alarm: "✗", End: "■",
		Branch: "├─ ", LastBranch: "└─ ", Trunk: "│  ", Gap: "   ",
		Arrow: "→", Times: "×",
		Here: "←", Dots: "⋮", ellipsis: "…",
		levels: "▁▂▃▄▅▆▇█", eighths: "▏▎▍▌▋▊▉█",
	}
)

// Tone is what a word means, for its colour.
type Tone string

// The tones.
const (
	Plain   Tone = ""
	Strong  Tone = "1"  // bold
	Faint   Tone = "2"  // dim
	Good    Tone = "32" // green
	Refused Tone = "33" // yellow
	Alarm   Tone = "31" // red
)

// New is the pen for out.
func New(out io.Writer, getenv func(string) string) Pen {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || getenv("TERM") == "dumb" {
		return Pen{Glyphs: ASCII}
	}
	p := Pen{Colour: getenv("NO_COLOR") == "", Glyphs: ASCII}
	p.Width, _, _ = term.GetSize(int(file.Fd())) // a terminal that does not know is as wide as one likes
	if runtime.GOOS == "windows" || isUTF8(getenv) {
		p.Glyphs = Unicode
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

// Paint gives a text the colour of a tone.
func (p Pen) Paint(t Tone, text string) string {
	if !p.Colour || t == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}
