package report

import (
	"strings"
	"time"
)

// storageView is the tables as the page shows them.
type storageView struct {
	Gap     string
	Total   string
	Replica bool
	Tables  []tableView
}

type tableView struct {
	Name, Rows, Size, Heap, Indexes, Dead, Vacuumed string
	Threshold                                       string
	Behind                                          bool // more dead rows than doctor lets be
	Parts                                           []part
	Each                                            []Index
}

func (r Report) storageView() storageView {
	v := storageView{Gap: r.gap("storage"), Replica: r.Replica}
	if r.Storage == nil {
		return v
	}
	v.Total = bytesText(r.Storage.Bytes)
	var largest int64
	for _, t := range r.Storage.Tables {
		largest = max(largest, t.bytes())
	}
	for _, t := range r.Storage.Tables {
		heap, vacuumed := lengthOf(t.TableBytes, largest), unknown
		if !r.Replica {
			vacuumed = ago(r.MadeAt, t.VacuumedAt, "never")
		}
		v.Tables = append(v.Tables, tableView{
			Name: shortTable(t.Name), Rows: compact(t.Rows), Size: bytesText(t.bytes()), Heap: bytesText(t.TableBytes),
			Indexes: bytesText(t.IndexBytes), Dead: known(t.Dead), Threshold: known(t.VacuumThreshold),
			Vacuumed: vacuumed, Behind: t.behind,
			Parts: []part{{"c1", 0, heap}, {"c2", heap, lengthOf(t.IndexBytes, largest)}},
			Each:  t.Indexes,
		})
	}
	return v
}

// unknown stands for a number that there is not.
const unknown = "–"

func known(n *int) string {
	if n == nil {
		return unknown
	}
	return compact(*n)
}

// retentionView is what the janitor has left, as the page shows it.
type retentionView struct {
	Gaps  []Gap // of kinds
	Kinds []kindView
}

type kindView struct {
	Name, Table, Kept, Oldest, Due, Overdue string
	Late                                    bool
}

func (r Report) retentionView() retentionView {
	v := retentionView{}
	for _, g := range r.Gaps {
		if kind, ok := strings.CutPrefix(g.Figure, retentionGap); ok {
			v.Gaps = append(v.Gaps, Gap{capital(kind), g.Reason})
		}
	}
	if r.Retention == nil {
		return v
	}
	for _, k := range r.Retention.Kinds {
		view := kindView{
			Name: capital(k.Name), Table: shortTable(k.Table), Kept: "for ever", Oldest: ago(r.MadeAt, k.OldestAt, "there is none"),
			Due: unknown, Overdue: thousands(k.Overdue), Late: k.Overdue > 0,
		}
		if k.KeepSeconds > 0 {
			view.Kept = span(time.Duration(k.KeepSeconds) * time.Second)
		}
		if !k.DueAt.IsZero() {
			view.Due = ago(r.MadeAt, k.DueAt, "")
		}
		if k.AtLeast {
			view.Overdue = "at least " + view.Overdue
		}
		v.Kinds = append(v.Kinds, view)
	}
	return v
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// ago says how long before or after now a time is.
func ago(now, t time.Time, never string) string {
	switch {
	case t.IsZero():
		return never
	case t.After(now):
		return "in " + span(t.Sub(now))
	default:
		return span(now.Sub(t)) + " ago"
	}
}

// shortTable leaves out what all have in common.
func shortTable(name string) string { return strings.TrimPrefix(name, "public.") }
