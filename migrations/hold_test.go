package migrations

import (
	"errors"
	"testing"
	"time"
)

func TestLockHoldsEverythingBack(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	if hold, err := Held(ctx, db); hold != nil || err != nil {
		t.Errorf("Held on an empty database: %v, %v", hold, err)
	}
	if hold, err := Unlock(ctx, db); hold != nil || err != nil {
		t.Errorf("Unlock on an empty database: %v, %v", hold, err)
	}
	mustDo(t, Lock(ctx, db, "ada", "backup"))
	mustExec(t, db, "UPDATE public.gpt_migration_locks SET since = since - interval '1 hour'")
	for name, err := range map[string]error{
		"Up":          Up(ctx, db),
		"MarkApplied": MarkApplied(ctx, db),
		"Lock":        Lock(ctx, db, "bob", "also"),
	} {
		held, ok := errors.AsType[*HeldError](err)
		if !ok || held.Holder != "ada" || held.Reason != "backup" || held.Age < time.Hour || held.Age > 2*time.Hour {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := mustStrings(t, db, "SELECT name FROM public.gpt_migrations"); len(got) > 0 {
		t.Errorf("applied in spite of the hold: %v", got)
	}
	hold, err := Unlock(ctx, db)
	if err != nil || hold == nil || hold.Holder != "ada" {
		t.Errorf("Unlock: %v, %v", hold, err)
	}
	mustDo(t, Up(ctx, db))

	// With nothing to do, a hold is no obstacle: a server may start.
	mustDo(t, Lock(ctx, db, "ada", "backup"))
	mustDo(t, Up(ctx, db))
	mustDo(t, Check(ctx, db))
	if _, ok := errors.AsType[*HeldError](Down(ctx, db, 1)); !ok {
		t.Error("Down ignores the hold")
	}
	mustDo(t, Check(ctx, db))
}

func TestInitMakesTheBookkeepingOnce(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	mustDo(t, Init(ctx, db))
	want := mustDescribe(t, db)
	mustDo(t, Init(ctx, db))
	assertSame(t, want, mustDescribe(t, db))
	if len(want) == 0 {
		t.Error("no bookkeeping")
	}
}
