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
	Kinds []Kind `json:"kinds"` // but those that could not be read

	judged []doctor.Finding
	whole  bool // all kinds could be read
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

// readRetention reads each kind as a figure of its own: codes are what an application role does not see. It is nil if there is none.
func readRetention(ctx context.Context, s *snapshot) *Retention {
	result := Retention{Kinds: []Kind{}}
	var overdue []string
	leftovers := s.params.Retention.Leftovers()
	for _, leftover := range leftovers {
		kind := figure(ctx, s, retentionGap+leftover.Many, "looking for "+leftover.Many+" that are overdue",
			func(ctx context.Context, _ *snapshot, tx bun.Tx) (Kind, error) { return readKind(ctx, tx, leftover) })
		if kind == nil {
			continue
		}
		if kind.Overdue > 0 {
			overdue = append(overdue, leftover.Say(kind.Overdue))
		}
		result.Kinds = append(result.Kinds, *kind)
	}
	if len(result.Kinds) == 0 {
		return nil
	}
	result.whole = len(result.Kinds) == len(leftovers)
	result.judged = doctor.JudgeOverdue(overdue)
	return &result
}

// retentionGap is how the gap of a kind is named, before the kind.
const retentionGap = "retention: "

// readKind reads the first entry of an index, and counts the rows that are overdue up to a bound.
func readKind(ctx context.Context, tx bun.Tx, leftover doctor.Leftover) (Kind, error) {
	kind := Kind{Name: leftover.Many, Table: leftover.Table}
	var err error
	if kind.OldestAt, err = leftover.Oldest(ctx, tx); err != nil {
		return kind, err
	}
	if kind.Overdue, err = leftover.Overdue(ctx, tx); err != nil {
		return kind, err
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
	return kind, nil
}
