package conformance

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

const (
	timeVariable = "GPTOAUTH_CONFORMANCE_TIME"
	seedVariable = "GPTOAUTH_CONFORMANCE_SEED"

	usualTime = 4 * time.Second
)

// effort is how long each test goes on that has no end of its own.
func effort(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv(timeVariable)
	if text == "" {
		return usualTime
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s must be a duration such as 10m", timeVariable)
	}
	return d
}

// seeded returns random numbers and logs what they come from. How calls interleave is up to the machine, so that a seed
// gives the same calls again but maybe not the same history.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64() //nolint:gosec // not a secret
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s must be a number that a run has logged", seedVariable)
		}
	}
	t.Logf("the seed is %d: repeat with %s=%d", seed, seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // not a secret
}
