package report

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/repo"
)

// ErrNoTables is for a database that was never migrated.
var ErrNoTables = errors.New("the tables of gptoauth are not in this database; gptoauth migrate up makes them")

// snapshot is the transaction in which all figures are read: it sees one moment, and cannot write.
type snapshot struct {
	db      *bun.DB
	tx      *bun.Tx // nil: it has to be begun
	store   *repo.Store
	params  Params
	window  window
	replica bool
	gaps    []Gap
	err     error // that ends it all
}

// begin makes sure that there is one. A query that takes too long costs the driver its connection, and the figures after it are
// of the moment after it.
func (s *snapshot) begin(ctx context.Context) error {
	if s.tx != nil {
		return nil
	}
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err == nil {
		s.tx = &tx
	}
	return err
}

func (s *snapshot) end() {
	if s.tx != nil {
		_ = s.tx.Rollback() // it has only read
		s.tx = nil
	}
}

// identify reads the clock and which database this is.
func (s *snapshot) identify(ctx context.Context, r *Report) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	tables := 0
	err := s.tx.QueryRowContext(ctx, `
		SELECT now(), pg_catalog.current_database(), pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
		       (SELECT count(*)
		          FROM unnest(ARRAY['public.gpt_authorization_codes', 'public.gpt_refresh_tokens', 'public.gpt_sessions',
		                            'public.gpt_oauth_events']) AS name
		         WHERE pg_catalog.to_regclass(name) IS NOT NULL)`).
		Scan(&r.MadeAt, &r.Database, &r.ServerVersion, &r.Replica, &tables)
	if err != nil {
		return err
	}
	if tables < len(tableNames) {
		return ErrNoTables
	}
	r.MadeAt = r.MadeAt.UTC()
	r.ServerVersion, _, _ = strings.Cut(r.ServerVersion, " ") // without the distribution's
	r.window = newWindow(r.MadeAt, r.Days)
	r.Since, r.Until = r.window.since, r.window.until
	r.BucketSeconds = int(r.window.bucket / time.Second)
	s.window, s.replica = r.window, r.Replica
	return nil
}

// Gap is a figure that could not be read.
type Gap struct {
	Figure string `json:"figure"` // its name in JSON
	Reason string `json:"reason"`
}

// figure reads one, within a savepoint, so that what takes too long, may not be read or is broken costs this figure only. The
// server is bounded and not the client, whose giving up would not stop it.
func figure[T any](ctx context.Context, s *snapshot, name, doing string, read func(context.Context, *snapshot, bun.Tx) (T, error)) *T {
	if s.err != nil {
		return nil
	}
	s.params.Progress(doing)
	if s.err = s.begin(ctx); s.err != nil {
		return nil
	}
	var result T
	began := time.Now()
	err := s.tx.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) (err error) {
		if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = ?", s.params.Timeout.Milliseconds()); err != nil {
			return err
		}
		result, err = read(ctx, s, tx)
		return err
	})
	if err == nil {
		return &result
	}
	reason := s.reason(err, time.Since(began))
	if reason == "" || ctx.Err() != nil {
		s.err = err
		return nil
	}
	s.gaps = append(s.gaps, Gap{name, reason})
	if costsConnection(err) {
		s.end()
	}
	return nil
}

// reason says why there is no figure. It is empty for what the server did not say, and what may be wrong with all of them.
func (s *snapshot) reason(err error, after time.Duration) string {
	if unseen, ok := errors.AsType[doctor.UnseenError](err); ok {
		return string(unseen)
	}
	server, ok := errors.AsType[pgdriver.Error](err)
	if !ok {
		return ""
	}
	code := server.Field('C')
	switch {
	case code == queryCanceled && s.params.Timeout > 0 && after >= s.params.Timeout:
		return "it took longer than " + s.params.Timeout.String() + ": raise --timeout"
	case code == queryCanceled:
		return "it was cancelled"
	case code == "42501": // insufficient_privilege
		return server.Field('M') + ": " + doctor.ConnectAs
	case strings.HasPrefix(code, "22"): // a data exception quotes a value, which a page that may be shown around does not
		return "a row holds a value that cannot be read (SQLSTATE " + code + ")"
	default:
		return server.Field('M')
	}
}

const queryCanceled = "57014"

// costsConnection says whether the driver, or the server, gives the connection up after an error.
func costsConnection(err error) bool {
	server, ok := errors.AsType[pgdriver.Error](err)
	return ok && (server.Field('C') == queryCanceled || server.Field('V') == "FATAL")
}
