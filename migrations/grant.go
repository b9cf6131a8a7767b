package migrations

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/uptrace/bun"
)

//go:embed sql/grant.sql
var grantSQL string

//go:embed sql/grantees.sql
var granteesSQL string

//go:embed sql/grantable.sql
var grantableSQL string

const (
	grantQuote = "$gptoauth_grant$"
	maxRoleLen = 63 // of PostgreSQL, which cuts off the rest
)

// GrantParams says which rights a role gets.
type GrantParams struct {
	Role string // that exists, and neither owns the tables nor is one of Supabase's API

	// Erase also grants the function that erases a person. A grant without it takes that function away.
	Erase bool

	// Revoke takes everything away instead, also what others have granted on the tables and functions.
	Revoke bool
}

// GrantChanges is what a grant has changed, in the lines of [Describe].
type GrantChanges struct {
	Added   []string
	Removed []string
}

// Grant makes an application role: afterwards it may run everything of package repo but purging, and [Check], and nothing
// else on the tables and functions of gptoauth. It may execute the functions, and read what repo reads: never the nonce
// from which a session's token can be made. It cannot write a table, so that events are only appended, and cannot read a
// code. Rights that it had on them before are taken away, except those that it has through other roles.
//
// It runs in one transaction and may be repeated; a migration that adds functions does not grant them, so grant again after
// [Up]. A hold is a [*HeldError]. Rolling migrations back needs no revoking.
func Grant(ctx context.Context, db *bun.DB, params GrantParams) (GrantChanges, error) {
	return grant(ctx, db, params, false)
}

// PlanGrant returns what [Grant] would change now. It changes nothing, but takes the same locks for a moment.
func PlanGrant(ctx context.Context, db *bun.DB, params GrantParams) (GrantChanges, error) {
	return grant(ctx, db, params, true)
}

// errPlanned rolls a plan back.
var errPlanned = errors.New("planned")

func grant(ctx context.Context, db *bun.DB, params GrantParams, planOnly bool) (GrantChanges, error) {
	query, err := GrantSQL(params)
	if err != nil {
		return GrantChanges{}, err
	}
	var changes GrantChanges
	err = exclusively(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
		if err := refuseHeld(ctx, tx); err != nil {
			return err
		}
		before, err := describe(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, query); err != nil {
			return err
		}
		after, err := describe(ctx, tx)
		if err != nil {
			return err
		}
		changes = GrantChanges{Added: without(after, before), Removed: without(before, after)}
		if planOnly {
			return errPlanned
		}
		return nil
	})
	if err != nil && !errors.Is(err, errPlanned) {
		return GrantChanges{}, fmt.Errorf("migrations: grant: %w", err)
	}
	return changes, nil
}

// GrantSQL returns what [Grant] runs: one statement, fit for a migration file of another tool.
func GrantSQL(params GrantParams) (string, error) {
	role := params.Role
	switch {
	case role == "":
		return "", errors.New("migrations: grant: the role is empty")
	case len(role) > maxRoleLen || !utf8.ValidString(role) || strings.ContainsFunc(role, unicode.IsControl):
		return "", errors.New("migrations: grant: the role is no name in PostgreSQL")
	case strings.Contains(role, grantQuote):
		return "", errors.New("migrations: grant: the role's name contains the quote of the statement")
	}
	return strings.NewReplacer(
		"@role@", quote(role),
		"@revoke@", strconv.FormatBool(params.Revoke),
		"@erase@", strconv.FormatBool(params.Erase),
		"@key@", strconv.FormatInt(advisoryKey, 10),
		"@lock_timeout@", lockTimeout,
		"@grantable@", grantableSQL,
	).Replace(grantSQL), nil
}

// quote writes a literal that means the same whether standard_conforming_strings is on or off.
func quote(s string) string {
	s = strings.ReplaceAll(s, `'`, `''`)
	if strings.Contains(s, `\`) {
		return `E'` + strings.ReplaceAll(s, `\`, `\\`) + `'`
	}
	return `'` + s + `'`
}

// Grantee is an application role, as [Grant] makes it.
type Grantee struct {
	Role    string
	Erase   bool     // may erase persons
	Lines   []string // of [Describe] that are there because of the grant, and no drift
	Missing []string // lines that are not there: grant again
}

// Grantees lists the application roles. It reads only. Whatever else a role has on the tables is in no Grantee's Lines.
func Grantees(ctx context.Context, db *bun.DB) ([]Grantee, error) {
	grantees, err := readGrantees(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("migrations: grantees: %w", err)
	}
	return grantees, nil
}

func readGrantees(ctx context.Context, db *bun.DB) ([]Grantee, error) {
	tx, err := db.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	described, err := describe(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, strings.Replace(granteesSQL, "@grantable@", grantableSQL, 1))
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has it
	var grantees []Grantee
	for rows.Next() {
		var role, line string
		var present, erases bool
		if err := rows.Scan(&role, &line, &present, &erases); err != nil {
			return nil, err
		}
		if n := len(grantees); n == 0 || grantees[n-1].Role != role {
			grantees = append(grantees, Grantee{Role: role})
		}
		grantees[len(grantees)-1].add(line, present, erases, described)
	}
	return grantees, rows.Err()
}

// add counts a right as there if the role has it through another role; only the line of its own is no drift.
func (g *Grantee) add(line string, present, erases bool, described []string) {
	g.Erase = g.Erase || erases
	switch {
	case !present:
		g.Missing = append(g.Missing, line)
	case slices.Contains(described, line):
		g.Lines = append(g.Lines, line)
	}
}
