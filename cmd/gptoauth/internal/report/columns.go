package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	columnWidth = 10.0 // of a chart's own units; the bar in it is narrower
	barWidth    = 7.8
	chartHeight = 100.0
	leastHeight = 1.4 // of a bar that stands for something
	seam        = 0.7 // between parts of a bar
)

// columns is a chart of bars that stand side by side, one a bucket. It is stretched to the width there is, so that what is
// to be read stands beside the drawing and not in it.
type columns struct {
	ID, Title, Lead, Alt string
	Wide                 bool   // over the whole page, if that is wide
	Each                 string // what a column is
	Series               []series
	Width                float64
	Columns              []column
	Grid                 []gridline
	Axis                 []string // labels from left to right
	Total                int
	Empty                string // what to say if the total is zero
	Gap                  string // why there is no figure
}

// Stands tells the two kinds of charts apart in the template.
func (columns) Stands() bool { return true }

// series is one of the colours.
type series struct {
	Name   label
	Class  string
	Total  int
	Values []int
}

type column struct {
	Label, Hint string
	X           float64
	Bars        []bar
	Cells       []int // of the table
	Sum         int
}

type bar struct {
	Class      string
	X, Y, W, H float64
}

type gridline struct {
	Y     float64
	Class string
	Text  string
}

// draw works out the bars of a chart from its series.
func (w window) draw(c columns) columns {
	n := w.buckets()
	c.Each = w.each()
	c.Width = float64(n) * columnWidth
	highest := 0
	for i := range n {
		sum := 0
		for _, s := range c.Series {
			sum += s.Values[i]
		}
		highest = max(highest, sum)
		c.Total += sum
	}
	top := niceTop(highest)
	for i := range n {
		c.Columns = append(c.Columns, w.column(i, c.Series, top))
	}
	c.Grid = []gridline{{0, "top", short(top)}, {chartHeight / 2, "half", ""}, {chartHeight, "zero", "0"}}
	if top%2 == 0 {
		c.Grid[1].Text = short(top / 2)
	}
	for part := range 5 {
		c.Axis = append(c.Axis, w.short(part*(n-1)/4))
	}
	c.Alt = fmt.Sprintf("Bars, one for each %s from %s to %s. %s", c.Each, minute(w.since), minute(w.until), c.inWords())
	return c
}

// column stacks the parts of a bar, the first series at the bottom.
func (w window) column(i int, all []series, top int) column {
	c := column{Label: w.label(i), X: float64(i) * columnWidth}
	var parts []string
	y := chartHeight
	for _, s := range all {
		value := s.Values[i]
		c.Cells = append(c.Cells, value)
		c.Sum += value
		if value == 0 {
			continue
		}
		parts = append(parts, s.Name.Text+" "+thousands(value))
		height := max(float64(value)/float64(top)*chartHeight, leastHeight)
		y = max(y-height, 0)
		if len(c.Bars) > 0 && height > 3*seam {
			height -= seam
		}
		c.Bars = append(c.Bars, bar{s.Class, round(c.X + (columnWidth-barWidth)/2), round(y), barWidth, round(height)})
	}
	if len(parts) == 0 {
		parts = []string{"none"}
	}
	c.Hint = c.Label + ": " + strings.Join(parts, ", ")
	return c
}

// inWords says what a chart shows to those who do not see it.
func (c columns) inWords() string {
	if c.Total == 0 {
		return "There are none."
	}
	parts := make([]string, len(c.Series))
	for i, s := range c.Series {
		parts[i] = s.Name.Text + " " + thousands(s.Total)
	}
	most := slices.MaxFunc(c.Columns, func(a, b column) int { return a.Sum - b.Sum })
	return fmt.Sprintf("In all: %s. Most in one %s: %s, %s.", strings.Join(parts, ", "), c.Each, thousands(most.Sum), most.Label)
}

// niceTop is the number that the top of a chart stands for.
func niceTop(highest int) int {
	if highest <= 2 {
		return 2
	}
	power := math.Pow(10, math.Floor(math.Log10(float64(highest))))
	for _, step := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if top := int(step * power); top >= highest {
			return top
		}
	}
	return highest
}

func round(f float64) float64 { return math.Round(f*100) / 100 }
