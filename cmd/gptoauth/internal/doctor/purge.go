package doctor

import (
	"cmp"
	"context"
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

// Leftover is a kind of rows that the janitor deletes, found by an index that the migrations make.
type Leftover struct {
	One, Many string        // what they are called
	Table     string        // where they are
	Keep      time.Duration // how long they are kept; [repo.Off]: for ever

	over  string // the column that says since when they are over
	where string // what else the index asks for
}

// Leftovers are all kinds.
func (r Retention) Leftovers() []Leftover {
	r = r.withDefaults()
	return []Leftover{
		{"expired code", "expired codes", "public.gpt_authorization_codes", r.Codes, "expires_at", "TRUE"},
		{"ended session", "ended sessions", "public.gpt_sessions", r.Sessions, "ended_at", "ended_at IS NOT NULL"},
		{"expired refresh token", "expired refresh tokens", "public.gpt_refresh_tokens", r.Sessions, "expires_at", "revoked_at IS NULL"},
		{"event", "events", "public.gpt_oauth_events", r.Events, "created_at", "TRUE"},
	}
}

func lookAtPurge(ctx context.Context, p *Patient) (string, []Finding, error) {
	var overdue []string
	err := p.read(ctx, func(tx bun.Tx) error {
		for _, l := range p.Retention.Leftovers() {
			n, err := l.Overdue(ctx, tx)
			if err != nil {
				return err
			}
			if n > 0 {
				overdue = append(overdue, l.Say(n))
			}
		}
		return nil
	})
	if err != nil || len(overdue) == 0 {
		return "nothing is overdue", nil, err
	}
	return strings.Join(overdue, ", "), JudgeOverdue(overdue), nil
}

// JudgeOverdue says what is wrong where there are rows that are overdue, each kind as [Leftover.Say] words it.
func JudgeOverdue(overdue []string) []Finding {
	if len(overdue) == 0 {
		return nil
	}
	return []Finding{{
		"Nobody purges, or not enough. More than a day overdue: " + strings.Join(overdue, ", ") + ".",
		"gptoauth purge now, and repo.Janitor in your servers; if they are kept on purpose, say so with --codes, --sessions and --events.",
	}}
}

// Overdue counts the rows that should have been deleted a day ago. It asks for statement_timestamp, which an index can be
// searched for, and stops at the limit: see [Leftover.Say].
func (l Leftover) Overdue(ctx context.Context, tx bun.Tx) (n int, err error) {
	if l.Keep == repo.Off {
		return 0, nil
	}
	if err := CanSee(ctx, tx, l.Table); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT FROM ? WHERE ? AND ? < statement_timestamp() - ? * interval '1 us' LIMIT ?) AS l",
		bun.Safe(l.Table), bun.Safe(l.where), bun.Safe(l.over), (l.Keep + overdueAfter).Microseconds(), countLimit).Scan(&n)
	return n, err
}

// Oldest is when the row that is over for longest came to be so, or when the first will be; zero if there is none.
func (l Leftover) Oldest(ctx context.Context, tx bun.Tx) (time.Time, error) {
	if err := CanSee(ctx, tx, l.Table); err != nil {
		return time.Time{}, err
	}
	var oldest bun.NullTime
	err := tx.QueryRowContext(ctx, "SELECT min(?) FROM ? WHERE ?", bun.Safe(l.over), bun.Safe(l.Table), bun.Safe(l.where)).Scan(&oldest)
	return oldest.Time, err
}

// Uncounted says whether there may be more than Overdue has counted.
func Uncounted(n int) bool { return n == countLimit }

// Say words a number of rows.
func (l Leftover) Say(n int) string {
	if Uncounted(n) {
		return "at least " + count(n, l.One, l.Many)
	}
	return count(n, l.One, l.Many)
}
