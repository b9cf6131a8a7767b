// Package faulttest breaks what is around the store while sixteen clients use it, and then compares what they were told with
// what is in the database. It consists of tests only.
//
// A crowd of honest clients signs in, refreshes (two requests at once and late repetitions among them), and signs out. Each
// keeps what it was told. A round breaks something while they work, mends it, lets each of them work on, and compares:
// everything acknowledged is there, nothing happened twice, no one was taken for a thief, and the invariants hold. Where an
// answer can get lost, a naive store does the same under the same fault, and the comparison must find it out.
//
//	go test ./internal/faulttest                            # 3 rounds of each fault
//	GPTOAUTH_FAULT_ROUNDS=20 go test -timeout 2h ./internal/faulttest
//
// Some tests need more than PostgreSQL, and say so when they skip: the right to mount a tmpfs, the program pgbouncer, the
// library libfaketime. CI has them all.
package faulttest
