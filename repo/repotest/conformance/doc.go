// Package conformance tests stores of authorization codes, refresh tokens and sessions: a [repo.Store] over any driver,
// behind a pooler or on any cluster, and through an adapter anything else that claims the same. The claim is that a code
// is spent once, a rotated token buys nothing twice, an ended session stays ended, what was acknowledged is there, and a
// client that lost an answer gets it again.
//
//	func TestStore(t *testing.T) {
//		conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
//			return conformance.Of(repotest.CommittingStore(t, config, 16))
//		})
//	}
//
// [Run] has five parts, each with a subject of its own:
//
//   - StateMachine makes every call in every situation that a code and its session can be in, and compares outcome,
//     session and events with a table (table.go).
//   - Random makes sequences of calls of several clients, lets time pass and loses answers, and compares each answer with
//     a model in memory (model.go). A sequence that fails is shrunk, and printed with its seed (pgregory.net/rapid).
//   - Schedules forces each pair of calls into each order: the second comes while the first is in an open transaction, or
//     both wait for a lock that the kit holds. The database says who waits; nothing depends on luck or on sleeping.
//   - Races makes the same calls at the same moment by all clients, and then tries every token that any of them was given.
//   - Histories lets a crowd of clients call what they like.
//
// The calls of Races and Histories are recorded with their times, and each session's history must be linearizable: the
// answers are those of the model for some order that is not against time (github.com/anishathalye/porcupine). [Record]
// does this for tests of your own, of what happens under faults for one: calls that failed may or may not have happened.
// After each part every row of the database is checked for contradictions, as gptoauth doctor --invariants does, and every
// token that was given is looked for.
//
// Random, Races and Histories take 4 seconds each. GPTOAUTH_CONFORMANCE_TIME gives each a longer time, such as 1h; raise
// go test's -timeout with it. Seeds are logged: GPTOAUTH_CONFORMANCE_SEED repeats those of Histories, -rapid.seed those of
// Random.
package conformance
