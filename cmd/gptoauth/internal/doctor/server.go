package doctor

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// oldestMaintained is the oldest major version that still gets fixes from its makers.
const oldestMaintained = 15

type serverFacts struct {
	major    int
	version  string
	standby  bool
	readOnly bool // by default, for this role or database
}

func lookAtServer(ctx context.Context, p *Patient) (string, []Finding, error) {
	var f serverFacts
	err := p.read(ctx, func(tx bun.Tx) error {
		return tx.QueryRowContext(ctx, `
			SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
			       current_setting('default_transaction_read_only')::bool`).Scan(&f.major, &f.version, &f.standby, &f.readOnly)
	})
	seen, findings := f.judge()
	return seen, findings, err
}

func (f serverFacts) judge() (string, []Finding) {
	var findings []Finding
	if f.major < oldestMaintained {
		findings = append(findings, Finding{
			fmt.Sprintf("PostgreSQL %d gets no more security fixes.", f.major),
			fmt.Sprintf("Upgrade to PostgreSQL %d or newer.", oldestMaintained),
		})
	}
	if f.standby {
		findings = append(findings, Finding{
			"This is a standby, on which nothing can be issued, exchanged or ended.", "Connect to the primary.",
		})
	}
	if f.readOnly && !f.standby {
		findings = append(findings, Finding{
			"Transactions are read-only by default here (default_transaction_read_only), so that nothing can be issued or exchanged.",
			"Look for it with \\drds in psql and reset it. Some providers set it when the disk is full.",
		})
	}
	return "PostgreSQL " + f.version, findings
}
