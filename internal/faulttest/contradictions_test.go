package faulttest

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// contradictions makes the few checks of the state that no fault may break.
func contradictions(ctx context.Context, db bun.IDB) ([]string, error) {
	var found []string
	for _, check := range []struct{ name, query string }{
		{"a used code has a session", `SELECT id FROM public.gpt_authorization_codes WHERE (used_at IS NULL) <> (session_id IS NULL)`},
		{"a code gives one session", `SELECT session_id FROM public.gpt_authorization_codes GROUP BY session_id HAVING session_id IS NOT NULL AND count(*) > 1`},
		{"no forked chain", `SELECT rotated_to FROM public.gpt_refresh_tokens GROUP BY rotated_to HAVING rotated_to IS NOT NULL AND count(*) > 1`},
		{"one leaf, the current token", `SELECT s.id FROM public.gpt_sessions AS s
			LEFT JOIN public.gpt_refresh_tokens AS t ON t.session_id = s.id AND t.rotated_to IS NULL
			GROUP BY s.id HAVING count(t.id) <> 1 OR bool_or(t.id IS DISTINCT FROM s.refresh_token_id)`},
		{"no living token of an ended session", `SELECT s.id FROM public.gpt_sessions AS s
			JOIN public.gpt_refresh_tokens AS t ON t.session_id = s.id AND t.revoked_at IS NULL WHERE s.ended_at IS NOT NULL`},
	} {
		var ids []string
		if err := db.NewRaw("SELECT q.id::text FROM (?) AS q (id)", bun.Safe(check.query)).Scan(ctx, &ids); err != nil {
			return nil, fmt.Errorf("%s: %w", check.name, err)
		}
		for _, id := range ids {
			found = append(found, "not so: "+check.name+": "+id)
		}
	}
	return found, nil
}
