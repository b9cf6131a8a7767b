// Package repotest helps to test programs that use package repo, against a real PostgreSQL.
//
//   - [Store] is a store inside a transaction that is rolled back when the test ends. It costs a few milliseconds, and any
//     number of such tests run in parallel. Use it for everything but races: inside one transaction nothing races.
//   - [DB] is a migrated database of the test's own, for what needs real commits. It costs about 0.1 s. If the test fails
//     it is kept and its name is logged; on a private server for ten minutes.
//   - [NewCode], [NewSession] and [NewUser] make what a test starts from, and [Age] travels in time: the store goes by the
//     database's clock, which no test can set, so that the rows are made older instead.
//
// The server is the one that the environment variable GPTOAUTH_TEST_DATABASE_URL names, which must allow CREATE DATABASE.
// If it is not set, the first test starts a private PostgreSQL, shares it with all test processes of this machine, and it
// stops when the last of them has ended. It uses PostgreSQL's programs if they are installed, and fetches them if not.
//
// Roles belong to a server and not to a database: a test that creates roles wants a server of its own.
package repotest
