package main

// span is a run of lines, which are shown, or whose place a line takes that says what they were.
type span struct {
	begin, end int // the end is not part of it
	gap        bool
}

// elide decides what to show of many lines: the first and last of them and those that matter. A gap of one line would save
// nothing.
func elide(n, head, tail int, matters func(i int) bool) []span {
	var spans []span
	for i := range n {
		gap := i >= head && i < n-tail && !matters(i)
		if last := len(spans) - 1; last >= 0 && spans[last].gap == gap {
			spans[last].end++
		} else {
			spans = append(spans, span{i, i + 1, gap})
		}
	}
	for i := range spans {
		spans[i].gap = spans[i].gap && spans[i].end-spans[i].begin > 1
	}
	return spans
}

// wholly shows everything.
func wholly(n int) []span { return []span{{0, n, false}} }
