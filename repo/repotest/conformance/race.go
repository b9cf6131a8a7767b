package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gptoauth/gptoauth/repo"
)

// races are calls that are made at the same moment by all clients, who take turns in the list.
var races = []struct {
	name      string
	situation string
	calls     []string
}{
	{"a code is spent once", "issued", []string{"exchange"}},
	{"parallel refreshes get the same successor", "exchanged", []string{"rotate current"}},
	{"parallel retries get the same successor", "rotated", []string{"rotate predecessor"}},
	{"no session outlives the withdrawal of its code", "issued", []string{"end all", "exchange"}},
	{"no session outlives its person", "issued", []string{"end user", "exchange"}},
	{"no token outlives the end", "rotated twice", []string{"rotate current", "end", "rotate current", "rotate current"}},
	{"no token outlives the end of all", "rotated twice", []string{"rotate current", "end all", "rotate current", "rotate current"}},
	{"no token outlives its person", "rotated twice", []string{"rotate current", "end user", "rotate current", "rotate current"}},
	{"no token outlives its revocation", "rotated twice", []string{"rotate current", "revoke predecessor", "rotate current", "rotate current"}},
	{"no token outlives reuse", "rotated twice", []string{"rotate current", "rotate oldest", "rotate current", "rotate current"}},
	{"no token outlives a replay", "rotated twice", []string{"rotate current", "exchange", "rotate current", "rotate current"}},
}

// testRaces makes the same calls again and again by many clients at the same moment, and afterwards tries every token that
// anyone was given. All answers must be those of some order.
func testRaces(t *testing.T, factory Factory) {
	subject := factory(t, timeless)
	if subject.clients() == 1 {
		t.Skip("the subject has one client: Subject.Clients is 1")
	}
	share := effort(t) / time.Duration(len(races))
	for _, race := range races {
		t.Run(race.name, func(t *testing.T) {
			deadline := time.Now().Add(share)
			rounds := 0
			for ; rounds < 3 || time.Now().Before(deadline); rounds++ {
				if err := runRace(t.Context(), subject, race.situation, race.calls); err != nil {
					t.Fatalf("round %d: %v", rounds, err)
				}
			}
			t.Logf("%d rounds of %d clients", rounds, subject.clients())
		})
	}
	checkInvariants(t, subject)
}

func runRace(ctx context.Context, subject Subject, situation string, names []string) error {
	recorder := Record(subject.Store, timeless)
	recorded := subject
	recorded.Store = recorder
	c, err := situationNamed(situation).begin(ctx, recorded, &timeless)
	if err != nil {
		return err
	}
	var racing []any
	for i := range subject.clients() {
		call := callNamed(names[i%len(names)], c, c.person.families[0])
		if can(subject.Store, call) {
			racing = append(racing, call)
		}
	}
	if err := atOnce(ctx, recorder, racing); err != nil {
		return err
	}

	// What anyone holds is looked at and then tried.
	tokens := recorder.Acknowledged()
	var afterwards []any
	for _, token := range tokens {
		afterwards = append(afterwards, lookup{token})
	}
	afterwards = append(afterwards, repo.SessionListParams{ClerkUserID: c.person.id})
	for _, token := range tokens {
		afterwards = append(afterwards, repo.RotateParams{RefreshToken: token, ClientID: consent.ClientID})
	}
	for _, call := range afterwards {
		if !can(subject.Store, call) {
			continue
		}
		if _, err := recorder.do(ctx, call); err != nil {
			return fmt.Errorf("%s: %w", describe(call), err)
		}
	}
	if subject.DB != nil {
		if err := checkAcknowledged(ctx, subject.DB, tokens); err != nil {
			return err
		}
	}
	return recorder.Check()
}

// atOnce makes calls in goroutines that start together.
func atOnce(ctx context.Context, recorder *Recorder, racing []any) error {
	errs := make([]error, len(racing))
	var ready, done sync.WaitGroup
	ready.Add(len(racing))
	start := make(chan struct{})
	for i, call := range racing {
		done.Go(func() {
			ready.Done()
			<-start
			_, errs[i] = recorder.do(ctx, call)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return errors.Join(errs...)
}
