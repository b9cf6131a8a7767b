package main

import (
	"strings"
	"unicode/utf8"
)

// cell is a text of a table and how it looks. Colours have no width.
type cell struct {
	text  string
	tone  tone
	right bool // flush right
	whole bool // not cut: it is there to be copied
}

const (
	columnGap = 2

	// A terminal that is too narrow cuts the columns that are wider than a time, and none to less than says anything.
	wideColumn   = 20
	narrowColumn = 8
)

// table aligns the columns of rows and fits them to the terminal. The last column is not padded, so that no line ends in
// spaces.
func (p pen) table(rows [][]cell) []string {
	var widths []int
	whole := make(map[int]bool)
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
			whole[i] = whole[i] || c.whole
		}
	}
	p.fit(widths, whole)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = p.row(widths, row)
	}
	return lines
}

// fit takes columns from the widest, until all of them fit or nothing is left to take.
func (p pen) fit(widths []int, whole map[int]bool) {
	excess := columnGap*(len(widths)-1) - p.width
	elastic := make([]bool, len(widths))
	for i, width := range widths {
		excess += width
		elastic[i] = width > wideColumn && !whole[i]
	}
	for ; p.width > 0 && excess > 0; excess-- {
		widest := -1
		for i, width := range widths {
			if elastic[i] && width > narrowColumn && (widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// row is one line of a table whose columns have these widths. Where there is no terminal to fit, what is wider than its
// column is not cut.
func (p pen) row(widths []int, cells []cell) string {
	var line strings.Builder
	blank := 0 // spaces owed, paid only if something follows
	for i, c := range cells {
		text := c.text
		if p.width > 0 {
			text = p.cut(text, widths[i])
		}
		padding := max(widths[i]-utf8.RuneCountInString(text), 0)
		if c.right {
			blank += padding
			padding = 0
		}
		if text != "" {
			line.WriteString(strings.Repeat(" ", blank))
			line.WriteString(p.paint(c.tone, text))
			blank = 0
		}
		blank += padding + columnGap
	}
	return line.String()
}

// cut shortens a text: sentences at their end, and ids and URLs in the middle, because they are told apart by their ends.
func (p pen) cut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	if strings.ContainsRune(text, ' ') {
		return string(runes[:width-1]) + p.glyphs.ellipsis
	}
	head := width / 2
	return string(runes[:head]) + p.glyphs.ellipsis + string(runes[len(runes)-(width-head-1):])
}

// narrow says whether there is a terminal too narrow for rows with full ids and times.
func (p pen) narrow() bool { return p.width > 0 && p.width < 140 }

// narrower is the pen for what stands beside something else.
func (p pen) narrower(columns int) pen {
	if p.width > 0 {
		p.width = max(p.width-columns, 1)
	}
	return p
}
