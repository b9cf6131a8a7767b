package faulttest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	crowdSize = 16

	// roundTimeout is for a round on a machine that does much else. Reaching it is a violation.
	roundTimeout = 5 * time.Minute
)

// crowd is the clients of one test.
type crowd struct {
	clients []*client
	rounds  int
	checks  int

	// losing: that something is lost is expected and measured, so that what a client has complained of counts too.
	losing bool
}

func newCrowd(t testing.TB, store *repo.Store, size int) *crowd {
	t.Helper()
	c := &crowd{}
	seed := newSeed(t)
	for i := range size {
		c.clients = append(c.clients, newClient(store, seed, uint64(i)))
	}
	return c
}

// during lets the clients work while the fault lasts, and returns when each of them has worked before it and after it.
func (c *crowd) during(t testing.TB, fault func()) {
	t.Helper()
	c.rounds++
	ctx, cancel := context.WithTimeout(t.Context(), roundTimeout)
	defer cancel()
	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, client := range c.clients {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					client.stepAnew(ctx)
				}
			}
		})
	}
	finish := sync.OnceFunc(func() {
		close(stop)
		group.Wait()
	})
	defer finish() // whatever the fault does to the test

	c.awaitSteps(ctx, t, 3)
	fault()
	c.awaitSteps(ctx, t, 3)
	finish()
}

// stepAnew leaves a session behind of which something wrong was told.
func (c *client) stepAnew(ctx context.Context) {
	if c.session != nil && c.session.broken {
		c.session = nil
	}
	if ctx.Err() == nil {
		c.step(ctx)
	}
}

// awaitSteps waits until each client has done so many things more.
func (c *crowd) awaitSteps(ctx context.Context, t testing.TB, more int64) {
	t.Helper()
	goals := make([]int64, len(c.clients))
	for i, client := range c.clients {
		goals[i] = client.steps.Load() + more
	}
	for i, client := range c.clients {
		for client.steps.Load() < goals[i] {
			select {
			case <-ctx.Done():
				t.Error("a client came to a standstill")
				return
			case <-time.After(time.Millisecond):
			}
		}
	}
}

// sum adds up a number of all clients.
func (c *crowd) sum(of func(*client) int) int {
	total := 0
	for _, client := range c.clients {
		total += of(client)
	}
	return total
}

// failures is how many calls the store has given up.
func (c *crowd) failures() int {
	return c.sum(func(c *client) int { return int(c.failures.Load()) })
}

func (c *crowd) violations() []string {
	var all []string
	for _, client := range c.clients {
		all = append(all, client.violations...)
	}
	return all
}

func (c *crowd) String() string {
	return fmt.Sprintf("%d rounds, %d calls, %d sessions, %d rotations, %d sign-outs, %d calls given up by the store, %d sign-ins begun anew, %d checks, %d violations",
		c.rounds, c.sum(func(c *client) int { return int(c.calls.Load()) }), c.sum(func(c *client) int { return len(c.sessions) }),
		c.sum(func(c *client) int { return c.rotations }), c.sum(func(c *client) int { return c.signOuts }),
		c.failures(), c.sum(func(c *client) int { return c.restarts }),
		c.checks, len(c.violations()))
}

// suffer has the clients work through rounds of a fault, and compares after each.
func (c *crowd) suffer(t *testing.T, direct *repo.Store, fault func(t *testing.T)) {
	t.Helper()
	defer func() { t.Log(c) }()
	for range rounds(t) {
		c.during(t, func() { fault(t) })
		found, err := c.compare(t.Context(), direct)
		require.NoError(t, err)
		require.Empty(t, c.violations())
		require.Empty(t, found.all())
		if c.clients[0].timeout == longRequest {
			require.Zero(t, c.failures(), "the fault was shorter than a request may take, and yet a call was given up")
		}
		require.False(t, t.Failed())
	}
}

// sufferUntilCaught has naive clients work through the same fault until the comparison finds them out.
func (c *crowd) sufferUntilCaught(t *testing.T, direct *repo.Store, fault func(t *testing.T)) {
	t.Helper()
	const enough = 100 // after how many it is caught is chance
	defer func() { t.Log(c) }()
	for range enough {
		c.during(t, func() { fault(t) })
		found, err := c.compare(t.Context(), direct)
		require.NoError(t, err)
		if wrong := append(c.violations(), found.all()...); len(wrong) > 0 {
			t.Logf("caught after %d rounds: %d violations, such as: %s", c.rounds, len(wrong), wrong[0])
			return
		}
	}
	t.Errorf("a naive store came through %d rounds: the test cannot tell right from wrong", enough)
}
