package conformance

import (
	"context"
	"fmt"
	"testing"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/invariants"
)

// checkInvariants looks for rows that must not be.
func checkInvariants(t testing.TB, subject Subject) {
	t.Helper()
	if subject.DB == nil {
		t.Log("the invariants were not checked: Subject.DB is not set")
		return
	}
	findings, err := invariants.Check(t.Context(), subject.DB)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings {
		t.Error(finding)
	}
}

// checkAcknowledged: every token that a client was given is there.
func checkAcknowledged(ctx context.Context, db bun.IDB, tokens []string) error {
	const batch = 1000
	for begin := 0; begin < len(tokens); begin += batch {
		part := tokens[begin:min(begin+batch, len(tokens))]
		digests := make([]string, len(part))
		for i, token := range part {
			digests[i] = digest(token)
		}
		found, err := db.NewSelect().TableExpr("public.gpt_refresh_tokens").Where("token_hash IN (?)", bun.List(digests)).Count(ctx)
		if err != nil {
			return err
		}
		if int(found) != len(part) {
			return fmt.Errorf("%d of %d acknowledged tokens are not in the database", len(part)-int(found), len(part))
		}
	}
	return nil
}
