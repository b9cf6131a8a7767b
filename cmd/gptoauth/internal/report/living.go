package report

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
)

// shownBars is how many clients have a bar of their own.
const shownBars = 8

// Living are the sessions that are alive now.
type Living struct {
	Sessions   int            `json:"sessions"`
	ActiveDay  int            `json:"active_day"`  // of these, those used in the last 24 hours
	ActiveWeek int            `json:"active_week"` // and in the last 7 days
	Clients    []LivingClient `json:"clients"`
}

// LivingClient are the sessions of a client.
type LivingClient struct {
	ClientID string `bun:"client_id"   json:"client_id"`
	Others   bool   `bun:"others"      json:"others"` // true: of all clients but those named
	Sessions int    `bun:"sessions"    json:"sessions"`
	Day      int    `bun:"active_day"  json:"active_day"`
	Week     int    `bun:"active_week" json:"active_week"`
}

// readLiving begins, as tokens stats does, with the unspent tokens that have not expired, of which a family that lives has
// one and others have none: idx_gpt_refresh_tokens_expires_at has exactly these.
func readLiving(ctx context.Context, _ *snapshot, tx bun.Tx) (Living, error) {
	result := Living{Clients: []LivingClient{}}
	for _, table := range []string{"public.gpt_refresh_tokens", "public.gpt_sessions"} {
		if err := doctor.CanSee(ctx, tx, table); err != nil {
			return result, err
		}
	}
	err := tx.NewRaw(`
		WITH counted AS (
		    SELECT coalesce(s.client_id, '') AS client_id, count(*) AS sessions,
		           count(*) FILTER (WHERE s.last_active > now() - interval '1 day') AS active_day,
		           count(*) FILTER (WHERE s.last_active > now() - interval '7 days') AS active_week
		      FROM public.gpt_refresh_tokens AS t
		      JOIN public.gpt_sessions AS s ON s.id = t.session_id AND s.refresh_token_id = t.id
		     WHERE t.revoked_at IS NULL AND t.expires_at > now()
		       AND s.ended_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
		     GROUP BY 1
		), ranked AS (
		    SELECT client_id, sessions, active_day, active_week, row_number() OVER (ORDER BY sessions DESC, client_id) AS rank
		      FROM counted
		)
		SELECT CASE WHEN rank <= ? THEN client_id ELSE '' END AS client_id, rank > ? AS others,
		       sum(sessions)::int8 AS sessions, sum(active_day)::int8 AS active_day, sum(active_week)::int8 AS active_week
		  FROM ranked
		 GROUP BY 1, 2
		 ORDER BY min(rank)`, shownBars, shownBars).Scan(ctx, &result.Clients)
	for _, c := range result.Clients {
		result.Sessions += c.Sessions
		result.ActiveDay += c.Day
		result.ActiveWeek += c.Week
	}
	return result, err
}
