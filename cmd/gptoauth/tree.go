package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

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
func familyTree(p pen, families []family, view treeView) []string {
	var lines []string //nolint:prealloc // a family has as many as it has
	for i, f := range families {
		branch, trunk := p.glyphs.branch, p.glyphs.trunk
		if i == len(families)-1 {
			branch, trunk = p.glyphs.lastBranch, p.glyphs.gap
		}
		lines = append(lines, p.paint(faint, branch)+sessionLine(p, f))
		lines = append(lines, twigs(p, f, view, trunk)...)
	}
	return lines
}

func twigs(p pen, f family, view treeView, trunk string) []string {
	var rows [][]cell
	gaps := make(map[int]string)
	for _, s := range view.spans(f.Generations) {
		if s.gap {
			gaps[len(rows)] = p.paint(faint, trunk+p.glyphs.dots+"  "+gapOfGenerations(f.Generations[s.begin:s.end]))
			continue
		}
		for _, g := range f.Generations[s.begin:s.end] {
			rows = append(rows, generationRow(p, f, g, view))
		}
	}
	lines := p.narrower(len(asciiGlyphs.gap) + len(asciiGlyphs.branch)).table(rows)
	for i, line := range lines {
		twig := p.glyphs.branch
		if i == len(lines)-1 {
			twig = p.glyphs.lastBranch
		}
		lines[i] = p.paint(faint, trunk+twig) + line
	}
	return withGaps(lines, gaps)
}

func (v treeView) spans(generations []generation) []span {
	if v.all {
		return wholly(len(generations))
	}
	return elide(len(generations), treeHead, treeTail, func(i int) bool {
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

func sessionLine(p pen, f family) string {
	line := p.paint(strong, "session "+shortID(f.SessionID)) + "  "
	switch {
	case !f.EndedAt.IsZero():
		return line + p.paint(reasonTone(f.EndReason), "ended after "+elapsed(f.EndedAt.Sub(f.CreatedAt))+": "+printable(f.EndReason))
	case f.Alive:
		return line + p.paint(good, "alive")
	default:
		return line + p.paint(refuse, stateExpired)
	}
}

func generationRow(p pen, f family, g generation, view treeView) []cell {
	row := []cell{
		{text: strconv.Itoa(g.Number), right: true},
		{text: shortID(g.ID), tone: strong},
		{text: "+" + elapsed(g.CreatedAt.Sub(f.CreatedAt)), tone: faint, right: true},
		stateCell(p, f, g),
		noteCell(p, g),
	}
	if view.presented == g.ID {
		row = append(row, cell{text: p.glyphs.here + " this one", tone: strong})
	}
	return row
}

func stateCell(p pen, f family, g generation) cell {
	switch g.State {
	case stateRotated:
		return cell{text: "rotated " + p.glyphs.arrow + " " + shortID(g.RotatedTo)}
	case stateCurrent:
		return cell{text: stateCurrent, tone: good}
	case stateEnded:
		return cell{text: "ended by " + printable(cmp.Or(f.EndReason, "an unknown reason")), tone: reasonTone(f.EndReason)}
	default:
		return cell{text: g.State, tone: refuse}
	}
}

func noteCell(p pen, g generation) cell {
	switch {
	case !g.ReusedAt.IsZero():
		return cell{text: "reused: ends the session", tone: alarm}
	case g.Retries > 0:
		return cell{text: "asked again " + p.glyphs.times + strconv.Itoa(g.Retries), tone: refuse}
	default:
		return cell{}
	}
}

// reasonTone tells attacks from what someone meant to do.
func reasonTone(reason string) tone {
	switch reason {
	case repo.EventTokenReuse, repo.EventCodeReplay:
		return alarm
	default:
		return plain
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
