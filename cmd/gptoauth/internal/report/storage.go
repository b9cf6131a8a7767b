package report

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
)

// tableNames are those that grow.
var tableNames = []string{"public.gpt_refresh_tokens", "public.gpt_sessions", "public.gpt_authorization_codes", "public.gpt_oauth_events"}

// Storage is what the tables take.
type Storage struct {
	Bytes  int64   `json:"bytes"` // of all tables with their indexes
	Tables []Table `json:"tables"`

	judged []doctor.Finding
}

// Table is one of them. Its rows are counted by the server's statistics and not one by one.
type Table struct {
	Name            string    `bun:"name"        json:"name"`
	Rows            int       `bun:"rows"        json:"rows_estimate"`
	TableBytes      int64     `bun:"table_bytes" json:"table_bytes"`
	IndexBytes      int64     `bun:"index_bytes" json:"index_bytes"`
	Dead            *int      `bun:"-"           json:"dead_rows"`        // nil: not known, on a replica
	VacuumThreshold *int      `bun:"-"           json:"vacuum_threshold"` // dead rows at which autovacuum begins; nil: likewise
	VacuumedAt      time.Time `bun:"-"           json:"vacuumed_at,omitzero"`
	Indexes         []Index   `bun:"-"           json:"indexes"`

	behind bool // as doctor judges
}

// Index is one of a table.
type Index struct {
	Table string `bun:"table_name" json:"-"`
	Name  string `bun:"name"       json:"name"`
	Bytes int64  `bun:"bytes"      json:"bytes"`
	Scans int    `bun:"scans"      json:"scans"` // since the statistics were last reset
}

func (t Table) bytes() int64 { return t.TableBytes + t.IndexBytes }

func readStorage(ctx context.Context, s *snapshot, tx bun.Tx) (Storage, error) {
	vacuum, err := doctor.ReadAutovacuum(ctx, tx)
	if err != nil {
		return Storage{}, err
	}
	var tables []Table
	if err := tx.NewRaw(`
		SELECT wanted.name, c.reltuples::int8 AS rows,
		       pg_catalog.pg_table_size(c.oid) AS table_bytes, pg_catalog.pg_indexes_size(c.oid) AS index_bytes
		  FROM unnest(ARRAY[?]) WITH ORDINALITY AS wanted (name, place)
		  JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(wanted.name)
		 ORDER BY wanted.place`, bun.List(tableNames)).Scan(ctx, &tables); err != nil {
		return Storage{}, err
	}
	var indexes []Index
	if err := tx.NewRaw(`
		SELECT wanted.name AS table_name, x.relname AS name, pg_catalog.pg_relation_size(x.oid) AS bytes, coalesce(s.idx_scan, 0) AS scans
		  FROM unnest(ARRAY[?]) AS wanted (name)
		  JOIN pg_catalog.pg_index AS i ON i.indrelid = pg_catalog.to_regclass(wanted.name)
		  JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
		  LEFT JOIN pg_catalog.pg_stat_user_indexes AS s ON s.indexrelid = x.oid
		 ORDER BY bytes DESC, name`, bun.List(tableNames)).Scan(ctx, &indexes); err != nil {
		return Storage{}, err
	}
	return assemble(s.replica, vacuum, tables, indexes), nil
}

// assemble puts together what is known of each table. A table that was never analyzed has no reltuples. A replica counts no dead
// rows of its own, and none of the primary's.
func assemble(replica bool, vacuum doctor.Autovacuum, tables []Table, indexes []Index) Storage {
	s := Storage{Tables: tables}
	if !replica {
		s.judged = vacuum.Judge()
	}
	for i := range s.Tables {
		t := &s.Tables[i]
		s.Bytes += t.bytes()
		t.Indexes = []Index{}
		for _, index := range indexes {
			if index.Table == t.Name {
				t.Indexes = append(t.Indexes, index)
			}
		}
		for _, v := range vacuum.Tables {
			if v.Name != t.Name {
				continue
			}
			if t.Rows < 0 {
				t.Rows = v.Live
			}
			if replica {
				continue
			}
			t.Dead, t.VacuumThreshold, t.behind = &v.Dead, &v.Threshold, v.Behind()
			if !v.At.IsZero() {
				t.VacuumedAt = v.At.UTC()
			}
		}
		t.Rows = max(t.Rows, 0)
	}
	return s
}
