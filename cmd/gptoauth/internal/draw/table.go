package draw

import (
	"strings"
	"unicode/utf8"
)

// Cell is a text of a table and how it looks. Colours have no width.
type Cell struct {
	Text  string
	Tone  Tone
	Right bool // flush right
	Whole bool // not cut: it is there to be copied
}

const (
	// ColumnGap is between two columns.
	ColumnGap = 2

	// NarrowColumn says hardly anything any more. A terminal that is too narrow cuts the columns that are wider than a time,
	// and none to less than this.
	NarrowColumn = 8

	wideColumn = 20
)

// Table aligns the columns of rows and fits them to the terminal. The last column is not padded, so that no line ends in
// spaces.
func (p Pen) Table(rows [][]Cell) []string {
	var widths []int
	whole := make(map[int]bool)
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.Text))
			whole[i] = whole[i] || c.Whole
		}
	}
	p.fit(widths, whole)
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = p.Row(widths, row)
	}
	return lines
}

// fit takes columns from the widest, until all of them fit or nothing is left to take.
func (p Pen) fit(widths []int, whole map[int]bool) {
	excess := ColumnGap*(len(widths)-1) - p.Width
	elastic := make([]bool, len(widths))
	for i, width := range widths {
		excess += width
		elastic[i] = width > wideColumn && !whole[i]
	}
	for ; p.Width > 0 && excess > 0; excess-- {
		widest := -1
		for i, width := range widths {
			if elastic[i] && width > NarrowColumn && (widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// Row is one line of a table whose columns have these widths. Where there is no terminal to fit, what is wider than its
// column is not cut.
func (p Pen) Row(widths []int, cells []Cell) string {
	var line strings.Builder
	blank := 0 // spaces owed, paid only if something follows
	for i, c := range cells {
		text := c.Text
		if p.Width > 0 {
			text = p.Cut(text, widths[i])
		}
		padding := max(widths[i]-utf8.RuneCountInString(text), 0)
		if c.Right {
			blank += padding
			padding = 0
		}
		if text != "" {
			line.WriteString(strings.Repeat(" ", blank))
			line.WriteString(p.Paint(c.Tone, text))
			blank = 0
		}
		blank += padding + ColumnGap
	}
	return line.String()
}

// Cut shortens a text: sentences at their end, and ids and URLs in the middle, because they are told apart by their ends.
func (p Pen) Cut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	if strings.ContainsRune(text, ' ') {
		return string(runes[:width-1]) + p.Glyphs.ellipsis
	}
	head := width / 2
	return string(runes[:head]) + p.Glyphs.ellipsis + string(runes[len(runes)-(width-head-1):])
}

// Narrow says whether there is a terminal too narrow for rows with full ids and times.
func (p Pen) Narrow() bool { return p.Width > 0 && p.Width < 140 }

// Narrower is the pen for what stands beside something else.
func (p Pen) Narrower(columns int) Pen {
	if p.Width > 0 {
		p.Width = max(p.Width-columns, 1)
	}
	return p
}
