package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// treeView is how much of a family to draw.
type treeView struct {
	all       bool      // leaves no generation out
	presented uuid.UUID // the token in question, if there is one
}

const (
	treeHead = 5
	treeTail = 10
)

// familyTree draws families as a tree: one branch a session, one twig a generation of its refresh token. Of a long family
// the middle is left out, but for what was reused and the token in question.
func familyTree(p draw.Pen, families []family, view treeView) []string {
	var lines []string //nolint:prealloc // a family has as many as it has
	for i, f := range families {
		branch, trunk := p.Glyphs.Branch, p.Glyphs.Trunk
		if i == len(families)-1 {
			branch, trunk = p.Glyphs.LastBranch, p.Glyphs.Gap
		}
		lines = append(lines, p.Paint(draw.Faint, branch)+sessionLine(p, f))
		lines = append(lines, twigs(p, f, view, trunk)...)
	}
	return lines
}

func twigs(p draw.Pen, f family, view treeView, trunk string) []string {
	var rows [][]draw.Cell
	gaps := make(map[int]string)
	for _, s := range view.spans(f.Generations) {
		if s.Gap {
			gaps[len(rows)] = p.Paint(draw.Faint, trunk+p.Glyphs.Dots+"  "+gapOfGenerations(f.Generations[s.Begin:s.End]))
			continue
		}
		for _, g := range f.Generations[s.Begin:s.End] {
			rows = append(rows, generationRow(p, f, g, view))
		}
	}
	lines := p.Narrower(len(draw.ASCII.Gap) + len(draw.ASCII.Branch)).Table(rows)
	for i, line := range lines {
		twig := p.Glyphs.Branch
		if i == len(lines)-1 {
			twig = p.Glyphs.LastBranch
		}
		lines[i] = p.Paint(draw.Faint, trunk+twig) + line
	}
	return withGaps(lines, gaps)
}

func (v treeView) spans(generations []generation) []draw.Span {
	if v.all {
		return draw.Wholly(len(generations))
	}
	return draw.Elide(len(generations), treeHead, treeTail, func(i int) bool {
		return !generations[i].ReusedAt.IsZero() || generations[i].ID == v.presented
	})
}

func gapOfGenerations(generations []generation) string {
	retried := 0
	for _, g := range generations {
		if g.Retries > 0 {
			retried++
		}
	}
	text := thousands(len(generations)) + " generations, each rotated"
	if retried > 0 {
		text += ", " + thousands(retried) + " of them asked for again"
	}
	return text
}

func sessionLine(p draw.Pen, f family) string {
	line := p.Paint(draw.Strong, "session "+shortID(f.SessionID)) + "  "
	switch {
	case !f.EndedAt.IsZero():
		return line + p.Paint(reasonTone(f.EndReason), "ended after "+elapsed(f.EndedAt.Sub(f.CreatedAt))+": "+printable(f.EndReason))
	case f.Alive:
		return line + p.Paint(draw.Good, "alive")
	default:
		return line + p.Paint(draw.Refused, stateExpired)
	}
}

func generationRow(p draw.Pen, f family, g generation, view treeView) []draw.Cell {
	row := []draw.Cell{
		{Text: strconv.Itoa(g.Number), Right: true},
		{Text: shortID(g.ID), Tone: draw.Strong},
		{Text: "+" + elapsed(g.CreatedAt.Sub(f.CreatedAt)), Tone: draw.Faint, Right: true},
		stateCell(p, f, g),
		noteCell(p, g),
	}
	if view.presented == g.ID {
		row = append(row, draw.Cell{Text: p.Glyphs.Here + " this one", Tone: draw.Strong})
	}
	return row
}

func stateCell(p draw.Pen, f family, g generation) draw.Cell {
	switch g.State {
	case stateRotated:
		return draw.Cell{Text: "rotated " + p.Glyphs.Arrow + " " + shortID(g.RotatedTo)}
	case stateCurrent:
		return draw.Cell{Text: stateCurrent, Tone: draw.Good}
	case stateEnded:
		return draw.Cell{Text: "ended by " + printable(cmp.Or(f.EndReason, "an unknown reason")), Tone: reasonTone(f.EndReason)}
	default:
		return draw.Cell{Text: g.State, Tone: draw.Refused}
	}
}

func noteCell(p draw.Pen, g generation) draw.Cell {
	switch {
	case !g.ReusedAt.IsZero():
		return draw.Cell{Text: "reused: ends the session", Tone: draw.Alarm}
	case g.Retries > 0:
		return draw.Cell{Text: "asked again " + p.Glyphs.Times + strconv.Itoa(g.Retries), Tone: draw.Refused}
	default:
		return draw.Cell{}
	}
}

// reasonTone tells attacks from what someone meant to do.
func reasonTone(reason string) draw.Tone {
	switch reason {
	case repo.EventTokenReuse, repo.EventCodeReplay:
		return draw.Alarm
	default:
		return draw.Plain
	}
}

// shortID is the eight digits of a UUIDv7 that tell it from its neighbours: it begins with the time, which they share,
// and ends with the route, which all ids of a person share. Searched for in the database as '%-<these>%'.
func shortID(id uuid.UUID) string {
	const begin, digits = 24, 8
	return id.String()[begin : begin+digits]
}

// elapsed says how long something took, in five digits or so, cut and not rounded: what has not lasted a second is not one.
func elapsed(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds()/100)/10)
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Truncate(10*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d d %02d h", d/day, d%day/time.Hour)
	}
}
