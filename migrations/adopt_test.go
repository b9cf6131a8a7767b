package migrations

import (
	"errors"
	"strings"
	"testing"
)

// supabaseTables are the four tables as someone else would have made them: other order of columns, nothing locked down.
func supabaseTables() string {
	tables, _, _ := strings.Cut(embedded.sources[0].up, "-- Lock-down")
	return strings.Replace(tables,
		"    clerk_user_id TEXT,                -- NULL for events before authentication\n    metadata      JSONB DEFAULT '{}',\n",
		"    metadata      JSONB DEFAULT '{}',\n    clerk_user_id TEXT,\n", 1)
}

func TestMarkAppliedAdopts(t *testing.T) {
	t.Parallel()
	ctx, db, quiet := t.Context(), newDB(t), newDB(t)
	mustDo(t, Up(ctx, quiet))
	if supabaseTables() == embedded.sources[0].up || !strings.Contains(supabaseTables(), "'{}',\n    clerk_user_id TEXT,\n") {
		t.Fatal("the fixture is the migration itself")
	}
	mustExec(t, db, supabaseTables())
	mustExec(t, db, "CREATE TABLE public.gpt_of_the_host (id int)")
	mustExec(t, db, `
		INSERT INTO public.gpt_refresh_tokens (token_hash, clerk_user_id, expires_at) VALUES ('h', 'user_1', now());
		INSERT INTO public.gpt_sessions (clerk_user_id, refresh_token_id) SELECT 'user_1', id FROM public.gpt_refresh_tokens;
		INSERT INTO public.gpt_authorization_codes (code, code_challenge, code_challenge_method, clerk_user_id, redirect_uri, expires_at)
		VALUES ('c', '', 'plain', 'user_1', 'https://example.com/cb', now());
		INSERT INTO public.gpt_oauth_events (event_type) VALUES ('authorize');`)
	if err := Up(ctx, db); err == nil {
		t.Fatal("Up has run over the tables")
	}

	mustDo(t, MarkApplied(ctx, db))
	mustDo(t, MarkApplied(ctx, db)) // once more does nothing
	if got := mustStrings(t, db, "SELECT name FROM public.gpt_migrations"); len(got) != 1 || got[0] != embedded.sources[0].id {
		t.Fatalf("recorded %v", got)
	}
	mustDo(t, Up(ctx, db))
	mustDo(t, Check(ctx, db))
	if got := mustStrings(t, db, rowCounts)[0]; got != "1 1 1 1" {
		t.Errorf("rows afterwards: %s", got)
	}
	if got := mustStrings(t, db, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'gptoauth%'"); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
	mustExec(t, db, "DROP TABLE public.gpt_of_the_host")
	assertSame(t, mustDescribe(t, quiet), mustDescribe(t, db))
}

func TestMarkAppliedRefusesDrift(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, missing, extra string }{
		"Column":     {"ALTER TABLE public.gpt_sessions ADD COLUMN device text", "", "column public.gpt_sessions.device text"},
		"Type":       {"ALTER TABLE public.gpt_oauth_events ALTER metadata TYPE json", "metadata jsonb", "metadata json"},
		"Nullable":   {"ALTER TABLE public.gpt_sessions ALTER last_active DROP NOT NULL", "last_active timestamp with time zone NOT NULL", "last_active"},
		"Default":    {"ALTER TABLE public.gpt_sessions ALTER id DROP DEFAULT", "id uuid NOT NULL DEFAULT gen_random_uuid()", "id uuid NOT NULL"},
		"Index":      {"DROP INDEX public.idx_gpt_auth_codes_active", "idx_gpt_auth_codes_active", ""},
		"Constraint": {"ALTER TABLE public.gpt_refresh_tokens DROP CONSTRAINT gpt_refresh_tokens_rotated_to_fkey", "gpt_refresh_tokens_rotated_to_fkey", ""},
		"Table":      {"DROP TABLE public.gpt_oauth_events", "table public.gpt_oauth_events", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, db := t.Context(), newDB(t)
			mustExec(t, db, supabaseTables())
			mustExec(t, db, test.change)
			before := mustDescribe(t, db)
			drift, ok := errors.AsType[*DriftError](MarkApplied(ctx, db))
			if !ok {
				t.Fatal("no drift")
			}
			if missing := strings.Join(drift.Missing, "\n"); !strings.Contains(missing, test.missing) || (test.missing == "") != (missing == "") {
				t.Errorf("missing: %s", missing)
			}
			if extra := strings.Join(drift.Extra, "\n"); !strings.Contains(extra, test.extra) || (test.extra == "") != (extra == "") {
				t.Errorf("extra: %s", extra)
			}
			assertSame(t, before, mustDescribe(t, db))
		})
	}
}

func TestMarkAppliedFindsNothing(t *testing.T) {
	t.Parallel()
	if err := MarkApplied(t.Context(), newDB(t)); !errors.Is(err, ErrNothingToAdopt) {
		t.Errorf("MarkApplied: %v", err)
	}
}
