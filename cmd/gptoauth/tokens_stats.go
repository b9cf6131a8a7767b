package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// tokensStats is what --json prints. What took too long is null.
type tokensStats struct {
	Since    time.Time      `json:"since"`
	Until    time.Time      `json:"until"`
	Families *familyStats   `json:"families"`
	Activity *activityStats `json:"activity"`
	Longest  *longestChain  `json:"longest"`
}

// familyStats is about the sessions that live now.
type familyStats struct {
	Living      int       `json:"living"`
	OldestBegun time.Time `json:"oldest_begun,omitzero"`
	OldestID    string    `json:"oldest_session_id,omitempty"`
}

// activityStats is about the time from since to until.
type activityStats struct {
	Exchanges          int     `json:"exchanges"`
	Rotations          int     `json:"rotations"`
	Retries            int     `json:"retries"`
	Reuses             int     `json:"reuses"`
	Replays            int     `json:"replays"`
	RotationsPerMinute float64 `json:"rotations_per_minute"`
	RetriesPerDay      float64 `json:"retries_per_day"`
	ReusesPerDay       float64 `json:"reuses_per_day"`
}

// longestChain is the family with the most generations that are still stored, dead or alive.
type longestChain struct {
	SessionID   string `json:"session_id,omitempty"`
	Generations int    `json:"generations"`
}

func (a *app) tokensStatsCommand() *cli.Command {
	return &cli.Command{
		Name:  "stats",
		Usage: "count families, rotations, retries and reuse",
		Description: `Each figure is one query that only reads, and is given up when it takes longer than --timeout, so that this may be run on a
busy primary. What they read: the living families, one index entry and one session each; of the time since --since, every event; for
the longest chain the whole index of sessions and their tokens, which is the one that takes long on large databases.

Examples:
  gptoauth tokens stats
  gptoauth tokens stats --since 1h                # rotations a minute of the last hour
  gptoauth tokens stats --since 7d --timeout 5m   # retries and reuse per day of the last week
  gptoauth tokens stats --json | jq .activity.reuses_per_day

` + timesHelp,
		Flags: []cli.Flag{
			sinceFlag("24h"), untilFlag(),
			&cli.DurationFlag{Name: "timeout", Usage: "give a figure up after this time; 0: never", Value: 10 * time.Second},
		},
		Action: a.tokensStats,
	}
}

func (a *app) tokensStats(ctx context.Context, cmd *cli.Command) error {
	period, err := eventFilter(cmd)
	if err != nil {
		return err
	}
	if period.Until.IsZero() {
		period.Until = time.Now()
	}
	timeout := cmd.Duration("timeout")
	switch {
	case !period.Since.Before(period.Until):
		return usageErrorf("--since is not before --until")
	case timeout < 0:
		return usageErrorf("--timeout is %s, want at least 0", timeout)
	}
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	result := tokensStats{Since: period.Since.UTC(), Until: period.Until.UTC()}
	if result.Families, err = figure(ctx, db, timeout, readFamilyStats); err != nil {
		return err
	}
	if result.Activity, err = figure(ctx, db, timeout, activityIn(period)); err != nil {
		return err
	}
	if result.Longest, err = figure(ctx, db, timeout, readLongestChain); err != nil {
		return err
	}
	return a.show(result, func() { a.printTokensStats(result) })
}

// figure reads one, or returns nil if that takes too long. The server is bounded and not the client, whose giving up would
// not stop it.
func figure[T any](ctx context.Context, db *bun.DB, timeout time.Duration, read func(context.Context, bun.Tx) (T, error)) (*T, error) {
	var result T
	err := db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) (err error) {
		if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = ?", timeout.Milliseconds()); err != nil {
			return err
		}
		result, err = read(ctx, tx)
		return err
	})
	const canceled = "57014"
	if failed, ok := errors.AsType[pgdriver.Error](err); ok && failed.Field('C') == canceled && ctx.Err() == nil {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	if err != nil {
		return nil, err
	}
	return &result, nil
}

// readFamilyStats begins with the unspent tokens that have not expired, of which a family that lives has one and others have
// none: idx_gpt_refresh_tokens_expires_at has exactly these.
func readFamilyStats(ctx context.Context, tx bun.Tx) (familyStats, error) {
	var stats familyStats
	var begun bun.NullTime
	err := tx.QueryRowContext(ctx, `
		WITH living AS MATERIALIZED (
			SELECT s.id, s.created_at
			  FROM public.gpt_refresh_tokens AS t
			  JOIN public.gpt_sessions AS s ON s.id = t.session_id AND s.refresh_token_id = t.id
			 WHERE t.revoked_at IS NULL AND t.expires_at > now()
			   AND s.ended_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
		)
		SELECT (SELECT count(*) FROM living), oldest.created_at, coalesce(oldest.id::text, '')
		  FROM (SELECT) AS one
		  LEFT JOIN LATERAL (SELECT created_at, id FROM living ORDER BY created_at, id LIMIT 1) AS oldest ON true`).
		Scan(&stats.Living, &begun, &stats.OldestID)
	stats.OldestBegun = begun.UTC()
	return stats, err
}

func activityIn(period repo.EventListParams) func(context.Context, bun.Tx) (activityStats, error) {
	return func(ctx context.Context, tx bun.Tx) (activityStats, error) {
		var stats activityStats
		err := tx.QueryRowContext(ctx, `
			SELECT count(*) FILTER (WHERE event_type = ?), count(*) FILTER (WHERE event_type = ?),
			       count(*) FILTER (WHERE event_type = ?), count(*) FILTER (WHERE event_type = ?),
			       count(*) FILTER (WHERE event_type = ?)
			  FROM public.gpt_oauth_events
			 WHERE created_at >= ? AND created_at < ?`,
			repo.EventTokenExchange, repo.EventTokenRefresh, repo.EventTokenRetry, repo.EventTokenReuse, repo.EventCodeReplay,
			period.Since, period.Until).
			Scan(&stats.Exchanges, &stats.Rotations, &stats.Retries, &stats.Reuses, &stats.Replays)
		length := period.Until.Sub(period.Since)
		stats.RotationsPerMinute = float64(stats.Rotations) / length.Minutes()
		stats.RetriesPerDay = float64(stats.Retries) / (length.Hours() / 24)
		stats.ReusesPerDay = float64(stats.Reuses) / (length.Hours() / 24)
		return stats, err
	}
}

func readLongestChain(ctx context.Context, tx bun.Tx) (longestChain, error) {
	var chains []longestChain
	err := tx.NewSelect().TableExpr("public.gpt_refresh_tokens").
		ColumnExpr("session_id::text, count(*) AS generations").
		Where("session_id IS NOT NULL").
		GroupExpr("session_id").
		OrderExpr("generations DESC, session_id").
		Limit(1).
		Scan(ctx, &chains)
	if err != nil || len(chains) == 0 {
		return longestChain{}, err
	}
	return chains[0], nil
}

func (a *app) printTokensStats(s tokensStats) {
	const tooLong = "not counted within the time: raise --timeout"
	facts := [][2]string{{"living families", tooLong}}
	if f := s.Families; f != nil {
		facts = [][2]string{{"living families", thousands(f.Living)}}
		if f.Living > 0 {
			facts = append(facts, [2]string{"oldest", "begun " + timestamp(f.OldestBegun)}, [2]string{"", "session " + f.OldestID})
		}
	}
	switch {
	case s.Longest == nil:
		facts = append(facts, [2]string{"longest chain", tooLong})
	case s.Longest.Generations > 0:
		facts = append(facts, [2]string{"longest chain", thousands(s.Longest.Generations) + " tokens"}, [2]string{"", "session " + s.Longest.SessionID})
	}
	a.facts(facts)

	a.printf("\n%s\n", a.pen.Paint(draw.Strong, fmt.Sprintf("from %s to %s", timestamp(s.Since), timestamp(s.Until))))
	if s.Activity == nil {
		a.facts([][2]string{{"events", tooLong}})
		return
	}
	act := s.Activity
	a.facts([][2]string{
		{"exchanges", thousands(act.Exchanges)},
		{"rotations", thousands(act.Rotations) + ", " + rate(act.RotationsPerMinute) + " a minute"},
		{"retries", thousands(act.Retries) + ", " + rate(act.RetriesPerDay) + " a day"},
		{"reuses", thousands(act.Reuses) + ", " + rate(act.ReusesPerDay) + " a day"},
		{"replays", thousands(act.Replays)},
	})
}

// rate is a number of three digits, or all its whole ones.
func rate(r float64) string {
	if r >= 100 {
		return thousands(int(math.Round(r)))
	}
	return strconv.FormatFloat(r, 'g', 3, 64)
}
