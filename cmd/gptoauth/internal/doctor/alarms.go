package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

const (
	// defaultGraceSeconds is that of [repo.Config]. Within it a spent token is answered with its successor, unless that was used as well.
	defaultGraceSeconds = 90
	// An honest client that lost an answer, or refreshes in parallel, is back within this time.
	soonMinutes = 15
	// Below both, retries are the noise of mobile networks.
	retriesMatter     = 20
	retriesPerHundred = 10
)

// Alarms counts events that say how clients fare, and thieves.
type Alarms struct {
	Refreshes int       `bun:"refreshes"`
	Retries   int       `bun:"retries"`
	InGrace   int       `bun:"in_grace"` // spent tokens that came back within the default grace after their rotation
	Soon      int       `bun:"soon"`     // those that came back soon after it
	Longest   int       `bun:"longest"`  // of those, in seconds after it
	Late      int       `bun:"late"`     // and those that came back later
	Replays   int       `bun:"replays"`
	LatestAt  time.Time `bun:"latest_at,nullzero"` // of what came back; zero if nothing did

	Days int `bun:"-"` // that this is about, for the advice
}

func lookAtAlarms(ctx context.Context, p *Patient) (string, []Finding, error) {
	var a Alarms
	err := p.read(ctx, func(tx bun.Tx) error {
		var yesterday time.Time
		err := tx.QueryRowContext(ctx, "SELECT now() - interval '1 day'").Scan(&yesterday)
		if err != nil {
			return err
		}
		a, err = ReadAlarms(ctx, tx, yesterday, repo.EventTokenRefresh, repo.EventTokenRetry, repo.EventTokenReuse, repo.EventCodeReplay)
		return err
	})
	a.Days = 1
	seen := fmt.Sprintf("%s refreshes, %s retries, %s reused, %s codes replayed",
		draw.Thousands(a.Refreshes), draw.Thousands(a.Retries), draw.Thousands(a.Reused()), draw.Thousands(a.Replays))
	return seen, a.Judge(), err
}

// ReadAlarms counts the events of these types from a time on. Refreshes are most of what there is, and alarms, which an index on
// the type finds, next to nothing.
func ReadAlarms(ctx context.Context, tx bun.Tx, since time.Time, types ...string) (Alarms, error) {
	var a Alarms
	if err := CanSee(ctx, tx, "public.gpt_oauth_events"); err != nil {
		return a, err
	}
	err := tx.NewRaw(`
		SELECT count(*) FILTER (WHERE event_type = 'token_refresh') AS refreshes,
		       count(*) FILTER (WHERE event_type = 'token_retry') AS retries,
		       count(*) FILTER (WHERE after < ? * interval '1 second') AS in_grace,
		       count(*) FILTER (WHERE after >= ? * interval '1 second' AND after <= ? * interval '1 minute') AS soon,
		       coalesce(extract(epoch FROM max(after) FILTER (WHERE after <= ? * interval '1 minute'))::int, 0) AS longest,
		       count(*) FILTER (WHERE event_type = 'token_reuse' AND (after <= ? * interval '1 minute') IS NOT TRUE) AS late,
		       count(*) FILTER (WHERE event_type = 'code_replay') AS replays,
		       max(created_at) FILTER (WHERE event_type IN ('token_reuse', 'code_replay')) AS latest_at
		  FROM (SELECT event_type, created_at,
		               CASE WHEN event_type = 'token_reuse' THEN created_at - (metadata ->> 'rotated_at')::timestamptz END AS after
		          FROM public.gpt_oauth_events
		         WHERE created_at >= ?
		           AND event_type IN (?)) AS e`,
		defaultGraceSeconds, defaultGraceSeconds, soonMinutes, soonMinutes, soonMinutes, since, bun.List(types)).Scan(ctx, &a)
	return a, err
}

// Reused counts the spent tokens that came back.
func (a Alarms) Reused() int { return a.InGrace + a.Soon + a.Late }

// Judge says what is wrong.
func (a Alarms) Judge() []Finding {
	var findings []Finding
	since := fmt.Sprintf("--since %dd", max(a.Days, 1))
	if a.InGrace > 0 {
		findings = append(findings, Finding{
			fmt.Sprintf("%s reused within the grace (of %d seconds by default), after the successor was used as well: two holders, or a client that forks. Each ended its session.",
				count(a.InGrace, "token was", "tokens were"), defaultGraceSeconds),
			"gptoauth events list --type token_reuse " + since + ": are there addresses of strangers, or does a client keep its token in two places? A repo.Config.Grace below the default may be too short.",
		})
	}
	if a.Soon > 0 {
		findings = append(findings, Finding{
			fmt.Sprintf("Your grace is too short: %s reused %d seconds to %d minutes after being rotated, the latest after %d seconds, as clients do that lost an answer or refresh in parallel. Each ended its session.",
				count(a.Soon, "token was", "tokens were"), defaultGraceSeconds, soonMinutes, a.Longest),
			"Raise repo.Config.Grace (90 seconds by default, at most 10 minutes), unless gptoauth events list --type token_reuse " + since + " shows addresses of strangers.",
		})
	}
	if a.Late > 0 {
		findings = append(findings, Finding{
			fmt.Sprintf("Someone is replaying: %s presented long after being rotated. Each ended its session.", count(a.Late, "spent token was", "spent tokens were")),
			"gptoauth events list --type token_reuse " + since + ", then gptoauth tokens trace with the session's id: was it stolen, or does a client restore an old backup?",
		})
	}
	if a.Replays > 0 {
		findings = append(findings, Finding{
			fmt.Sprintf("Someone is replaying: %s presented again. Each ended the session that it gave.", count(a.Replays, "spent code was", "spent codes were")),
			"gptoauth events list --type code_replay " + since + ": are codes in logs or Referer headers, or does a client send its callback twice?",
		})
	}
	if a.Retries >= retriesMatter && a.Retries*100 >= a.Refreshes*retriesPerHundred {
		findings = append(findings, Finding{
			fmt.Sprintf("%s on %s: answers get lost on the way to clients, or clients refresh in parallel. The grace period saves them.",
				count(a.Retries, "retry", "retries"), count(a.Refreshes, "refresh", "refreshes")),
			"Look for timeouts of proxies that are shorter than your server's, and for clients that do not share one refresh.",
		})
	}
	return findings
}
