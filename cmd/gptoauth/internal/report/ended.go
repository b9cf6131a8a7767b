package report

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/repo"
)

// Ended are the sessions that were ended in the window and are not yet purged. Those that merely expired are none of them.
type Ended struct {
	Sessions int           `json:"sessions"`
	Reasons  []EndedReason `json:"reasons"`
}

// EndedReason is why. What a host gives as its reason is free text, in which people may be named: only ours are shown.
type EndedReason struct {
	Reason   string `bun:"reason"   json:"reason"`
	Others   bool   `bun:"others"   json:"others"` // true: all reasons of the host's own
	Sessions int    `bun:"sessions" json:"sessions"`
}

// ownReasons are those that the library gives, and gptoauth serve.
var ownReasons = []string{
	repo.EventTokenReuse, repo.EventCodeReplay, repo.EventTokenRevoke,
	"access_token_revoke", "clerk_user_deleted", "ended_by_person", "no_token_given",
}

// readEnded reads the sessions that idx_gpt_sessions_ended_at finds. The events would say the same of more time, but one of
// a spent code that came back does not say whether there was a session left to end.
func readEnded(ctx context.Context, s *snapshot, tx bun.Tx) (Ended, error) {
	result := Ended{Reasons: []EndedReason{}}
	if err := doctor.CanSee(ctx, tx, "public.gpt_sessions"); err != nil {
		return result, err
	}
	err := tx.NewRaw(`
		SELECT CASE WHEN end_reason IN (?) THEN end_reason ELSE '' END AS reason,
		       coalesce(end_reason NOT IN (?), false) AS others, count(*) AS sessions
		  FROM public.gpt_sessions
		 WHERE ended_at >= ?
		 GROUP BY 1, 2
		 ORDER BY others, sessions DESC, reason`, bun.List(ownReasons), bun.List(ownReasons), s.window.since).Scan(ctx, &result.Reasons)
	for _, r := range result.Reasons {
		result.Sessions += r.Sessions
	}
	return result, err
}
