package migrations

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/uptrace/bun"
)

const (
	idA, idB, idC = "20260101000001", "20260101000002", "20260101000003"
	a, b, c       = idA + "_a", idB + "_b", idC + "_c"

	createA, createB, createC = "CREATE TABLE public.gpt_a ()", "CREATE TABLE public.gpt_b ()", "CREATE TABLE public.gpt_c ()"
)

func TestStatusOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	states, err := Status(ctx, db)
	mustDo(t, err)
	if len(states) != len(embedded.sources) {
		t.Fatalf("status %v", states)
	}
	for i, state := range states {
		if state != (State{ID: embedded.sources[i].id, Name: embedded.sources[i].name, Status: Pending}) {
			t.Errorf("status %v", state)
		}
	}
	plan, err := Plan(ctx, db)
	mustDo(t, err)
	if len(plan) != len(embedded.sources) || plan[0].SQL != embedded.sources[0].up {
		t.Errorf("planned %d", len(plan))
	}
	if _, ok := errors.AsType[*PendingError](Check(ctx, db)); !ok {
		t.Error("Check is content")
	}
	if lines := mustDescribe(t, db); len(lines) > 0 {
		t.Errorf("reading has made %v", lines)
	}
}

// What the database has, what this binary has, and what comes of it.
func TestHistoryAndFilesDisagree(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		database, binary []string
		statuses         []string
		check, up        func(error) bool
		down             func(error) bool
	}{
		"Changed": {
			[]string{a, createA, b, createB},
			[]string{a, createA + ";", b, createB},
			[]string{Changed, Applied},
			isChanged(idA), isChanged(idA), isChanged(idA),
		},
		"UnknownOlder": {
			[]string{a, createA, b, createB, c, createC},
			[]string{a, createA, c, createC},
			[]string{Applied, Unknown, Applied},
			isUnknown(idB), isUnknown(idB), isUnknown(idB),
		},
		"OutOfOrder": {
			[]string{a, createA, c, createC},
			[]string{a, createA, b, createB, c, createC},
			[]string{Applied, Pending, Applied},
			isOutOfOrder(idB, idC), isOutOfOrder(idB, idC), isOutOfOrder(idB, idC),
		},
		"Pending": {
			[]string{a, createA},
			[]string{a, createA, b, createB},
			[]string{Applied, Pending},
			isPending(idB), isNil, isNil,
		},
		"Ahead": {
			[]string{a, createA, b, createB, c, createC},
			[]string{a, createA},
			[]string{Applied, Ahead, Ahead},
			isNil, isNil, isUnknown(idB, idC),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, db := t.Context(), newDB(t)
			mustDo(t, mustLoadMap(t, test.database...).up(ctx, db, nil))
			before := mustDescribe(t, db)
			s := mustLoadMap(t, test.binary...)

			states, err := s.status(ctx, db)
			mustDo(t, err)
			var statuses []string
			for _, state := range states {
				statuses = append(statuses, state.Status)
			}
			if !slices.Equal(statuses, test.statuses) {
				t.Errorf("status %v, want %v", statuses, test.statuses)
			}
			if err := s.check(ctx, db); !test.check(err) {
				t.Errorf("check: %v", err)
			}
			if err := s.up(ctx, db, nil); !test.up(err) {
				t.Errorf("up: %v", err)
			}
			// Bun's own loop reaches the registered functions without our look beforehand.
			if err := viaBun(ctx, db, s); !test.up(err) {
				t.Errorf("up by Bun: %v", err)
			}
			if !test.up(nil) {
				assertSame(t, before, mustDescribe(t, db))
			}
			if _, err := s.planDown(ctx, db, 1); !test.down(err) {
				t.Errorf("plan down: %v", err)
			}
			if err := s.down(ctx, db, 1, nil); !test.down(err) {
				t.Errorf("down: %v", err)
			}
		})
	}
}

func TestPlanDownIsWhatDownDoes(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	mustDo(t, Up(ctx, db))
	before := mustDescribe(t, db)
	plan, err := PlanDown(ctx, db, 2)
	mustDo(t, err)
	assertSame(t, before, mustDescribe(t, db))
	var done []Planned
	mustDo(t, Down(ctx, db, 2, func(s State) {
		src, _ := embedded.find(s.ID)
		done = append(done, Planned{ID: s.ID, Name: s.Name, SQL: src.down})
	}))
	if !slices.Equal(plan, done) || len(done) != 2 || done[0].ID < done[1].ID {
		t.Errorf("planned %v, done %v", plan, done)
	}
	if _, err := PlanDown(ctx, db, 0); err == nil {
		t.Error("no steps are no error")
	}
}

// viaBun calls every registered function, whether it is needed or not.
func viaBun(ctx context.Context, db *bun.DB, s *set) error {
	migrator := newMigrator(db, s)
	for _, m := range s.migrations.Sorted() {
		if err := m.Up(ctx, migrator, &m); err != nil {
			return err
		}
	}
	return nil
}

// A registered Down refuses to undo what a newer migration stands on.
func TestDownRefusesOutOfOrder(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	s := mustLoadMap(t, a, createA, b, createB)
	mustDo(t, s.up(ctx, db, nil))
	first := s.migrations.Sorted()[0]
	if err := first.Down(ctx, newMigrator(db, s), &first); !isOutOfOrder(idA, idB)(err) {
		t.Errorf("down: %v", err)
	}
	mustDo(t, s.check(ctx, db))
}

// A registered Up refuses to run before what it stands on.
func TestUpRefusesToSkip(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	s := mustLoadMap(t, a, createA, b, createB)
	second := s.migrations.Sorted()[1]
	if err := second.Up(ctx, newMigrator(db, s), &second); !isPending(idA)(err) {
		t.Errorf("up: %v", err)
	}
}

func isNil(err error) bool { return err == nil }

func isChanged(id string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*ChangedError](err)
		return ok && e.ID == id && e.Recorded != e.Found
	}
}

func isUnknown(ids ...string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*UnknownError](err)
		return ok && slices.Equal(e.IDs, ids)
	}
}

func isOutOfOrder(id, newer string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*OutOfOrderError](err)
		return ok && e.ID == id && e.Newer == newer
	}
}

func isPending(ids ...string) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*PendingError](err)
		return ok && slices.Equal(e.IDs, ids)
	}
}
