// Package invariants checks a database for what must be true of it at any time. It reads only.
package invariants

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
)

//go:embed invariants.sql
var file string

// MaxPerCheck is how many rows are named for one check. A broken database may have millions.
const MaxPerCheck = 20

// Finding is a row that contradicts an invariant.
type Finding struct {
	Check  string `json:"check"`  // what is not true
	ID     string `json:"id"`     // of the row
	Detail string `json:"detail"` // what is wrong with it
}

// String is one line for people.
func (f Finding) String() string { return "not so: " + f.Check + ": " + f.ID + ": " + f.Detail }

// check is one query of the file.
type check struct {
	name, query string
}

var checks = mustParse(file)

const heading = "-- check: "

func mustParse(file string) []check {
	var parsed []check
	for i, part := range strings.Split(file, "\n"+heading) {
		if i == 0 { // the head of the file
			continue
		}
		name, query, ok := strings.Cut(part, "\n")
		if !ok {
			panic("invariants: a check without a query: " + name)
		}
		parsed = append(parsed, check{name, strings.TrimSuffix(strings.TrimSpace(query), ";")})
	}
	return parsed
}

// Names lists the checks in the order of the file.
func Names() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// Check makes all checks and returns what contradicts them, at most MaxPerCheck rows a check. They see one snapshot of the
// database, whatever is written meanwhile, unless db is a transaction already, whose isolation level then counts. An error
// means that it could not look.
func Check(ctx context.Context, db bun.IDB) ([]Finding, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("invariants: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	var findings []Finding
	for _, c := range checks {
		found, err := c.run(ctx, tx)
		if err != nil {
			return nil, fmt.Errorf("invariants: %s: %w", c.name, err)
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

func (c check) run(ctx context.Context, tx bun.Tx) ([]Finding, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id::text, detail FROM (?) AS f (id, detail) LIMIT ?", bun.Safe(c.query), MaxPerCheck)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var findings []Finding
	for rows.Next() {
		finding := Finding{Check: c.name}
		if err := rows.Scan(&finding.ID, &finding.Detail); err != nil {
			return nil, err
		}
		findings = append(findings, finding)
	}
	return findings, rows.Err()
}
