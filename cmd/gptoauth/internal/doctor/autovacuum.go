package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

// behindBy is how many times the number of dead rows at which autovacuum begins there must be before it is behind.
const behindBy = 3

// Autovacuum is what the server knows of the dead rows in the tables of gptoauth.
type Autovacuum struct {
	On     bool
	Tables []Vacuumed
}

// Vacuumed is a table.
type Vacuumed struct {
	Name      string    `bun:"name"`
	Live      int       `bun:"live"` // rows, about
	Dead      int       `bun:"dead"`
	Threshold int       `bun:"threshold"` // of dead rows, at which autovacuum begins
	Off       bool      `bun:"off"`
	At        time.Time `bun:"at,nullzero"` // it was last vacuumed; zero: never
	Hours     int       `bun:"hours"`       // since then; -1: never
}

func lookAtAutovacuum(ctx context.Context, p *Patient) (string, []Finding, error) {
	var a Autovacuum
	err := p.read(ctx, func(tx bun.Tx) (err error) {
		a, err = ReadAutovacuum(ctx, tx)
		return err
	})
	dead := 0
	for _, t := range a.Tables {
		dead += t.Dead
	}
	return count(dead, "dead row", "dead rows"), a.Judge(), err
}

// ReadAutovacuum takes the thresholds that hold for each table, its own parameters before the server's.
func ReadAutovacuum(ctx context.Context, tx bun.Tx) (Autovacuum, error) {
	var a Autovacuum
	err := tx.QueryRowContext(ctx, "SELECT current_setting('autovacuum')::bool AND current_setting('track_counts')::bool").Scan(&a.On)
	if err != nil {
		return a, err
	}
	err = tx.NewRaw(`
		WITH option AS (
		    SELECT c.oid, o.option_name, o.option_value
		      FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL pg_catalog.pg_options_to_table(c.reloptions) AS o
		     WHERE c.relnamespace = 'public'::regnamespace
		)
		SELECT 'public.' || s.relname AS name, s.n_live_tup AS live, s.n_dead_tup AS dead,
		       (coalesce((SELECT option_value FROM option WHERE oid = s.relid AND option_name = 'autovacuum_vacuum_threshold'),
		                 current_setting('autovacuum_vacuum_threshold'))::float8
		        + coalesce((SELECT option_value FROM option WHERE oid = s.relid AND option_name = 'autovacuum_vacuum_scale_factor'),
		                   current_setting('autovacuum_vacuum_scale_factor'))::float8 * s.n_live_tup)::bigint AS threshold,
		       coalesce((SELECT NOT option_value::bool FROM option WHERE oid = s.relid AND option_name = 'autovacuum_enabled'), false) AS off,
		       greatest(s.last_vacuum, s.last_autovacuum) AS at,
		       coalesce((extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum)) / 3600)::int, -1) AS hours
		  FROM pg_catalog.pg_stat_user_tables AS s
		 WHERE s.schemaname = 'public'
		   AND s.relname IN ('gpt_authorization_codes', 'gpt_refresh_tokens', 'gpt_sessions', 'gpt_oauth_events')
		 ORDER BY 1`).Scan(ctx, &a.Tables)
	return a, err
}

// Judge says what is wrong.
func (a Autovacuum) Judge() []Finding {
	var findings []Finding
	if !a.On {
		findings = append(findings, Finding{
			"Autovacuum is off: dead rows are never cleared away, and in the end the server refuses to write.",
			"Set autovacuum = on and track_counts = on in postgresql.conf and reload.",
		})
	}
	for _, t := range a.Tables {
		if t.Off {
			findings = append(findings, Finding{
				"Autovacuum is off for " + t.Name + ".", "ALTER TABLE " + t.Name + " RESET (autovacuum_enabled);",
			})
		}
		if t.Behind() {
			findings = append(findings, Finding{
				fmt.Sprintf("%s has %s dead rows, where autovacuum begins at %s; it was vacuumed %s.", t.Name, draw.Thousands(t.Dead), draw.Thousands(t.Threshold), t.when()),
				"VACUUM " + t.Name + "; if it comes back, look for long transactions in pg_stat_activity, and raise autovacuum_vacuum_cost_limit.",
			})
		}
	}
	return findings
}

// Behind says whether autovacuum does not keep up.
func (t Vacuumed) Behind() bool { return t.Dead >= behindBy*max(t.Threshold, 1) }

func (t Vacuumed) when() string {
	if t.Hours < 0 {
		return "never"
	}
	return count(t.Hours, "hour ago", "hours ago")
}
