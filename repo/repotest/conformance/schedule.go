package conformance

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	pollPause    = time.Millisecond
	awaitTimeout = 30 * time.Second
)

// scheduled are the situations of the forced schedules, and the calls that are made there two at a time.
var scheduled = []struct {
	situation string
	calls     []string
	points    []lockPoint
}{
	{"issued", []string{"exchange", "exchange with another verifier", "end all", "end user"}, []lockPoint{codeRow}},
	{
		"rotated twice",
		[]string{
			"exchange", "rotate current", "rotate predecessor", "rotate oldest", "rotate current by another client",
			"revoke predecessor", "end", "end all", "end user",
		},
		[]lockPoint{codeRow, sessionRow, tokenRows},
	},
}

// lockPoint is where a call may have to wait for another: the rows of a person in one table.
type lockPoint struct{ name, query string }

var (
	codeRow    = lockPoint{"code", "SELECT 1 FROM public.gpt_authorization_codes WHERE clerk_user_id = ? FOR UPDATE"}
	sessionRow = lockPoint{"session", "SELECT 1 FROM public.gpt_sessions WHERE clerk_user_id = ? FOR UPDATE"}
	tokenRows  = lockPoint{"tokens", "SELECT 1 FROM public.gpt_refresh_tokens WHERE clerk_user_id = ? ORDER BY id FOR UPDATE"}
)

// testSchedules forces every pair of calls into the order that luck would seldom give: the second comes while the first
// is in a transaction that has not ended, or both come to a lock that someone else holds. No time is slept for: the
// database says who waits.
func testSchedules(t *testing.T, factory Factory) {
	subject := factory(t, usual)
	switch {
	case subject.clients() == 1:
		t.Skip("the subject has one client: Subject.Clients is 1")
	case subject.DB == nil:
		t.Skip("no lock can be held: Subject.DB is not set")
	}
	for _, s := range scheduled {
		t.Run(s.situation, func(t *testing.T) {
			schedules, waits := 0, 0
			forEachPair(s.calls, func(first, second string) {
				p := pair{subject: subject, situation: s.situation, names: [2]string{first, second}}
				p.runAll(t, s.points)
				schedules += p.schedules
				waits += p.waits
			})
			if waits == 0 {
				t.Error("no call has waited for another: the schedules show nothing")
			}
			t.Logf("%d schedules, in which %d calls waited for a lock", schedules, waits)
		})
	}
	checkInvariants(t, subject)
}

func forEachPair(names []string, f func(first, second string)) {
	for _, first := range names {
		for _, second := range names {
			f(first, second)
		}
	}
}

// pair is two calls for one family.
type pair struct {
	subject   Subject
	situation string
	names     [2]string

	client *client
	calls  [2]any

	schedules, waits int
}

func (p *pair) runAll(t *testing.T, points []lockPoint) {
	t.Helper()
	if p.subject.Begin != nil {
		p.run(t, "in a transaction that commits", func(ctx context.Context) error { return p.inTransaction(ctx, true) })
		p.run(t, "in a transaction that is rolled back", func(ctx context.Context) error { return p.inTransaction(ctx, false) })
	}
	for _, point := range points {
		p.run(t, "both at the "+point.name, func(ctx context.Context) error { return p.atLock(ctx, point) })
	}
}

func (p *pair) run(t *testing.T, how string, schedule func(ctx context.Context) error) {
	t.Helper()
	var err error
	if p.client, err = situationNamed(p.situation).begin(t.Context(), p.subject, &usual); err != nil {
		t.Fatal(err)
	}
	for n, name := range p.names {
		p.calls[n] = callNamed(name, p.client, p.client.person.families[0])
		if !can(p.subject.Store, p.calls[n]) {
			return
		}
	}
	p.schedules++
	if err := schedule(t.Context()); err != nil {
		t.Errorf("%s: %q and then %q, %s: %v", p.situation, p.names[0], p.names[1], how, err)
	}
}

// inTransaction makes the second call while the first is in an open transaction. If it waits, it must answer by what the
// first has done; if it does not, then the two must have nothing to do with each other.
func (p *pair) inTransaction(ctx context.Context, commit bool) error {
	store, tx, err := p.subject.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // ended below, unless there is an error already
	first, err := perform(ctx, store, p.calls[0])
	if err != nil {
		return err
	}
	second := p.start(ctx, p.calls[1])
	waited, err := p.await(ctx, 1, second)
	if err != nil {
		return err
	}
	end := tx.Rollback
	if commit {
		end = tx.Commit
	}
	if err := end(); err != nil {
		return err
	}
	answer, err := second.wait()
	if err != nil {
		return err
	}

	made := []step{{p.calls[0], first}, {p.calls[1], answer}}
	switch {
	case !commit:
		return p.explain(ctx, made[1:])
	case waited:
		return p.explain(ctx, made)
	default:
		if err := p.rehearse(made[1], made[0]); err != nil {
			return fmt.Errorf("it did not wait, and: %w", err)
		}
		return p.explain(ctx, made)
	}
}

// atLock makes both calls while someone else holds a lock, so that both wait for it, or one for the other.
func (p *pair) atLock(ctx context.Context, point lockPoint) error {
	holder, err := p.subject.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer holder.Rollback() //nolint:errcheck // it has changed nothing
	if _, err := holder.ExecContext(ctx, point.query, p.client.person.id); err != nil {
		return err
	}
	var pending [2]*pendingCall
	var waited [2]bool
	waiting := 0
	for i := range pending {
		pending[i] = p.start(ctx, p.calls[i])
		if waited[i], err = p.await(ctx, waiting+1, pending[i]); err != nil {
			return err
		}
		if waited[i] {
			waiting++
		}
	}
	if err := holder.Rollback(); err != nil {
		return err
	}
	var made []step
	for i := range pending {
		answer, err := pending[i].wait()
		if err != nil {
			return err
		}
		made = append(made, step{p.calls[i], answer})
	}
	if inOrder := p.rehearse(made...); inOrder != nil && waited[0] {
		slices.Reverse(made)
		if err := p.rehearse(made...); err != nil {
			return fmt.Errorf("no order explains it: %w; or %w", inOrder, err)
		}
	}
	return p.explain(ctx, made)
}

// step is a call with its answer.
type step struct{ call, answer any }

// rehearse takes steps on a copy of the model.
func (p *pair) rehearse(steps ...step) error {
	rehearsal := *p.client.person
	rehearsal.families = slices.Clone(rehearsal.families)
	for _, s := range steps {
		if err := rehearsal.step(s.call, s.answer); err != nil {
			return fmt.Errorf("%s: %w", describe(s.call), err)
		}
	}
	return nil
}

// explain takes steps, and compares what the store then says with the model.
func (p *pair) explain(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := p.client.person.step(s.call, s.answer); err != nil {
			return fmt.Errorf("%s: %w", describe(s.call), err)
		}
	}
	_, err := p.client.do(ctx, repo.SessionListParams{ClerkUserID: p.client.person.id})
	return err
}

// pendingCall is a call that is being made.
type pendingCall struct {
	done   chan struct{}
	answer any
	err    error
}

func (p *pair) start(ctx context.Context, call any) *pendingCall {
	pending := &pendingCall{done: make(chan struct{})}
	go func() {
		defer close(pending.done)
		pending.answer, pending.err = perform(ctx, p.subject.Store, call)
	}()
	return pending
}

func (c *pendingCall) wait() (any, error) {
	<-c.done
	return c.answer, c.err
}

// await returns when a call has been answered, or when so many calls wait for a lock, the last one for this call.
func (p *pair) await(ctx context.Context, waiting int, call *pendingCall) (waited bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	ticker := time.NewTicker(pollPause)
	defer ticker.Stop()
	for {
		n, err := waitingBackends(ctx, p.subject.DB)
		if err != nil {
			return false, err
		}
		if n >= waiting {
			p.waits++
			return true, nil
		}
		select {
		case <-call.done:
			return false, nil
		case <-ticker.C:
		}
	}
}

func waitingBackends(ctx context.Context, db bun.IDB) (int, error) {
	var n int
	err := db.QueryRowContext(ctx, `
		SELECT count(*) FROM pg_catalog.pg_stat_activity
		 WHERE datname = current_database() AND wait_event_type = 'Lock' AND backend_type = 'client backend'`).Scan(&n)
	return n, err
}
