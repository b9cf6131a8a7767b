package repo_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/gptoauth/gptoauth/internal/bulk"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// plannedTokens is how many refresh tokens the tables have in TestPlans. CONTRIBUTING says how to run it with a million.
func plannedTokens(t *testing.T) int {
	t.Helper()
	text := os.Getenv("GPTOAUTH_PLAN_TOKENS")
	if text == "" {
		return 100_000
	}
	tokens, err := strconv.Atoi(text)
	require.NoError(t, err)
	return tokens
}

// maxRows bounds what a statement may read to answer one call, the longest page included.
const maxRows = 2_500

// TestPlans: no statement that the library sends, on its own or inside a function, planned for its values or for any,
// reads a whole table, sorts what has no bound, or reads more rows than it was asked for.
func TestPlans(t *testing.T) {
	t.Parallel()
	dsn := repotest.URL(t)
	admin := open(t, dsn, repo.PoolConfig{ReadTimeout: -1})
	require.NoError(t, bulk.Fill(t.Context(), admin, plannedTokens(t)))

	age := 19*24*time.Hour + 20*time.Hour // nearly that of the oldest row
	for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
		planned := explaining(t, dsn, mode)
		sent := &queryLog{}
		store, err := repo.New(planned.db.WithQueryHook(sent), repo.Config{TouchInterval: repo.Off})
		require.NoError(t, err)
		for _, call := range plannedCalls() {
			planned.plans = nil
			sent.queries = nil
			call.do(t, store)
			require.NotEmpty(t, planned.plans, call.name)
			for _, plan := range planned.plans {
				checkPlan(t, mode+" "+call.name, plan, call.sorts)
			}
			for _, query := range sent.queries {
				requireNoSeqScan(t, "prepared "+call.name, planned.prepared(t, query))
			}
		}
		checkPurgePlans(t, planned, mode, age)
		age -= 4 * time.Hour // so that rows are due again
	}
}

// explained is a connection that hears how each statement on it was run.
type explained struct {
	db    *bun.DB
	plans []plan
}

type plan struct {
	Query string   `json:"Query Text"`
	Root  planNode `json:"Plan"`
}

type planNode struct {
	Type    string     `json:"Node Type"`
	Table   string     `json:"Relation Name"`
	Rows    float64    `json:"Actual Rows"`
	Loops   float64    `json:"Actual Loops"`
	Removed float64    `json:"Rows Removed by Filter"`
	Plans   []planNode `json:"Plans"`
}

// explaining connects with pgx, because pgdriver does not pass on what the server remarks.
func explaining(t *testing.T, dsn, mode string) *explained {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	e := &explained{}
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if _, text, ok := strings.Cut(notice.Message, "plan:\n"); ok {
			var p plan
			if json.Unmarshal([]byte(text), &p) == nil {
				e.plans = append(e.plans, p)
			}
		}
	}
	sqlDB := stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = sqlDB.Close() })
	sqlDB.SetMaxOpenConns(1)
	for _, statement := range []string{
		"LOAD 'auto_explain'", "SET auto_explain.log_min_duration = 0", "SET auto_explain.log_nested_statements = on",
		"SET auto_explain.log_analyze = on", "SET auto_explain.log_timing = off", "SET auto_explain.log_format = json",
		"SET client_min_messages = log", "SET plan_cache_mode = " + mode,
	} {
		_, err := sqlDB.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	e.db = bun.NewDB(sqlDB, pgdialect.New())
	return e
}

// literal is a string literal, with its type if it has one: those with a type are constants of ours, and stay.
var literal = regexp.MustCompile(`(?:interval |timestamptz |E)?'(?:[^']|'')*'`)

// prepared is the plan of a statement for any value of its literals, as if it had been prepared. The library sends none that
// way, so that such a plan may take what is best for most people; it may not read a whole table.
func (e *explained) prepared(t *testing.T, query string) plan {
	t.Helper()
	var values []string
	statement := literal.ReplaceAllStringFunc(query, func(value string) string {
		if strings.HasPrefix(value, "interval") || strings.HasPrefix(value, "timestamptz") {
			return value
		}
		values = append(values, value)
		return fmt.Sprintf("$%d", len(values))
	})
	ctx := t.Context()
	_, err := e.db.ExecContext(ctx, "?", bun.Safe("PREPARE planned AS "+statement))
	require.NoError(t, err, statement)
	var text string
	explain := "EXPLAIN (FORMAT JSON) EXECUTE planned"
	if len(values) > 0 {
		explain += "(" + strings.Join(values, ", ") + ")"
	}
	require.NoError(t, e.db.QueryRowContext(ctx, "?", bun.Safe(explain)).Scan(&text), statement)
	_, err = e.db.ExecContext(ctx, "DEALLOCATE planned")
	require.NoError(t, err)
	var plans []plan
	require.NoError(t, json.Unmarshal([]byte(text), &plans))
	plans[0].Query = statement
	return plans[0]
}

func requireNoSeqScan(t *testing.T, call string, p plan) {
	t.Helper()
	p.Root.walk(func(node planNode) {
		if strings.HasPrefix(node.Table, "gpt_") {
			require.NotEqual(t, "Seq Scan", node.Type, "%s reads all of %s:\n%s", call, node.Table, p.Query)
		}
	})
}

func checkPlan(t *testing.T, call string, p plan, sorts bool) {
	t.Helper()
	requireNoSeqScan(t, call, p)
	p.Root.walk(func(node planNode) {
		if !sorts {
			require.NotEqual(t, "Sort", node.Type, "%s sorts:\n%s", call, p.Query)
		}
	})
	require.LessOrEqual(t, p.read(), float64(maxRows), "%s reads more than it was asked for:\n%s", call, p.Query)
}

// read is how many rows of our tables were read, those that did not count included.
func (p plan) read() float64 {
	read := 0.0
	p.Root.walk(func(node planNode) {
		if strings.HasPrefix(node.Table, "gpt_") {
			read += (node.Rows + node.Removed) * node.Loops
		}
	})
	return read
}

func (n planNode) walk(visit func(planNode)) {
	visit(n)
	for _, child := range n.Plans {
		child.walk(visit)
	}
}
