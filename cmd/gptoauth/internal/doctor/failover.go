package doctor

import (
	"context"

	"github.com/uptrace/bun"
)

type failoverFacts struct {
	fsync, fullPages bool
	commit           string // synchronous_commit of this role in this database
	synchronous      string // synchronous_standby_names
	standbys         int
}

// lookAtFailover counts what streams the log and is no logical subscriber, of which none can take over.
func lookAtFailover(ctx context.Context, p *Patient) (string, []Finding, error) {
	var f failoverFacts
	err := p.read(ctx, func(tx bun.Tx) error {
		return tx.QueryRowContext(ctx, `
			SELECT current_setting('fsync')::bool, current_setting('full_page_writes')::bool, current_setting('synchronous_commit'),
			       current_setting('synchronous_standby_names'),
			       (SELECT count(*)
			          FROM pg_catalog.pg_stat_replication AS r
			         WHERE r.application_name <> 'pg_basebackup'
			           AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical'))`).
			Scan(&f.fsync, &f.fullPages, &f.commit, &f.synchronous, &f.standbys)
	})
	seen, findings := f.judge()
	return seen, findings, err
}

func (f failoverFacts) judge() (string, []Finding) {
	var findings []Finding
	if !f.fsync {
		findings = append(findings, Finding{
			"fsync is off: after a crash of the machine the database may be damaged, or have forgotten what was spent or ended.",
			"Set fsync = on in postgresql.conf and reload.",
		})
	}
	if !f.fullPages {
		findings = append(findings, Finding{
			"full_page_writes is off: a crash in the middle of a write damages pages, unless the file system rules that out.",
			"Set full_page_writes = on in postgresql.conf and reload.",
		})
	}
	if f.commit == "off" {
		findings = append(findings, Finding{
			"synchronous_commit is off: a crash forgets the last moments, so that a code that was spent can be spent once more.",
			"Set synchronous_commit = on, for the role of your servers at least (ALTER ROLE .. SET).",
		})
	}
	if f.standbys > 0 && f.commit != "off" && (f.synchronous == "" || f.commit == "local") {
		findings = append(findings, Finding{
			"The standbys are not waited for: a failover forgets the last moments, so that a code that was spent can be spent once more, and a session that was ended lives again.",
			"Set synchronous_standby_names, for instance to 'ANY 1 (*)', and synchronous_commit = on.",
		})
	}
	switch {
	case f.standbys > 0 && f.synchronous != "":
		return count(f.standbys, "standby", "standbys") + ", synchronous (" + f.commit + ")", findings
	case f.standbys > 0:
		return count(f.standbys, "standby", "standbys") + ", asynchronous", findings
	case f.synchronous != "":
		return "synchronous standbys are wanted and none is connected", append(findings, Finding{
			"synchronous_standby_names is set and no standby is connected: every commit waits for ever.",
			"Start a standby, or unset it.",
		})
	default:
		return "no standby that could take over; a restored backup forgets what came after it", findings
	}
}
