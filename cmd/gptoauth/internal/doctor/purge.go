package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	// overdueAfter is more than a janitor that runs every hour ever leaves.
	overdueAfter = 24 * time.Hour
	// countLimit: to know that there are many is enough, and cheap on any table.
	countLimit = 10_000
)

// Retention is how long rows are kept, as in [repo.JanitorConfig], with the same defaults. [repo.Off] is for ever.
type Retention struct {
	Codes, Sessions, Events time.Duration
}

func (r Retention) withDefaults() Retention {
	const day = 24 * time.Hour
	return Retention{cmp.Or(r.Codes, day), cmp.Or(r.Sessions, 30*day), cmp.Or(r.Events, 400*day)}
}

// leftover is a kind of rows, found by an index that the migrations make.
type leftover struct {
	one, many, table, query string
	keep                    time.Duration
}

func (r Retention) leftovers() []leftover {
	return []leftover{
		{"expired code", "expired codes", "public.gpt_authorization_codes", "SELECT FROM public.gpt_authorization_codes WHERE expires_at", r.Codes},
		{"ended session", "ended sessions", "public.gpt_sessions", "SELECT FROM public.gpt_sessions WHERE ended_at", r.Sessions},
		{"expired refresh token", "expired refresh tokens", "public.gpt_refresh_tokens", "SELECT FROM public.gpt_refresh_tokens WHERE revoked_at IS NULL AND expires_at", r.Sessions},
		{"event", "events", "public.gpt_oauth_events", "SELECT FROM public.gpt_oauth_events WHERE created_at", r.Events},
	}
}

func lookAtPurge(ctx context.Context, p *Patient) (string, []Finding, error) {
	var overdue []string
	err := p.read(ctx, func(tx bun.Tx) error {
		for _, l := range p.Retention.leftovers() {
			if l.keep == repo.Off {
				continue
			}
			n, err := l.count(ctx, tx)
			if err != nil {
				return err
			}
			if n > 0 {
				overdue = append(overdue, l.say(n))
			}
		}
		return nil
	})
	if err != nil || len(overdue) == 0 {
		return "nothing is overdue", nil, err
	}
	return strings.Join(overdue, ", "), []Finding{{
		"Nobody purges, or not enough. More than a day overdue: " + strings.Join(overdue, ", ") + ".",
		"gptoauth purge now, and repo.Janitor in your servers; if they are kept on purpose, say so with --codes, --sessions and --events.",
	}}, nil
}

// count asks for statement_timestamp, which an index can be searched for, and stops at the limit.
func (l leftover) count(ctx context.Context, tx bun.Tx) (n int, err error) {
	if err := canSee(ctx, tx, l.table); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM (? < statement_timestamp() - ? * interval '1 us' LIMIT ?) AS l",
		bun.Safe(l.query), (l.keep + overdueAfter).Microseconds(), countLimit).Scan(&n)
	return n, err
}

func (l leftover) say(n int) string {
	if n == countLimit {
		return fmt.Sprintf("at least %d %s", n, l.many)
	}
	return count(n, l.one, l.many)
}
