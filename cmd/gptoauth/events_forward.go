package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	secretVariable = "GPTOAUTH_WEBHOOK_SECRET" //nolint:gosec // the name of a variable, and no secret

	firstRetry = time.Second
	maxRetry   = 5 * time.Minute
	maxWait    = time.Hour // whatever a receiver asks for
)

func (a *app) eventsForwardCommand() *cli.Command {
	return &cli.Command{
		Name:  "forward",
		Usage: "post events to a webhook as they come, none left out",
		Description: `Posts each event as a Standard Webhook (standardwebhooks.com), signed, oldest first, and tries until the receiver takes it:
after 1 s, then up to 5 min, or as long as Retry-After says. What was taken is noted in the file of --cursor, so that it goes
on where it stopped. The first time it begins now. A receiver may get an event twice after a crash, with the same webhook-id.
It ends when the receiver answers 410 Gone. One forwarder to a cursor.

The secret, whsec_ and base64, comes from ` + secretVariable + ` or --secret-file.

Examples:
  gptoauth events forward --webhook https://alerts.example.com/gptoauth --cursor /var/lib/gptoauth/cursor.json
  gptoauth events forward --webhook ... --cursor ... --type token_reuse --type user_erase
  gptoauth events forward --webhook ... --cursor ... --metrics 127.0.0.1:9187   # for Prometheus, with the rules in cmd/gptoauth/alerts.yml`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "webhook", Usage: "where to post, an https URL", Required: true},
			&cli.StringFlag{Name: "cursor", Usage: "the file that says what was posted", Required: true},
			&cli.StringFlag{Name: "secret-file", Usage: "the file that holds the secret to sign with"},
			&cli.StringSliceFlag{Name: "type", Usage: "events of this type; may be repeated", Value: []string{repo.EventTokenReuse, repo.EventCodeReplay}},
			&cli.BoolFlag{Name: "all", Usage: "events of all types"},
			&cli.DurationFlag{Name: "interval", Usage: "how often to look for events", Value: time.Second},
			&cli.StringFlag{Name: "metrics", Usage: "serve metrics for Prometheus on this address"},
		},
		Action: a.eventsForward,
	}
}

func (a *app) eventsForward(ctx context.Context, cmd *cli.Command) error {
	secret := a.getenv(secretVariable)
	if path := cmd.String("secret-file"); path != "" {
		text, err := os.ReadFile(path) //nolint:gosec // the path is the user's
		if err != nil {
			return err
		}
		secret = string(text)
	}
	hook, err := newWebhook(cmd.String("webhook"), secret)
	if err != nil {
		return err
	}
	store, err := a.store(ctx)
	if err != nil {
		return err
	}
	f := &forwarder{app: a, hook: hook, store: store, file: cmd.String("cursor"), retry: firstRetry}
	params := repo.FollowParams{Interval: cmd.Duration("interval")}
	if !cmd.Bool("all") {
		params.Filter.Types = cmd.StringSlice("type")
	}
	f.metrics = newForwardMetrics(params.Filter.Types)
	if address := cmd.String("metrics"); address != "" {
		stop, err := f.metrics.serve(ctx, address)
		if err != nil {
			return err
		}
		defer stop()
	}
	return f.run(ctx, params)
}

// forwarder posts events and notes which.
type forwarder struct {
	app     *app
	hook    *webhook
	store   *repo.Store
	file    string
	cursor  repo.FollowCursor
	metrics *forwardMetrics
	retry   time.Duration // the first pause
}

// run ends without an error when ctx does: it is meant to be stopped.
func (f *forwarder) run(ctx context.Context, params repo.FollowParams) (err error) {
	if err := f.load(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, saveCursor(f.file, f.cursor)) }() // time has settled, though there were no events
	params.Cursor = &f.cursor
	for event, err := range f.store.Events.Follow(ctx, params) {
		if err != nil {
			if failed, ok := errors.AsType[*repo.DatabaseError](err); !ok || failed.Effect == repo.Refused {
				return err
			}
			f.app.progressf("%v; trying again", err)
			continue
		}
		if err := f.deliver(ctx, newTrailEvent(event)); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		f.cursor.Done(event)
		if err := saveCursor(f.file, f.cursor); err != nil {
			return err
		}
	}
	return nil
}

// load reads the cursor, or begins one now and notes it, so that what happens from here on is not lost to a crash.
func (f *forwarder) load(ctx context.Context) error {
	found, err := loadCursor(f.file, &f.cursor)
	if err != nil || found {
		return err
	}
	if err := f.store.DB().QueryRowContext(ctx, "SELECT statement_timestamp()").Scan(&f.cursor.Settled); err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	f.cursor.Settled = f.cursor.Settled.UTC()
	return saveCursor(f.file, f.cursor)
}

// deliver tries until the receiver takes the event, is gone, or ctx ends.
func (f *forwarder) deliver(ctx context.Context, event trailEvent) error {
	pause := f.retry
	for attempt := 1; ; attempt++ {
		// An attempt is not cut short by ctx: the receiver might take the event, and get it again.
		err := f.hook.post(context.WithoutCancel(ctx), event, time.Now())
		f.metrics.attempted(event.Type, err)
		if err == nil {
			f.posted(event, attempt)
			return nil
		}
		if errors.Is(err, errGone) || ctx.Err() != nil {
			return err
		}
		wait := pause/2 + rand.N(pause) //nolint:gosec // jitter, not a secret
		if refused, ok := errors.AsType[*refusal](err); ok {
			wait = max(wait, min(refused.retryAfter, maxWait))
		}
		f.app.progressf("%s %s: %v; trying again in %s", printable(event.Type), event.ID, err, elapsed(wait))
		if !sleepFor(ctx, wait) {
			return ctx.Err()
		}
		pause = min(pause*2, maxRetry)
	}
}

// postedEvent is a line of --json.
type postedEvent struct {
	ID        uuid.UUID `json:"id"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	Attempts  int       `json:"attempts"`
}

func (f *forwarder) posted(event trailEvent, attempts int) {
	if f.app.json {
		_ = f.app.encoder().Encode(postedEvent{event.ID, event.Type, event.CreatedAt, attempts}) //nolint:errchkjson // checkedWriter remembers
		return
	}
	f.app.printf("%s  %s  %s  posted%s\n", timestamp(event.CreatedAt), printable(event.Type), event.ID, afterAttempts(attempts))
}

func afterAttempts(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" at attempt %d", n)
}

func sleepFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
