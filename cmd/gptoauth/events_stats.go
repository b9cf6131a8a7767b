package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// eventStats is what --json prints.
type eventStats struct {
	By            string       `json:"by"`
	Since         time.Time    `json:"since"`
	Until         time.Time    `json:"until"`
	BucketSeconds int          `json:"bucket_seconds,omitempty"` // with --bucket
	Values        []valueStats `json:"values"`                   // the most frequent first, what stands for all others last

	bucket time.Duration
}

// valueStats counts the events with one value.
type valueStats struct {
	Value   string        `json:"value"`  // empty: the event has none
	Others  bool          `json:"others"` // true: all values but those shown
	Events  int           `json:"events"`
	Buckets []bucketStats `json:"buckets,omitempty"` // with --bucket; those without events are left out
}

type bucketStats struct {
	Begin  time.Time `json:"begin"`
	Events int       `json:"events"`
}

const (
	maxBuckets   = 10_000
	plainWidth   = 80 // of what is drawn where there is no terminal
	maxValueText = 34 // of a value, when there is a chart beside it
)

func (a *app) eventsStatsCommand() *cli.Command {
	return &cli.Command{
		Name:  "stats",
		Usage: "count events, and draw the counts as bars",
		Description: `With --bucket it draws one bar a bucket, each row to its own scale; "peak" is what the highest bar stands for. Buckets begin
at full hours, days and so on, in UTC. It reads every event from --since on: a few seconds for a million. ` + timesHelp + `

Examples:
  gptoauth events stats                                    # the last 24 hours by type
  gptoauth events stats --by type --bucket 1h --since 2d
  gptoauth events stats --by ip --type token_mismatch --since 1h
  gptoauth events stats --by user --type token_retry --top 20
  gptoauth events stats --bucket 1d --since 30d --json | jq -r '.values[] | .value as $v | .buckets[] | [$v, .begin, .events] | @csv'`,
		Flags: append(eventFilterFlags(), sinceFlag("24h"), untilFlag(),
			&cli.StringFlag{Name: "by", Usage: "type, user, client or ip", Value: string(repo.ByType)},
			&cli.StringFlag{Name: "bucket", Usage: "count by spans of this length, such as 5m, 1h or 1d"},
			&cli.IntFlag{Name: "top", Usage: "how many values to tell apart", Value: 10}),
		Action: a.eventsStats,
	}
}

func (a *app) eventsStats(ctx context.Context, cmd *cli.Command) error {
	params, err := countParams(cmd)
	if err != nil {
		return err
	}
	store, err := a.store(ctx)
	if err != nil {
		return err
	}
	counts, err := store.Events.Count(ctx, params)
	if err != nil {
		return err
	}
	result := newEventStats(params, counts)
	return a.show(result, func() { a.printEventStats(result) })
}

func countParams(cmd *cli.Command) (repo.EventCountParams, error) {
	filter, err := eventFilter(cmd)
	if err != nil {
		return repo.EventCountParams{}, err
	}
	if filter.Until.IsZero() {
		filter.Until = time.Now()
	}
	params := repo.EventCountParams{Filter: filter, By: repo.EventField(cmd.String("by")), Top: cmd.Int("top")}
	switch params.By {
	case repo.ByType, repo.ByUser, repo.ByClient, repo.ByIPAddress:
	default:
		return params, usageErrorf("--by is unknown, want type, user, client or ip")
	}
	if text := cmd.String("bucket"); text != "" {
		bucket, ok := parseSpan(text)
		if !ok || bucket < time.Second || bucket%time.Second != 0 {
			return params, usageErrorf("--bucket is no length of time in whole seconds, such as 5m, 1h or 1d")
		}
		params.Bucket = bucket
	}
	switch {
	case filter.Since.IsZero() || !filter.Since.Before(filter.Until):
		return params, usageErrorf("--since is not before --until")
	case params.Bucket > 0 && filter.Until.Sub(filter.Since)/params.Bucket >= maxBuckets:
		return params, usageErrorf("there would be more than %s buckets: make --bucket longer", thousands(maxBuckets))
	case params.Top < 1 || params.Top > 1000:
		return params, usageErrorf("--top is %d, want 1 to 1,000", params.Top)
	}
	return params, nil
}

func newEventStats(params repo.EventCountParams, counts []repo.EventCount) eventStats {
	s := eventStats{
		By:            string(params.By),
		Since:         params.Filter.Since.UTC(),
		Until:         params.Filter.Until.UTC(),
		BucketSeconds: int(params.Bucket / time.Second),
		Values:        []valueStats{},
		bucket:        params.Bucket,
	}
	for _, c := range counts {
		last := len(s.Values) - 1
		if last < 0 || s.Values[last].Value != c.Value || s.Values[last].Others != c.Others {
			s.Values = append(s.Values, valueStats{Value: c.Value, Others: c.Others})
			last++
		}
		v := &s.Values[last]
		v.Events += c.Events
		if params.Bucket > 0 {
			v.Buckets = append(v.Buckets, bucketStats{Begin: c.Begin.UTC(), Events: c.Events})
		}
	}
	return s
}

func (a *app) printEventStats(s eventStats) {
	if len(s.Values) == 0 {
		a.progressf("there are no such events")
		return
	}
	if s.bucket > 0 {
		a.printSkylines(s)
		return
	}
	a.printStatsTitle(s, "")
	room := cmp.Or(a.pen.Width, plainWidth) - s.labelWidth() - s.numberWidth() - 2*draw.ColumnGap
	rows := make([][]draw.Cell, len(s.Values))
	for i, v := range s.Values {
		rows[i] = []draw.Cell{v.label(a.pen), {Text: thousands(v.Events), Right: true}}
		if !v.Others { // whose bar would dwarf the rest
			rows[i] = append(rows[i], draw.Cell{Text: a.pen.Bar(v.Events, s.most(), max(room, draw.NarrowColumn)), Tone: v.tone(s)})
		}
	}
	a.lines(a.pen.Table(rows))
}

func (a *app) printStatsTitle(s eventStats, scale string) {
	title := fmt.Sprintf("from %s to %s", timestamp(s.Since), timestamp(s.Until))
	a.printf("%s\n\n", a.pen.Paint(draw.Strong, title+scale))
}

func (a *app) printSkylines(s eventStats) {
	begin := firstBucket(s.Since, s.bucket)
	n := int(s.Until.Sub(begin)/s.bucket) + 1
	numbers := max(s.numberWidth(), len("events")) + max(s.numberWidth(), len("peak"))
	room := max(cmp.Or(a.pen.Width, plainWidth)-s.labelWidth()-numbers-3*draw.ColumnGap, draw.NarrowColumn)
	head := []draw.Cell{{Text: s.By, Tone: draw.Strong}, {Text: "events", Tone: draw.Strong, Right: true}, {Text: "peak", Tone: draw.Strong, Right: true}}
	rows := append(make([][]draw.Cell, 0, 1+len(s.Values)), head)
	each := 1
	for _, v := range s.Values {
		values := make([]int, n)
		for _, b := range v.Buckets {
			values[int(b.Begin.Sub(begin)/s.bucket)] += b.Events
		}
		values, each = draw.Squeeze(values, room)
		rows = append(rows, []draw.Cell{
			v.label(a.pen),
			{Text: thousands(v.Events), Right: true},
			{Text: thousands(slices.Max(values)), Right: true},
			{Text: a.pen.Skyline(values), Tone: v.tone(s)},
		})
	}
	a.printStatsTitle(s, ", "+spanText(s.bucket*time.Duration(each))+" a bar")
	a.lines(a.pen.Table(rows))
}

// firstBucket is where the bucket begins that t is in, as the database counts them: from 2000-01-01 on.
func firstBucket(t time.Time, bucket time.Duration) time.Time {
	origin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	into := t.Sub(origin) % bucket
	if into < 0 {
		into += bucket
	}
	return t.Add(-into)
}

// most is what the longest bar stands for.
func (s eventStats) most() int {
	most := 1
	for _, v := range s.Values {
		if !v.Others {
			most = max(most, v.Events)
		}
	}
	return most
}

func (s eventStats) numberWidth() int {
	width := 0
	for _, v := range s.Values {
		width = max(width, len(thousands(v.Events)))
	}
	return width
}

func (s eventStats) labelWidth() int {
	width := 0
	for _, v := range s.Values {
		width = max(width, len([]rune(v.label(draw.Pen{}).Text)))
	}
	return min(width, maxValueText)
}

func (v valueStats) label(p draw.Pen) draw.Cell {
	switch {
	case v.Others:
		return draw.Cell{Text: "all others", Tone: draw.Faint}
	case v.Value == "":
		return draw.Cell{Text: "none", Tone: draw.Faint}
	default:
		return draw.Cell{Text: p.Cut(printable(v.Value), maxValueText)}
	}
}

// tone shows alarms as such.
func (v valueStats) tone(s eventStats) draw.Tone {
	if s.By != string(repo.ByType) || v.Others {
		return draw.Plain
	}
	t, _ := trailEvent{Type: v.Value}.tone(draw.Pen{})
	return t
}
