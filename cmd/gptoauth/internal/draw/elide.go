package draw

// Span is a run of lines, which are shown, or whose place a line takes that says what they were.
type Span struct {
	Begin, End int // the end is not part of it
	Gap        bool
}

// Elide decides what to show of many lines: the first and last of them and those that matter. A gap of one line would save
// nothing.
func Elide(n, head, tail int, matters func(i int) bool) []Span {
	var spans []Span
	for i := range n {
		gap := i >= head && i < n-tail && !matters(i)
		if last := len(spans) - 1; last >= 0 && spans[last].Gap == gap {
			spans[last].End++
		} else {
			spans = append(spans, Span{i, i + 1, gap})
		}
	}
	for i := range spans {
		spans[i].Gap = spans[i].Gap && spans[i].End-spans[i].Begin > 1
	}
	return spans
}

// Wholly shows everything.
func Wholly(n int) []Span { return []Span{{0, n, false}} }
