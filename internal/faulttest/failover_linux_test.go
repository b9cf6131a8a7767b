package faulttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

// lag is how long the write-ahead log takes to the standby.
const lag = 300 * time.Millisecond

// cluster is two servers, of which one is the primary. Clients reach it through a relay, as through an address that moves.
type cluster struct {
	primary, standby *privatepg.Server
	dsn              string // of the first primary: its password is everyone's
	relay            *relay
	address          string // the DSN that leads to whichever is the primary
	line             *toxiproxy.Proxy
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{primary: startServer(t, privatepg.Options{}), standby: startServer(t, privatepg.Options{})}
	c.dsn = databaseOf(c.primary)
	c.relay, c.address = startRelay(t, c.dsn)
	return c
}

// TestFailover kills the primary under load and promotes the standby.
func TestFailover(t *testing.T) {
	t.Parallel()
	// A COMMIT is acknowledged when the standby has it: what clients were told survives.
	t.Run("SynchronousLosesNothing", func(t *testing.T) {
		t.Parallel()
		c := startCluster(t)
		direct := openDirect(t, c.address)
		newCrowd(t, openStore(t, c.address, patient), crowdSize).suffer(t, direct, func(t *testing.T) {
			c.attach(t, direct, true)
			c.failOver(t)
		})
	})

	// A COMMIT is acknowledged before the standby has it: what clients were told in the last moments is lost, which the
	// comparison must find. What there is agrees with itself all the same: it is the state of a moment ago.
	t.Run("AsynchronousLosesTheLastMoments", func(t *testing.T) {
		t.Parallel()
		c := startCluster(t)
		direct := openDirect(t, c.address)
		store := openStore(t, c.address, patient)
		var total comparison
		for range rounds(t) {
			emptyTables(t, direct)
			crowd := newCrowd(t, store, crowdSize)
			crowd.losing = true
			crowd.during(t, func() {
				c.attach(t, direct, false)
				<-time.After(2 * lag)
				c.failOver(t)
			})
			found, err := crowd.compare(t.Context(), direct)
			require.NoError(t, err)
			require.Empty(t, found.contradictions)
			t.Logf("%s; with a lag of %v, lost: %d sessions, %d generations of others, %d ends of sessions; clients say: %v", crowd, lag,
				len(found.lostSessions), len(found.lostTokens), len(found.revived), kinds(crowd.violations()))
			total.lostSessions = append(total.lostSessions, found.lostSessions...)
			total.lostTokens = append(total.lostTokens, found.lostTokens...)
			total.revived = append(total.revived, found.revived...)
		}
		require.NotEmpty(t, total.lostTokens, "the test cannot tell right from wrong")
	})
}

// kinds counts what clients say, without where.
func kinds(violations []string) map[string]int {
	n := make(map[string]int)
	for _, v := range violations {
		_, what, _ := strings.Cut(v, ": ")
		n[what]++
	}
	return n
}

// attach makes the other server a standby of the primary, and waits until it follows.
func (c *cluster) attach(t *testing.T, direct *repo.Store, synchronous bool) {
	t.Helper()
	require.NoError(t, c.standby.StopImmediate(t.Context()))
	require.NoError(t, os.RemoveAll(c.standby.DataDir()))
	line, dsn := poison(t, c.dsnOf(t, c.primary))
	c.line = line
	backup := asOwner(t, c.primary, program(c.primary, "pg_basebackup"), "--pgdata="+c.standby.DataDir(), "--dbname="+dsn,
		"--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync")
	output, err := backup.CombinedOutput()
	require.NoError(t, err, string(output))
	c.configure(t)
	require.NoError(t, c.standby.StartAgain(t.Context()))

	_, err = line.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"type": "latency", "stream": "downstream", "attributes": {"latency": %d}}`, c.latency(synchronous).Milliseconds())))
	require.NoError(t, err)
	names := ""
	if synchronous {
		names = "*"
	}
	_, err = direct.DB().ExecContext(t.Context(), "ALTER SYSTEM SET synchronous_standby_names = ?", names)
	require.NoError(t, err)
	_, err = direct.DB().ExecContext(t.Context(), "SELECT pg_reload_conf()")
	require.NoError(t, err)
	// From the moment that COMMITs wait for the standby, not when it counts as synchronous: the checkpointer has to learn of that.
	if synchronous {
		c.await(t, direct, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')")
	}
	var written string
	require.NoError(t, direct.DB().QueryRowContext(t.Context(), "SELECT pg_current_wal_insert_lsn()::text").Scan(&written))
	c.await(t, direct, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn >= ?)", written)
}

func (*cluster) await(t *testing.T, direct *repo.Store, query string, args ...any) {
	t.Helper()
	require.Eventually(t, func() bool {
		var yes bool
		require.NoError(t, direct.DB().QueryRowContext(t.Context(), query, args...).Scan(&yes))
		return yes
	}, time.Minute, 10*time.Millisecond, "the standby does not follow")
}

// latency is less where clients wait for it.
func (*cluster) latency(synchronous bool) time.Duration {
	if synchronous {
		return lag / 10
	}
	return lag
}

// configure changes what the standby has from its primary and must not.
func (c *cluster) configure(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(c.standby.DataDir(), "postgresql.auto.conf"), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	defer file.Close()
	_, err = fmt.Fprintf(file, "port = %d\nunix_socket_directories = '%s'\nsynchronous_standby_names = ''\n", c.standby.Port(), c.standby.SocketDir())
	require.NoError(t, err)
}

// failOver kills the primary, promotes the standby and leads the clients there.
func (c *cluster) failOver(t *testing.T) {
	t.Helper()
	require.NoError(t, c.primary.Kill())
	c.line.Stop() // what is on the way is lost with the machine
	promote := asOwner(t, c.standby, program(c.standby, "pg_ctl"), "promote", "--pgdata="+c.standby.DataDir(), "--wait", "--timeout=120")
	output, err := promote.CombinedOutput()
	require.NoError(t, err, string(output))
	c.primary, c.standby = c.standby, c.primary
	c.relay.turnTo(hostOf(t, c.dsnOf(t, c.primary)))
}

// dsnOf is the DSN of a server with the password of the first primary.
func (c *cluster) dsnOf(t testing.TB, server *privatepg.Server) string {
	t.Helper()
	return strings.Replace(c.dsn, hostOf(t, c.dsn), hostOf(t, databaseOf(server)), 1)
}
