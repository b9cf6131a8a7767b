package report

// bars is a chart of bars that lie below each other, each with its name.
type bars struct {
	ID, Title, Lead string
	Wide            bool     // as of columns; none is
	Head            []string // of the table
	Bars            []lyingBar
	Empty           string
	Gap             string
}

// Stands tells the two kinds of charts apart in the template.
func (bars) Stands() bool { return false }

type lyingBar struct {
	Name       label
	Text, Hint string
	Parts      []part
	Cells      []string // of the table, after the name
}

// part is a piece of a bar, in hundredths of the longest.
type part struct {
	Class string
	X, W  float64
}

// lengthOf is how long a bar is, visible if it stands for something.
func lengthOf(value, longest int64) float64 {
	if value == 0 || longest == 0 {
		return 0
	}
	return round(max(float64(value)/float64(longest)*100, 0.8))
}
