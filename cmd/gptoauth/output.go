package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

// checkedWriter remembers that something could not be written, so that not every print needs an error.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// unwritable says whether stdout has failed, for commands that would go on for ever.
func (a *app) unwritable() bool {
	out, ok := a.stdout.(*checkedWriter)
	return ok && out.err != nil
}

// printf writes data for people to stdout.
func (a *app) printf(format string, args ...any) {
	fmt.Fprintf(a.stdout, format, args...) //nolint:errcheck // checkedWriter remembers
}

// progressf writes a line about what is going on to stderr.
func (a *app) progressf(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...) //nolint:errcheck // nowhere left to say so
}

// show prints a result: with --json as such, otherwise by text, which uses printf and table.
func (a *app) show(result any, text func()) error {
	if !a.json {
		text()
		return nil
	}
	encoder := a.encoder()
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// encoder writes JSON to stdout, one value a line.
func (a *app) encoder() *json.Encoder {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	return encoder
}

// lines prints what the pen has drawn.
func (a *app) lines(lines []string) {
	for _, line := range lines {
		a.printf("%s\n", line)
	}
}

// table prints rows in aligned columns below their titles.
func (a *app) table(titles []string, rows [][]draw.Cell) {
	head := make([]draw.Cell, len(titles))
	for i, title := range titles {
		head[i] = draw.Cell{Text: title, Tone: draw.Strong}
	}
	a.lines(a.pen.Table(slices.Concat([][]draw.Cell{head}, rows)))
}

// thousands is how numbers are shown that may be large.
func thousands(n int) string { return draw.Thousands(n) }

// timestamp is how times are shown to people; the zero time is not.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// isTerminal tells whether a person is at the other end of a reader or writer.
func isTerminal(stream any) bool {
	file, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}
