package repo

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

var (
	beginBatchSQL      = mustSQL("begin_batch")
	purgeCodesSQL      = mustSQL("purge_codes")
	purgeTokensSQL     = mustSQL("purge_tokens")
	purgeEventsSQL     = mustSQL("purge_events")
	archiveEventsSQL   = mustSQL("archive_events")
	clearNoncesSQL     = mustSQL("clear_nonces")
	lockEndedSQL       = mustSQL("lock_ended")
	lockExpiredSQL     = mustSQL("lock_expired")
	lockAdoptedSQL     = mustSQL("lock_adopted")
	lockLongSQL        = mustSQL("lock_long")
	measureFamiliesSQL = mustSQL("measure_families")
	deleteSessionsSQL  = mustSQL("delete_sessions")
	shortenFamilySQL   = mustSQL("shorten_family")
	trimSessionsSQL    = mustSQL("trim_sessions")
	countPurgeableSQL  = mustSQL("count_purgeable")
	checkOrphansSQL    = mustSQL("check_orphans")
)

func mustSQL(name string) string {
	text, err := sqlFiles.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // embedded
	}
	return string(text)
}

// walkLimit bounds how many living sessions a batch locks, and how many old tokens are compared with each other.
const walkLimit = 1000

// step is one of the things a purge does, batch after batch, in the order of an index.
type step struct {
	name      string
	retention time.Duration
	limit     int // rows a batch, at most; 0 = BatchSize
	run       func(ctx context.Context, tx bun.Tx, args batchArgs) (batchResult, error)
}

// batchArgs are the arguments of every statement of a batch.
type batchArgs struct {
	RetentionUs int64     `bun:"retention_us"`
	AfterAt     time.Time `bun:"after_at"` // where the batch before ended
	AfterID     uuid.UUID `bun:"after_id,type:uuid"`
	Limit       int       `bun:"limit"`
	IDs         []string  `bun:"ids,array"`
}

// batchResult is what a batch has done, and where the next one begins.
type batchResult struct {
	PurgeCounts

	end        position
	more       bool
	statements int // that it took
}

// steps are in this order because a session is deleted after the code that gave it, and a token that belongs to none after
// the session that refers to it.
func (j *Janitor) steps() []step {
	events := step{"events", j.config.Events, 0, runPurge(purgeEventsSQL)}
	if j.config.Archive != nil {
		events.limit = maxArchiveBatch
		events.run = j.archiveEvents
	}
	return []step{
		{"codes", j.config.Codes, 0, runPurge(purgeCodesSQL)},
		{"ended sessions", j.config.Sessions, 0, runLocked(lockEndedSQL, deleteSessions)},
		{"expired sessions", j.config.Sessions, 0, runLocked(lockExpiredSQL, deleteSessions)},
		{"adopted sessions", j.config.Sessions, 0, runLocked(lockAdoptedSQL, deleteSessions)},
		{"adopted tokens", j.config.Sessions, walkLimit, runPurge(purgeTokensSQL)},
		{"rotated tokens", j.config.Rotated, walkLimit, runLocked(lockLongSQL, trimSessions)},
		{"nonces", maxGrace, walkLimit, runPurge(clearNoncesSQL)},
		events,
	}
}

// purgeRow is the answer of a statement that does all that a batch has to do.
type purgeRow struct {
	Codes  int       `bun:"codes"`
	Tokens int       `bun:"tokens"`
	Nonces int       `bun:"nonces"`
	Events int       `bun:"events"`
	Seen   int       `bun:"seen"`
	LastAt time.Time `bun:"last_at,nullzero"`
	LastID uuid.UUID `bun:"last_id,type:uuid"`
}

// runPurge runs a statement that does all that a batch has to do.
func runPurge(query string) func(context.Context, bun.Tx, batchArgs) (batchResult, error) {
	return func(ctx context.Context, tx bun.Tx, args batchArgs) (batchResult, error) {
		var row purgeRow
		if err := tx.NewRaw(query, args).Scan(ctx, &row); err != nil {
			return batchResult{}, err
		}
		return batchResult{
			PurgeCounts: PurgeCounts{Codes: row.Codes, Tokens: row.Tokens, Nonces: row.Nonces, Events: row.Events},
			end:         position{row.LastAt, row.LastID},
			more:        row.Seen >= args.Limit,
			statements:  1,
		}, nil
	}
}

// lockedRow is a session that is locked, or a mere step of a walk.
type lockedRow struct {
	At        time.Time `bun:"at"`
	ID        uuid.UUID `bun:"id,type:uuid"`
	SessionID uuid.UUID `bun:"session_id,type:uuid"` // zero if this one is left alone
}

// removed is what was deleted of the locked sessions.
type removed struct {
	Sessions  int `bun:"sessions"`
	Tokens    int `bun:"tokens"`
	FirstLeft int `bun:"first_left"` // from 1: this session and those after it are left for the next batch; 0: none

	statements int
}

// runLocked runs a statement that locks sessions and then others that delete of them. Not one for all, because a statement
// sees what was committed before it began, not what was while it waited for its locks.
func runLocked(
	lock string, remove func(context.Context, bun.Tx, batchArgs) (removed, error),
) func(context.Context, bun.Tx, batchArgs) (batchResult, error) {
	return func(ctx context.Context, tx bun.Tx, args batchArgs) (batchResult, error) {
		var rows []lockedRow
		if err := tx.NewRaw(lock, args).Scan(ctx, &rows); err != nil || len(rows) == 0 {
			return batchResult{}, err
		}
		var places []int // of each locked session among the rows
		for i, row := range rows {
			if row.SessionID != uuid.Nil {
				args.IDs = append(args.IDs, row.SessionID.String())
				places = append(places, i)
			}
		}
		result := batchResult{more: len(rows) >= args.Limit, end: position{args.AfterAt, args.AfterID}, statements: 1}
		end := len(rows)
		if len(places) > 0 {
			r, err := remove(ctx, tx, args)
			if err != nil {
				return batchResult{}, err
			}
			result.Sessions, result.Tokens = r.Sessions, r.Tokens
			result.statements += r.statements
			if r.FirstLeft > 0 {
				end, result.more = places[r.FirstLeft-1], true
			}
		}
		if end > 0 {
			result.end = position{rows[end-1].At, rows[end-1].ID}
		}
		return result, nil
	}
}

// deleteSessions deletes as many of the locked sessions as have not more tokens together than the limit. If the first alone
// has more, it loses some.
func deleteSessions(ctx context.Context, tx bun.Tx, args batchArgs) (removed, error) {
	var families []struct {
		N      int `bun:"n"` // which of the sessions, from 1
		Tokens int `bun:"tokens"`
	}
	if err := tx.NewRaw(measureFamiliesSQL, args).Scan(ctx, &families); err != nil {
		return removed{}, err
	}
	tokens, last := 0, 0
	for _, f := range families {
		tokens += f.Tokens
		last = max(last, f.N)
	}
	query, firstLeft := deleteSessionsSQL, 0
	switch {
	case tokens < args.Limit:
	case last == 1:
		query, firstLeft = shortenFamilySQL, 1
		args.IDs = args.IDs[:1]
	default:
		firstLeft = last
		args.IDs = args.IDs[:last-1]
	}
	result := removed{}
	err := tx.NewRaw(query, args).Scan(ctx, &result)
	result.FirstLeft, result.statements = firstLeft, 2
	return result, err
}

func trimSessions(ctx context.Context, tx bun.Tx, args batchArgs) (removed, error) {
	var result removed
	err := tx.NewRaw(trimSessionsSQL, args).Scan(ctx, &result)
	result.statements = 1
	return result, err
}

// archiveEvents deletes events and has them on stable storage before the transaction commits.
func (j *Janitor) archiveEvents(ctx context.Context, tx bun.Tx, args batchArgs) (batchResult, error) {
	var rows []struct {
		At   time.Time `bun:"at"`
		ID   uuid.UUID `bun:"id,type:uuid"`
		Line string    `bun:"line"`
	}
	if err := tx.NewRaw(archiveEventsSQL, args).Scan(ctx, &rows); err != nil || len(rows) == 0 {
		return batchResult{}, err
	}
	var lines []byte
	for _, row := range rows {
		lines = append(append(lines, row.Line...), '\n')
	}
	if _, err := j.config.Archive.Write(lines); err != nil {
		return batchResult{}, &archiveError{fmt.Errorf("writing the archive: %w", err)}
	}
	if err := j.config.Archive.Sync(); err != nil {
		return batchResult{}, &archiveError{fmt.Errorf("syncing the archive: %w", err)}
	}
	last := rows[len(rows)-1]
	return batchResult{
		PurgeCounts: PurgeCounts{Events: len(rows)},
		end:         position{last.At, last.ID},
		more:        len(rows) >= args.Limit,
		statements:  1,
	}, nil
}
