package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/term"
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
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// table prints rows in aligned columns below their titles.
func (a *app) table(titles []string, rows [][]cell) {
	head := make([]cell, len(titles))
	for i, title := range titles {
		head[i] = cell{text: title, tone: strong}
	}
	for _, line := range a.pen.table(slices.Concat([][]cell{head}, rows)) {
		a.printf("%s\n", line)
	}
}

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
