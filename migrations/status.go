package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// The statuses of a migration.
const (
	Applied = "applied"
	Pending = "pending" // known to this binary, not applied
	Changed = "changed" // applied, and edited since
	Unknown = "unknown" // applied, older than the newest one known, and not known
	Ahead   = "ahead"   // applied by a newer release
)

// State is one migration as the database and this binary see it.
type State struct {
	ID        string    `json:"id"` // 14 digits
	Name      string    `json:"name"`
	Status    string    `json:"status"`              // Applied, Pending, Changed, Unknown or Ahead
	AppliedAt time.Time `json:"applied_at,omitzero"` // zero if pending
}

// Status returns all migrations, known or applied, by id. It reads only; on a database without any bookkeeping all are
// pending.
func Status(ctx context.Context, db *bun.DB) ([]State, error) {
	return embedded.status(ctx, db)
}

// Check returns nil if the schema is what this binary needs, which includes a database that is ahead of it: one query,
// fit for a readiness probe. The role needs SELECT on public.gpt_migrations and, unless it owns the table, a policy.
// Errors: [*PendingError], [*ChangedError], [*UnknownError], [*OutOfOrderError], or one that wraps the driver's.
func Check(ctx context.Context, db *bun.DB) error {
	return embedded.check(ctx, db)
}

// Planned is a migration that [Up] would run or [Down] undo, with the SQL for that.
type Planned struct {
	ID   string `json:"id"` // 14 digits
	Name string `json:"name"`
	SQL  string `json:"sql"` // the up or the down file
}

// Plan returns what [Up] would run now, in its order. It reads only. Errors are those of Up.
func Plan(ctx context.Context, db *bun.DB) ([]Planned, error) {
	return embedded.plan(ctx, db)
}

// PlanDown returns what [Down] would undo now, in its order. It reads only. Errors are those of Down.
func PlanDown(ctx context.Context, db *bun.DB, steps int) ([]Planned, error) {
	return embedded.planDown(ctx, db, steps)
}

func (s *set) status(ctx context.Context, db *bun.DB) ([]State, error) {
	h, err := readHistoryIfAny(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("migrations: status: %w", err)
	}
	var states []State
	for _, src := range s.sources {
		state := State{ID: src.id, Name: src.name, Status: Pending}
		if row, ok := h.find(src.id); ok {
			state.Status, state.AppliedAt = Applied, row.migratedAt
			if row.checksum != src.checksum {
				state.Status = Changed
			}
		}
		states = append(states, state)
	}
	for _, row := range h {
		if _, ok := s.find(row.id); ok {
			continue
		}
		state := State{ID: row.id, Name: row.name, Status: Unknown, AppliedAt: row.migratedAt}
		if row.id > s.newest() {
			state.Status = Ahead
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b State) int { return strings.Compare(a.ID, b.ID) })
	return states, nil
}

func (s *set) check(ctx context.Context, db *bun.DB) error {
	h, err := s.verifiedHistory(ctx, db)
	if err == nil {
		if pending := s.pending(h); len(pending) > 0 {
			err = &PendingError{IDs: pending}
		}
	}
	if err != nil {
		return fmt.Errorf("migrations: check: %w", err)
	}
	return nil
}

func (s *set) plan(ctx context.Context, db *bun.DB) ([]Planned, error) {
	h, err := s.verifiedHistory(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("migrations: plan: %w", err)
	}
	var plan []Planned
	for _, src := range s.sources {
		if _, ok := h.find(src.id); !ok {
			plan = append(plan, Planned{ID: src.id, Name: src.name, SQL: src.up})
		}
	}
	return plan, nil
}

func (s *set) planDown(ctx context.Context, db *bun.DB, steps int) ([]Planned, error) {
	undoable, err := s.undoable(ctx, db, steps)
	if err != nil {
		return nil, fmt.Errorf("migrations: plan: %w", err)
	}
	var plan []Planned
	for _, row := range undoable {
		if src, ok := s.find(row.id); ok { // verified
			plan = append(plan, Planned{ID: src.id, Name: src.name, SQL: src.down})
		}
	}
	return plan, nil
}

// undoable returns the newest steps entries of the history, newest first, if they may be undone.
func (s *set) undoable(ctx context.Context, db *bun.DB, steps int) ([]entry, error) {
	if steps < 1 {
		return nil, fmt.Errorf("steps is %d, want at least 1", steps)
	}
	h, err := s.verifiedHistory(ctx, db)
	if err != nil {
		return nil, err
	}
	if ahead := s.ahead(h); len(ahead) > 0 {
		return nil, &UnknownError{IDs: ahead}
	}
	slices.Reverse(h)
	return h[:min(steps, len(h))], nil
}

// entry is one row of the bookkeeping.
type entry struct {
	id, name, checksum string
	migratedAt         time.Time
}

// history is what is applied, by id.
type history []entry

func (h history) find(id string) (entry, bool) {
	i := slices.IndexFunc(h, func(e entry) bool { return e.id == id })
	if i < 0 {
		return entry{}, false
	}
	return h[i], true
}

// newerThan returns the newest applied migration, if it is newer than id.
func (h history) newerThan(id string) (string, bool) {
	if len(h) == 0 || h[len(h)-1].id <= id {
		return "", false
	}
	return h[len(h)-1].id, true
}

// verify compares the history with the files.
func (s *set) verify(h history) error {
	var unknown []string
	for _, row := range h {
		src, ok := s.find(row.id)
		switch {
		case !ok && row.id < s.newest():
			unknown = append(unknown, row.id)
		case ok && row.checksum != src.checksum:
			return &ChangedError{ID: src.id, Name: src.name, Recorded: row.checksum, Found: src.checksum}
		}
	}
	if len(unknown) > 0 {
		return &UnknownError{IDs: unknown}
	}
	for _, id := range s.pending(h) {
		if newer, ok := h.newerThan(id); ok {
			return &OutOfOrderError{ID: id, Newer: newer}
		}
	}
	return nil
}

func (s *set) pending(h history) []string {
	var ids []string
	for _, src := range s.sources {
		if _, ok := h.find(src.id); !ok {
			ids = append(ids, src.id)
		}
	}
	return ids
}

// pendingBefore returns the pending migrations that are older than id.
func (s *set) pendingBefore(h history, id string) ([]string, bool) {
	older := slices.DeleteFunc(s.pending(h), func(p string) bool { return p >= id })
	return older, len(older) > 0
}

func (s *set) ahead(h history) []string {
	var ids []string
	for _, row := range h {
		if row.id > s.newest() {
			ids = append(ids, row.id)
		}
	}
	return ids
}

func (s *set) verifiedHistory(ctx context.Context, db *bun.DB) (history, error) {
	h, err := readHistoryIfAny(ctx, db)
	if err != nil {
		return nil, err
	}
	return h, s.verify(h)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readHistoryIfAny returns nothing where there is no bookkeeping yet. To ask first would take every probe a second query.
func readHistoryIfAny(ctx context.Context, db *bun.DB) (history, error) {
	h, err := readHistory(ctx, db.DB)
	if sqlState(err) == stateUndefinedTable {
		return nil, nil
	}
	return h, err
}

func readHistory(ctx context.Context, q querier) (history, error) {
	rows, err := q.QueryContext(ctx, `
		SELECT name, comment, checksum, migrated_at FROM public.gpt_migrations ORDER BY name COLLATE "C"`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has it
	var h history
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.id, &e.name, &e.checksum, &e.migratedAt); err != nil {
			return nil, err
		}
		h = append(h, e)
	}
	return h, rows.Err()
}
