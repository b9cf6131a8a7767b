package migrations

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
)

//go:embed sql/describe.sql
var describeSQL string

// Describe returns the schema as it stands: the tables, columns, constraints, indexes, triggers, policies, sequences,
// functions and grants of all that is named public.gpt_*, one sorted line each. Two databases with equal lines have the
// same schema, whoever owns it. It reads only.
func Describe(ctx context.Context, db *bun.DB) ([]string, error) {
	tx, err := db.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("migrations: describe: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	lines, err := describe(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("migrations: describe: %w", err)
	}
	return lines, nil
}

// describe leaves an empty search_path behind in tx.
func describe(ctx context.Context, tx *sql.Tx) ([]string, error) {
	if _, err := tx.ExecContext(ctx, `SET LOCAL search_path = ''`); err != nil {
		return nil, err
	}
	return queryStrings(ctx, tx, describeSQL)
}

// shapeOf keeps the columns, constraints and indexes of tables, and the tables themselves without their flags.
func shapeOf(lines, tables []string) []string {
	var shape []string
	for _, line := range lines {
		kind, _, _ := strings.Cut(line, " ")
		for _, table := range tables {
			switch {
			case kind == "table" && strings.HasPrefix(line, "table "+table+","):
				shape = append(shape, "table "+table)
			case kind == "column" && strings.HasPrefix(line, "column "+table+"."),
				kind == "index" && strings.HasPrefix(line, "index on "+table+" "),
				kind == "constraint" && strings.HasPrefix(line, "constraint on "+table+" "):
				shape = append(shape, line)
			}
		}
	}
	return shape
}

func queryStrings(ctx context.Context, q querier, query string) ([]string, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has it
	var result []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		result = append(result, s)
	}
	return result, rows.Err()
}
