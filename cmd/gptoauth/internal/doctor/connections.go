package doctor

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// defaultPool is what one server opens by default (repo.PoolConfig.MaxConns).
const defaultPool = 10

type connectionFacts struct {
	room, used int    // of ordinary roles, on the whole server
	limit      int    // of this database or role; -1: none
	limitOf    string // which of them
	limitUsed  int
}

// lookAtConnections cannot see how large the pools of the servers are, only whether they fit.
func lookAtConnections(ctx context.Context, p *Patient) (string, []Finding, error) {
	var f connectionFacts
	err := p.read(ctx, func(tx bun.Tx) error {
		return tx.QueryRowContext(ctx, `
			WITH limits AS (
			    SELECT 'database ' || datname AS name, datconnlimit AS n,
			           (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid) AS used
			      FROM pg_catalog.pg_database AS d WHERE datname = current_database() AND datconnlimit >= 0
			    UNION ALL
			    SELECT 'role ' || rolname, rolconnlimit,
			           (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.usesysid = r.oid)
			      FROM pg_catalog.pg_roles AS r WHERE rolname = current_user AND rolconnlimit >= 0 AND NOT rolsuper
			    UNION ALL
			    SELECT '', -1, 0
			)
			SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
			       - coalesce(current_setting('reserved_connections', true)::int, 0),
			       (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL),
			       l.n, l.name, l.used
			  FROM limits AS l ORDER BY l.n < 0, l.n - l.used LIMIT 1`).
			Scan(&f.room, &f.used, &f.limit, &f.limitOf, &f.limitUsed)
	})
	seen, findings := f.judge()
	return seen, findings, err
}

func (f connectionFacts) judge() (string, []Finding) {
	var findings []Finding
	if f.used*5 >= f.room*4 {
		findings = append(findings, Finding{
			fmt.Sprintf("%d of %d connections are taken (max_connections without what is reserved): at the limit, new ones are refused (53300).", f.used, f.room),
			"Smaller pools (repo.PoolConfig.MaxConns), a pooler in transaction mode, or a larger max_connections.",
		})
	}
	if f.limit >= 0 && (f.limit < defaultPool || f.limitUsed*5 >= f.limit*4) {
		findings = append(findings, Finding{
			fmt.Sprintf("The %s has %d of at most %d connections; one server opens %d by default.", f.limitOf, f.limitUsed, f.limit, defaultPool),
			"Raise its CONNECTION LIMIT, or set repo.PoolConfig.MaxConns to what fits.",
		})
	}
	return fmt.Sprintf("%d of %d taken", f.used, f.room), findings
}
