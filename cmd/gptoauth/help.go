package main

import (
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

// helpIndent is what the library puts before each line of a description.
const helpIndent = 3

// reflow fits the paragraphs of a description to the terminal. Lines that are indented, as examples are, stay as they are.
func reflow(p draw.Pen, text string) string {
	width := min(cmp.Or(p.Width, plainWidth), 100) - helpIndent
	var lines []string
	var paragraph []string
	flush := func() {
		lines = append(lines, wrap(paragraph, width)...)
		paragraph = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			flush()
			lines = append(lines, line)
			continue
		}
		paragraph = append(paragraph, strings.Fields(line)...)
	}
	flush()
	return strings.Join(lines, "\n")
}

// wrap breaks words into lines.
func wrap(words []string, width int) []string {
	var lines []string
	used := 0
	for _, word := range words {
		n := utf8.RuneCountInString(word)
		if len(lines) == 0 || used+1+n > width {
			lines = append(lines, word)
			used = n
			continue
		}
		lines[len(lines)-1] += " " + word
		used += 1 + n
	}
	return lines
}
