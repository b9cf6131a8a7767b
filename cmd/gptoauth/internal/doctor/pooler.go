package doctor

import (
	"context"
	"net"

	"github.com/uptrace/bun"
)

type poolerFacts struct {
	shared  bool // two sessions met the same backend, or one session two
	between bool // the server sees another port than ours
	noBegin bool // a transaction cannot begin
	port    int  // that we connect to
}

// lookAtPooler holds a transaction on one connection while it asks on another. Only behind a pooler that lends backends for
// a transaction or less can both meet the same backend, or one of them two in a row.
func lookAtPooler(ctx context.Context, p *Patient) (string, []Finding, error) {
	f, err := poolerFactsOf(ctx, p.DB)
	seen, findings := f.judge()
	return seen, findings, err
}

func poolerFactsOf(ctx context.Context, db *bun.DB) (poolerFacts, error) {
	var f poolerFacts
	session, err := db.Conn(ctx)
	if err != nil {
		return f, err
	}
	defer session.Close() //nolint:errcheck // back into the pool
	first, clientPort, err := backendOf(ctx, session)
	if err != nil {
		return f, err
	}
	conn, err := link(session.Raw)
	if err != nil {
		return f, err
	}
	if local, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		f.between = local.Port != clientPort
	}
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		f.port = remote.Port
	}

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		// PgBouncer in statement mode hangs up at BEGIN, and goes on answering statements.
		if _, _, plain := backendOf(ctx, session); plain == nil {
			f.noBegin = true
			return f, nil
		}
		return f, err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	held, _, err := backendOf(ctx, tx)
	if err != nil {
		return f, err
	}
	again, _, err := backendOf(ctx, session)
	f.shared = held == first || again != first
	return f, err
}

func backendOf(ctx context.Context, db bun.IDB) (pid, clientPort int, err error) {
	err = db.QueryRowContext(ctx, "SELECT pg_catalog.pg_backend_pid(), coalesce(pg_catalog.inet_client_port(), 0)").Scan(&pid, &clientPort)
	return pid, clientPort, err
}

func (f poolerFacts) judge() (string, []Finding) {
	const supavisorTransactions = 6543
	switch {
	case f.noBegin:
		return "statement mode", []Finding{{
			"The pooler lends connections for a statement only, so that no transaction can begin: migrations, purging and your own transactions fail.",
			"Set pool_mode = transaction (or session) for this database.",
		}}
	case f.shared, f.port == supavisorTransactions:
		return "transaction mode, which suits the store; over pgx use default_query_exec_mode=simple_protocol", nil
	case f.between:
		return "something forwards the connection, a pooler in session mode perhaps", nil
	default:
		return "none", nil
	}
}
