// Package doctor looks for what is wrong with a database of gptoauth and the way to it, and says so in plain words, each
// with the fix. It reads only.
package doctor

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

// patience is how long the server works on one check.
const patience = "30s"

// The statuses of a check.
const (
	OK        = "ok"
	Found     = "finding"
	NotLooked = "not_looked" // a right or a condition was missing; the others looked all the same
)

// Check is one thing to look at.
type Check struct {
	ID      string // stable, for scripts
	LooksAt string

	look func(ctx context.Context, p *Patient) (seen string, findings []Finding, err error)
}

// Finding is something that is wrong.
type Finding struct {
	Text string // in plain words
	Fix  string
}

// Result is what came of a check.
type Result struct {
	Check

	Status   string
	Seen     string // what there is; empty if it could not look
	Findings []Finding
	Reason   string // why it could not look
}

// Patient is the database to look at. Its pool needs two connections. Only DB must be set.
type Patient struct {
	DB        *bun.DB
	Now       func() time.Time // the host's clock; defaults to time.Now
	Retention Retention

	schema *schema
}

// Checks lists all checks in their order.
func Checks() []Check {
	return []Check{
		{"server", "the server's version and role", lookAtServer},
		{"tls", "encryption on the way to the server", lookAtTLS},
		{"pooler", "a pooler in between", lookAtPooler},
		{"settings", "settings that change what statements mean", lookAtSettings},
		{"migrations", "the history of migrations", lookAtMigrations},
		{"drift", "tables, indexes, constraints and functions", lookAtDrift},
		{"rls", "row level security and its policies", lookAtRowSecurity},
		{"grants", "who may do what", lookAtGrants},
		{"failover", "whether single use survives a crash or a failover", lookAtFailover},
		{"clock", "the clocks of this host and the database", lookAtClock},
		{"connections", "room for connections", lookAtConnections},
		{"purge", "rows that should be gone", lookAtPurge},
		{"autovacuum", "dead rows", lookAtAutovacuum},
		{"alarms", "retries, reuse and replay in the last day", lookAtAlarms},
	}
}

// Examine makes all checks, one after the other. A check that cannot look is no error.
func Examine(ctx context.Context, p Patient) []Result {
	if p.Now == nil {
		p.Now = time.Now
	}
	p.Retention = p.Retention.withDefaults()
	checks := Checks()
	results := make([]Result, 0, len(checks))
	for _, check := range checks {
		result := Result{Check: check, Status: OK}
		var err error
		result.Seen, result.Findings, err = check.look(ctx, &p)
		switch {
		case err != nil:
			result = Result{Check: check, Status: NotLooked, Reason: reason(err)}
		case len(result.Findings) > 0:
			result.Status = Found
		}
		results = append(results, result)
	}
	return results
}

// UnseenError says in plain words why something cannot be looked at.
type UnseenError string

func (u UnseenError) Error() string { return string(u) }

// reason words an error for a person. The driver's errors show no secret.
func reason(err error) string {
	server, ok := errors.AsType[pgdriver.Error](err)
	if !ok {
		return err.Error()
	}
	switch server.Field('C') {
	case "42501":
		return server.Field('M') + ": " + ConnectAs
	case "57014":
		return "it took more than " + patience + ": try again when there is less to do"
	case "42P01", "42703", "42883":
		return server.Field('M') + ": see migrations and drift"
	}
	return cmp.Or(server.Field('M'), err.Error())
}

// read runs f in a transaction that cannot write and does not go on for ever.
func (p *Patient) read(ctx context.Context, f func(tx bun.Tx) error) error {
	tx, err := p.DB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = ?", patience); err != nil {
		return err
	}
	return f(tx)
}

// ConnectAs is what helps a role that does not see all rows.
const ConnectAs = "connect as the owner of the tables, or as a role with SELECT on them and BYPASSRLS"

// CanSee is an error if row level security would answer this role with no rows instead of a refusal.
func CanSee(ctx context.Context, tx bun.Tx, table string) error {
	var blind bool
	err := tx.QueryRowContext(ctx, `
		SELECT pg_catalog.row_security_active(c.oid)
               AND NOT EXISTS (SELECT
                                 FROM pg_catalog.pg_policy AS p CROSS JOIN LATERAL unnest(p.polroles) AS r
                                WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*')
                                  AND (r = 0 OR pg_catalog.pg_has_role(r, 'USAGE')))
		  FROM pg_catalog.pg_class AS c
		 WHERE c.oid = ?::regclass`, table).Scan(&blind)
	if err == nil && blind {
		err = UnseenError(fmt.Sprintf("row level security hides the rows of %s from this role: %s", table, ConnectAs))
	}
	return err
}

// count words a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return draw.Thousands(n) + " " + many
}
