package doctor

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

const (
	// An honest client that lost an answer, or refreshes in parallel, is back within this time.
	soonMinutes = 15
	// Below both, retries are the noise of mobile networks.
	retriesMatter     = 20
	retriesPerHundred = 10
)

// trouble counts the events of the last day.
type trouble struct {
	Refreshes int `bun:"refreshes"`
	Retries   int `bun:"retries"`
	Soon      int `bun:"soon"`    // spent tokens that came back soon after their rotation
	Longest   int `bun:"longest"` // of those, in seconds after it
	Late      int `bun:"late"`    // and those that came back later
	Replays   int `bun:"replays"`
}

func lookAtAlarms(ctx context.Context, p *Patient) (string, []Finding, error) {
	var t trouble
	err := p.read(ctx, func(tx bun.Tx) error {
		if err := canSee(ctx, tx, "public.gpt_oauth_events"); err != nil {
			return err
		}
		return tx.NewRaw(`
			SELECT count(*) FILTER (WHERE event_type = 'token_refresh') AS refreshes,
			       count(*) FILTER (WHERE event_type = 'token_retry') AS retries,
			       count(*) FILTER (WHERE after <= ? * interval '1 minute') AS soon,
			       coalesce(extract(epoch FROM max(after) FILTER (WHERE after <= ? * interval '1 minute'))::int, 0) AS longest,
			       count(*) FILTER (WHERE event_type = 'token_reuse' AND (after <= ? * interval '1 minute') IS NOT TRUE) AS late,
			       count(*) FILTER (WHERE event_type = 'code_replay') AS replays
			  FROM (SELECT event_type,
			               CASE WHEN event_type = 'token_reuse' THEN created_at - (metadata ->> 'rotated_at')::timestamptz END AS after
			          FROM public.gpt_oauth_events
			         WHERE created_at > statement_timestamp() - interval '1 day'
			           AND event_type IN ('token_refresh', 'token_retry', 'token_reuse', 'code_replay')) AS e`,
			soonMinutes, soonMinutes, soonMinutes).Scan(ctx, &t)
	})
	seen, findings := t.judge()
	return seen, findings, err
}

func (t trouble) judge() (string, []Finding) {
	var findings []Finding
	if t.Soon > 0 {
		findings = append(findings, Finding{
			fmt.Sprintf("Your grace is too short: %s reused within %d minutes of being rotated, the latest after %d seconds, as clients do that lost an answer or refresh in parallel. Each ended its session.",
				count(t.Soon, "token was", "tokens were"), soonMinutes, t.Longest),
			"Raise repo.Config.Grace (90 seconds by default, at most 10 minutes), unless gptoauth events list --type token_reuse --since 1d shows addresses of strangers.",
		})
	}
	if t.Late > 0 {
		findings = append(findings, Finding{
			fmt.Sprintf("Someone is replaying: %s presented long after being rotated. Each ended its session.", count(t.Late, "spent token was", "spent tokens were")),
			"gptoauth events list --type token_reuse --since 1d, then gptoauth tokens trace with the session's id: was it stolen, or does a client restore an old backup?",
		})
	}
	if t.Replays > 0 {
		findings = append(findings, Finding{
			fmt.Sprintf("Someone is replaying: %s presented again. Each ended the session that it gave.", count(t.Replays, "spent code was", "spent codes were")),
			"gptoauth events list --type code_replay --since 1d: are codes in logs or Referer headers, or does a client send its callback twice?",
		})
	}
	if t.Retries >= retriesMatter && t.Retries*100 >= t.Refreshes*retriesPerHundred {
		findings = append(findings, Finding{
			fmt.Sprintf("%d retries on %d refreshes: answers get lost on the way to clients, or clients refresh in parallel. The grace period saves them.", t.Retries, t.Refreshes),
			"Look for timeouts of proxies that are shorter than your server's, and for clients that do not share one refresh.",
		})
	}
	return fmt.Sprintf("%d refreshes, %d retries, %d reused, %d codes replayed", t.Refreshes, t.Retries, t.Soon+t.Late, t.Replays), findings
}
