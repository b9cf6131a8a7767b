package report

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/repo"
)

// Retention is what the janitor has left.
type Retention struct {
	Kinds []Kind `json:"kinds"`

	judged []doctor.Finding
}

// Kind is a kind of rows that the janitor deletes.
type Kind struct {
	Name        string    `json:"name"` // such as "expired codes"
	Table       string    `json:"table"`
	KeepSeconds int       `json:"keep_seconds,omitempty"` // left out: for ever
	OldestAt    time.Time `json:"oldest_at,omitzero"`     // since when the oldest row is over, or will be; left out: there is none
	DueAt       time.Time `json:"due_at,omitzero"`        // when it is to be deleted
	Overdue     int       `json:"overdue"`                // rows that should have been deleted a day ago
	AtLeast     bool      `json:"at_least"`               // there may be more
}

// readRetention reads the first entry of an index for each kind, and those that are overdue up to a bound.
func readRetention(ctx context.Context, s *snapshot, tx bun.Tx) (Retention, error) {
	result := Retention{Kinds: []Kind{}}
	var overdue []string
	for _, leftover := range s.params.Retention.Leftovers() {
		kind := Kind{Name: leftover.Many, Table: leftover.Table}
		var err error
		if kind.OldestAt, err = leftover.Oldest(ctx, tx); err != nil {
			return result, err
		}
		if kind.Overdue, err = leftover.Overdue(ctx, tx); err != nil {
			return result, err
		}
		kind.AtLeast = doctor.Uncounted(kind.Overdue)
		if !kind.OldestAt.IsZero() {
			kind.OldestAt = kind.OldestAt.UTC()
		}
		if leftover.Keep != repo.Off {
			kind.KeepSeconds = int(leftover.Keep / time.Second)
			if !kind.OldestAt.IsZero() {
				kind.DueAt = kind.OldestAt.Add(leftover.Keep)
			}
		}
		if kind.Overdue > 0 {
			overdue = append(overdue, leftover.Say(kind.Overdue))
		}
		result.Kinds = append(result.Kinds, kind)
	}
	result.judged = doctor.JudgeOverdue(overdue)
	return result, nil
}
