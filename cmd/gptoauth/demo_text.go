package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// Columns of a step. Steps are printed as they end, so that no table can measure them; together they fit in 80 columns.
const (
	demoNameWidth    = 29
	demoOutcomeWidth = 33
	demoTimeWidth    = 10
	demoWidth        = 2 + 2 + 1 + demoNameWidth + demoOutcomeWidth + demoTimeWidth
	demoIndent       = "     "
)

// demoText prints the demo for people.
type demoText struct {
	pen    draw.Pen
	printf func(format string, args ...any)
}

func (t demoText) intro(userID string) {
	t.printf("%s signs in, refreshes, is robbed and leaves. Every step runs\n", userID)
	t.printf("in PostgreSQL, and what comes of it is checked.\n")
}

func (t demoText) part(number int, title string) {
	t.printf("\n%s\n", t.pen.Paint(draw.Strong, fmt.Sprintf("%d  %s", number, title)))
}

func (t demoText) step(s stepReport) {
	mark := draw.Cell{Text: t.pen.Glyphs.Tick, Tone: draw.Good}
	if !s.OK {
		mark = draw.Cell{Text: t.pen.Glyphs.Cross, Tone: draw.Alarm}
	}
	t.printf("  %s %s%s%s\n", t.padded(mark, 2), t.padded(draw.Cell{Text: s.Name}, demoNameWidth),
		t.padded(draw.Cell{Text: s.Outcome, Tone: outcomeTone(s)}, demoOutcomeWidth),
		t.pen.Paint(draw.Faint, fmt.Sprintf("%*s", demoTimeWidth, elapsed(time.Duration(s.DurationMS)))))
	if !s.OK {
		t.printf("%s%s\n", demoIndent, t.pen.Paint(draw.Alarm, "expected: "+s.Expected))
	}
	t.because(s.Why, s.Reference)
}

// broken is a step that ended in an error, which run prints on stderr.
func (t demoText) broken(s demoStep) {
	t.printf("  %s %s\n", t.padded(draw.Cell{Text: t.pen.Glyphs.Cross, Tone: draw.Alarm}, 2), s.name)
	t.because(s.why, s.reference)
}

// because says why the step matters, and flush right where it is written.
func (t demoText) because(why, reference string) {
	line := demoIndent + why
	if reference != "" {
		gap := demoWidth - utf8.RuneCountInString(line) - utf8.RuneCountInString(reference)
		line += strings.Repeat(" ", max(gap, 1)) + reference
	}
	t.printf("%s\n", t.pen.Paint(draw.Faint, line))
}

func (t demoText) padded(c draw.Cell, width int) string {
	return t.pen.Paint(c.Tone, c.Text) + strings.Repeat(" ", max(width-utf8.RuneCountInString(c.Text), 0))
}

// outcomeTone tells at a glance what was given, what was refused and what was an attack.
func outcomeTone(s stepReport) draw.Tone {
	switch s.Outcome {
	case string(repo.Replayed), string(repo.Reused):
		return draw.Alarm
	case string(repo.Mismatch), string(repo.Ended):
		return draw.Refused
	default:
		if !s.OK {
			return draw.Alarm
		}
		return draw.Good
	}
}

// result prints the tree, the timeline and the verdict.
func (t demoText) result(r demoReport) {
	if len(r.Family) > 0 {
		t.heading("The person's sessions, each a family of tokens")
		t.printf("  %s\n", r.ClerkUserID)
		t.lines(familyTree(t.pen.Narrower(len(demoIndent)), r.Family, treeView{all: true}))
	}
	if len(r.Events) > 0 {
		t.heading("The audit trail since " + timestamp(r.Events[0].CreatedAt))
		t.lines(timeline(t.pen.Narrower(len(demoIndent)), r.Events, true))
	}
	if r.OK {
		t.printf("\n%s\n", t.pen.Paint(draw.Good, fmt.Sprintf("All %d steps ended as they should, in %s.",
			len(r.Steps), elapsed(time.Duration(r.DurationMS)))))
	}
}

func (t demoText) heading(title string) {
	t.printf("\n%s\n", t.pen.Paint(draw.Strong, title))
}

func (t demoText) lines(lines []string) {
	for _, line := range lines {
		t.printf("  %s\n", line)
	}
}
