// Package bulk fills a migrated database with as many rows as a large one has, for tests of plans and for benchmarks.
package bulk

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
)

//go:embed fill.sql
var fillSQL string

// perSession is how many refresh tokens fill.sql gives to each session.
const perSession = 4

// Fill adds about as many refresh tokens as asked for, with their sessions, codes and events. The tables must be the
// caller's alone: indexes and foreign keys are taken away and made again, which takes a tenth of the time of keeping them.
// A million tokens take about a minute; give db no read timeout.
func Fill(ctx context.Context, db *bun.DB, tokens int) error {
	conn, err := db.Conn(ctx) // temporary tables belong to a connection
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // gives it back to the pool

	restore, err := strip(ctx, conn)
	if err != nil {
		return fmt.Errorf("bulk: %w", err)
	}
	statements := append(strings.Split(fillSQL, ";\n"), restore...)
	for _, table := range []string{"gpt_refresh_tokens", "gpt_authorization_codes", "gpt_sessions", "gpt_oauth_events"} {
		statements = append(statements, "VACUUM ANALYZE public."+table)
	}
	for _, statement := range statements {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, statement, max(tokens/perSession, 1)); err != nil {
			return fmt.Errorf("bulk: %w", err)
		}
	}
	return nil
}

// strip drops foreign keys and the indexes that no constraint needs, and returns what makes them again.
func strip(ctx context.Context, conn bun.Conn) (restore []string, err error) {
	var found []struct{ Drop, Make string }
	err = conn.NewRaw(`
		SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname) AS drop,
		       format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) AS make
		  FROM pg_constraint AS c
		 WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
		UNION ALL
		SELECT format('DROP INDEX public.%I', x.relname), pg_get_indexdef(i.indexrelid)
		  FROM pg_index AS i
		  JOIN pg_class AS x ON x.oid = i.indexrelid
		  JOIN pg_class AS t ON t.oid = i.indrelid
		 WHERE t.relnamespace = 'public'::regnamespace AND t.relname LIKE 'gpt\_%' AND NOT i.indisunique
		 ORDER BY make DESC -- indexes before the foreign keys that they serve
		`).Scan(ctx, &found)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if _, err := conn.ExecContext(ctx, f.Drop); err != nil {
			return nil, err
		}
		restore = append(restore, f.Make)
	}
	return restore, nil
}
