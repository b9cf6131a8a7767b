package conformance

import "testing"

// Run tests a subject.
func Run(t *testing.T, factory Factory) {
	t.Helper()
	t.Run("StateMachine", func(t *testing.T) {
		t.Parallel()
		testMachine(t, factory)
	})
	t.Run("Random", func(t *testing.T) {
		t.Parallel()
		testRandom(t, factory)
	})
	t.Run("Histories", func(t *testing.T) {
		t.Parallel()
		testHistories(t, factory)
	})
	t.Run("Schedules", func(t *testing.T) {
		t.Parallel()
		testSchedules(t, factory)
	})
	t.Run("Races", func(t *testing.T) {
		t.Parallel()
		testRaces(t, factory)
	})
}
