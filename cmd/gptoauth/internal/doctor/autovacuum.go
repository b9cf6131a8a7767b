package doctor

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// behindBy is how many times the number of dead rows at which autovacuum begins there must be before it is behind.
const behindBy = 3

type vacuumed struct {
	Name      string `bun:"name"`
	Dead      int    `bun:"dead"`
	Threshold int    `bun:"threshold"`
	Off       bool   `bun:"off"`
	Hours     int    `bun:"hours"` // since it was vacuumed; -1: never
}

// lookAtAutovacuum takes the thresholds that hold for each table, its own parameters before the server's.
func lookAtAutovacuum(ctx context.Context, p *Patient) (string, []Finding, error) {
	var tables []vacuumed
	var on bool
	err := p.read(ctx, func(tx bun.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT current_setting('autovacuum')::bool AND current_setting('track_counts')::bool").Scan(&on); err != nil {
			return err
		}
		return tx.NewRaw(`
			WITH option AS (
			    SELECT c.oid, o.option_name, o.option_value
			      FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL pg_catalog.pg_options_to_table(c.reloptions) AS o
			     WHERE c.relnamespace = 'public'::regnamespace
			)
			SELECT 'public.' || s.relname AS name, s.n_dead_tup AS dead,
			       (coalesce((SELECT option_value FROM option WHERE oid = s.relid AND option_name = 'autovacuum_vacuum_threshold'),
			                 current_setting('autovacuum_vacuum_threshold'))::float8
			        + coalesce((SELECT option_value FROM option WHERE oid = s.relid AND option_name = 'autovacuum_vacuum_scale_factor'),
			                   current_setting('autovacuum_vacuum_scale_factor'))::float8 * s.n_live_tup)::bigint AS threshold,
			       coalesce((SELECT NOT option_value::bool FROM option WHERE oid = s.relid AND option_name = 'autovacuum_enabled'), false) AS off,
			       coalesce((extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum)) / 3600)::int, -1) AS hours
			  FROM pg_catalog.pg_stat_user_tables AS s
			 WHERE s.schemaname = 'public'
			   AND s.relname IN ('gpt_authorization_codes', 'gpt_refresh_tokens', 'gpt_sessions', 'gpt_oauth_events')
			 ORDER BY 1`).Scan(ctx, &tables)
	})
	seen, findings := judgeVacuum(on, tables)
	return seen, findings, err
}

func judgeVacuum(on bool, tables []vacuumed) (string, []Finding) {
	var findings []Finding
	if !on {
		findings = append(findings, Finding{
			"Autovacuum is off: dead rows are never cleared away, and in the end the server refuses to write.",
			"Set autovacuum = on and track_counts = on in postgresql.conf and reload.",
		})
	}
	dead := 0
	for _, t := range tables {
		dead += t.Dead
		if t.Off {
			findings = append(findings, Finding{
				"Autovacuum is off for " + t.Name + ".", "ALTER TABLE " + t.Name + " RESET (autovacuum_enabled);",
			})
		}
		if t.Dead >= behindBy*max(t.Threshold, 1) {
			findings = append(findings, Finding{
				fmt.Sprintf("%s has %d dead rows, where autovacuum begins at %d; it was vacuumed %s.", t.Name, t.Dead, t.Threshold, t.when()),
				"VACUUM " + t.Name + "; if it comes back, look for long transactions in pg_stat_activity, and raise autovacuum_vacuum_cost_limit.",
			})
		}
	}
	return count(dead, "dead row", "dead rows"), findings
}

func (t vacuumed) when() string {
	if t.Hours < 0 {
		return "never"
	}
	return count(t.Hours, "hour ago", "hours ago")
}
