package faulttest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

const (
	roundsVariable = "GPTOAUTH_FAULT_ROUNDS"
	seedVariable   = "GPTOAUTH_FAULT_SEED"

	usualRounds = 3
	longForm    = 20 // rounds of the long form, at least
)

// rounds is how often a test injects its fault.
func rounds(t testing.TB) int {
	t.Helper()
	text := os.Getenv(roundsVariable)
	switch {
	case text != "":
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s must be a number of rounds", roundsVariable)
		}
		return n
	case testing.Short():
		return 1
	default:
		return usualRounds
	}
}

// newSeed logs what the random choices of a test come from. How calls interleave is up to the machine, so that a seed gives
// the same choices again, but maybe not the same history.
func newSeed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s must be a number that a test has logged", seedVariable)
		}
	}
	t.Logf("the seed is %d: repeat with %s=%d", seed, seedVariable, seed)
	return seed
}
