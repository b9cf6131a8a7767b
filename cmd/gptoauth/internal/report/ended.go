package report

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
)

// Ended are the sessions that were ended in the window and are not yet purged. Those that merely expired are none of them.
type Ended struct {
	Sessions int           `json:"sessions"`
	Reasons  []EndedReason `json:"reasons"`
}

// EndedReason is why.
type EndedReason struct {
	Reason   string `bun:"reason"   json:"reason"`
	Others   bool   `bun:"others"   json:"others"` // true: all reasons but those named
	Sessions int    `bun:"sessions" json:"sessions"`
}

// readEnded reads the sessions that idx_gpt_sessions_ended_at finds. The events would say the same of more time, but one of
// a spent code that came back does not say whether there was a session left to end.
func readEnded(ctx context.Context, s *snapshot, tx bun.Tx) (Ended, error) {
	result := Ended{Reasons: []EndedReason{}}
	if err := doctor.CanSee(ctx, tx, "public.gpt_sessions"); err != nil {
		return result, err
	}
	err := tx.NewRaw(`
		WITH counted AS (
		    SELECT coalesce(end_reason, '') AS reason, count(*) AS sessions
		      FROM public.gpt_sessions
		     WHERE ended_at >= ?
		     GROUP BY 1
		), ranked AS (
		    SELECT reason, sessions, row_number() OVER (ORDER BY sessions DESC, reason) AS rank FROM counted
		)
		SELECT CASE WHEN rank <= ? THEN reason ELSE '' END AS reason, rank > ? AS others, sum(sessions)::int8 AS sessions
		  FROM ranked
		 GROUP BY 1, 2
		 ORDER BY min(rank)`, s.window.since, shownBars, shownBars).Scan(ctx, &result.Reasons)
	for _, r := range result.Reasons {
		result.Sessions += r.Sessions
	}
	return result, err
}
