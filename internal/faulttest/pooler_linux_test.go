package faulttest

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

const (
	pooledClients     = 64
	serverConnections = 4
)

// pooler is PgBouncer in transaction mode before a server.
type pooler struct {
	server *privatepg.Server
	path   string
	folder string
	dsn    string
	cmd    *exec.Cmd
	output bytes.Buffer
}

// startPooler skips the test where there is no PgBouncer.
func startPooler(t *testing.T, server *privatepg.Server) *pooler {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		t.Skip("pgbouncer is not installed (Debian: apt-get install pgbouncer): the pooler cannot be tested")
	}
	u, err := url.Parse(databaseOf(server))
	require.NoError(t, err)
	password, _ := u.User.Password()

	p := &pooler{server: server, path: path, folder: filepath.Join(server.SocketDir(), "pooler")}
	require.NoError(t, os.Mkdir(p.folder, 0o700))
	u.Host = freeAddress(t)
	p.dsn = u.String()
	_, port, _ := net.SplitHostPort(u.Host)
	p.write(t, "users", fmt.Sprintf("\"postgres\" %q\n", password))
	p.write(t, "pgbouncer.ini", fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = plain
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = 1000
server_login_retry = 1
`, server.Port(), port, filepath.Join(p.folder, "users"), serverConnections))
	giveToOwner(t, server, p.folder)
	t.Cleanup(p.kill)
	p.start(t)
	return p
}

func (p *pooler) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(p.folder, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	giveToOwner(t, p.server, path)
}

// start is given the test that began it, whose end is the pooler's.
func (p *pooler) start(t *testing.T) {
	t.Helper()
	p.cmd = asOwner(t, p.server, p.path, "--quiet", filepath.Join(p.folder, "pgbouncer.ini"))
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	p.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // it does not outlive the test, however that ends
	p.cmd.Stderr = &p.output
	require.NoError(t, p.cmd.Start())
	address := hostOf(t, p.dsn)
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

func (p *pooler) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// TestPooler leads 64 clients over 4 connections of the server. Each answer is the client's own, which the clients see to
// themselves, and nothing of a client stays on a connection for the next.
func TestPooler(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	direct := openDirect(t, databaseOf(server))
	pooler := startPooler(t, server)
	store := openPool(t, pooler.dsn, patient, repo.PoolConfig{MaxConns: pooledClients, ApplicationName: crowdName})

	for _, fault := range []struct {
		name    string
		inflict func(t *testing.T)
	}{
		{"NothingBreaks", func(t *testing.T) {
			connections := 0
			require.NoError(t, direct.DB().QueryRowContext(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE application_name = ?", crowdName).Scan(&connections))
			require.Equal(t, serverConnections, connections, "it is not a pool of 4 that the clients share")
		}},
		{"ThePoolerIsKilled", func(*testing.T) {
			pooler.kill()
			pooler.start(t)
		}},
		{"TheServerStopsAtOnce", func(t *testing.T) {
			require.NoError(t, server.StopImmediate(t.Context()))
			require.NoError(t, server.StartAgain(t.Context()))
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			emptyTables(t, direct)
			newCrowd(t, store, pooledClients).suffer(t, direct, fault.inflict)
			require.Empty(t, leftovers(t, store))
		})
	}

	t.Run("ALeakIsSeen", func(t *testing.T) {
		for _, statement := range []string{"SET statement_timeout = '1h'", "PREPARE mine AS SELECT 1", "SELECT pg_advisory_lock(1)", "CREATE TEMPORARY TABLE mine ()"} {
			_, err := store.DB().ExecContext(t.Context(), statement)
			require.NoError(t, err)
			require.NotEmpty(t, leftovers(t, store), statement)
			_, err = direct.DB().ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ?", crowdName)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				_, err := store.DB().ExecContext(t.Context(), "SELECT 1")
				return err == nil
			}, time.Minute, 10*time.Millisecond)
		}
	})
}

// leftovers looks at every connection to the server for what one client would leave to the next. To be sure that it sees
// them all it begins as many transactions at the same time.
func leftovers(t *testing.T, store *repo.Store) (found []string) {
	t.Helper()
	var open []bun.Tx
	pids := map[int]bool{}
	defer func() {
		for _, tx := range open {
			_ = tx.Rollback()
		}
	}()
	for range serverConnections {
		tx, err := store.DB().BeginTx(t.Context(), nil)
		require.NoError(t, err)
		open = append(open, tx)
		var pid int
		var left []string
		require.NoError(t, tx.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
		pids[pid] = true
		// What PgBouncer itself keeps in step for each client is no leftover.
		require.NoError(t, tx.NewRaw(`
			SELECT name || ' = ' || setting FROM pg_settings
			 WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')
			UNION ALL SELECT 'prepared statement ' || name FROM pg_prepared_statements
			UNION ALL SELECT 'cursor ' || name FROM pg_cursors
			UNION ALL SELECT 'advisory lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
			UNION ALL SELECT 'temporary table ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'
			UNION ALL SELECT 'channel ' || c FROM pg_listening_channels() AS c`).Scan(t.Context(), &left))
		found = append(found, left...)
	}
	require.Len(t, pids, serverConnections)
	return found
}
