package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

// give makes a file or folder the server's and returns who that is.
func give(t *testing.T, server *privatepg.Server, path string) *syscall.Credential {
	t.Helper()
	info, err := os.Stat(server.DataDir())
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Lchown(path, int(stat.Uid), int(stat.Gid)))
	return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
}

// startPooler starts PgBouncer before the server of the tests and returns the URL of a database through it.
func startPooler(t *testing.T, databaseURL, mode string) string {
	t.Helper()
	path, err := osexec.LookPath("pgbouncer")
	if err != nil {
		path, err = osexec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		t.Skip("pgbouncer is not installed (Debian: apt-get install pgbouncer): the pooler cannot be tested")
	}
	server, err := testServer()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	password, _ := u.User.Password()

	folder := filepath.Join(server.SocketDir(), newName("pooler"))
	require.NoError(t, os.Mkdir(folder, 0o700))
	owner := give(t, server, folder)
	_, port, _ := net.SplitHostPort(address)
	for name, content := range map[string]string{
		"users": fmt.Sprintf("\"postgres\" %q\n", password),
		"ini": fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir =\n"+
			"auth_type = plain\nauth_file = %s/users\npool_mode = %s\n", server.Port(), port, folder, mode),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600))
		give(t, server, filepath.Join(folder, name))
	}
	cmd := osexec.CommandContext(t.Context(), path, "--quiet", filepath.Join(folder, "ini"))
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = owner
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	u.Host = address
	return u.String()
}

func TestPoolersAreTold(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"session":     "something forwards the connection",
		"transaction": "transaction mode, which suits the store",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			databaseURL, _ := newDatabase(t)
			db := open(t, startPooler(t, databaseURL, mode))
			for range 3 {
				for id, result := range examined(t, Patient{DB: db}) {
					require.Equal(t, OK, result.Status, "%s: %+v", id, result)
					if id == "pooler" {
						require.Contains(t, result.Seen, want)
					}
				}
			}
		})
	}
	t.Run("statement", func(t *testing.T) {
		t.Parallel()
		databaseURL, _ := newDatabase(t)
		results := examined(t, Patient{DB: open(t, startPooler(t, databaseURL, "statement"))})
		requireFindings(t, results["pooler"], "no transaction can begin")
	})
	require.Contains(t, func() string { seen, _ := poolerFacts{port: 6543}.judge(); return seen }(), "transaction mode")
}

// turnOnTLS gives a server of the test's own a certificate for 127.0.0.1 and returns the file that verifies it.
func turnOnTLS(t *testing.T, server *privatepg.Server, db *bun.DB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	self := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, self, self, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	root := filepath.Join(t.TempDir(), "root.crt")
	for file, block := range map[string]*pem.Block{
		root: {Type: "CERTIFICATE", Bytes: certificate},
		filepath.Join(server.DataDir(), "server.crt"): {Type: "CERTIFICATE", Bytes: certificate},
		filepath.Join(server.DataDir(), "server.key"): {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
		if file != root {
			give(t, server, file)
		}
	}
	exec(t, db, "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
	return root
}

func TestTLSIsVerifiedOrAFinding(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	plain := open(t, server.URL("postgres"))
	root := turnOnTLS(t, server, plain)
	dsn := func(mode string) string {
		u, err := url.Parse(server.URL("postgres"))
		require.NoError(t, err)
		u.Host = fmt.Sprintf("127.0.0.1:%d", server.Port())
		u.RawQuery = url.Values{"sslmode": {mode}, "sslrootcert": {root}}.Encode()
		return u.String()
	}
	require.Eventually(t, func() bool {
		db, err := repo.Open(t.Context(), dsn("verify-full"), repo.PoolConfig{})
		if err == nil {
			_ = db.Close()
		}
		return err == nil
	}, time.Minute, 50*time.Millisecond)

	verified := examined(t, Patient{DB: open(t, dsn("verify-full"))})["tls"]
	require.Equal(t, OK, verified.Status)
	require.Contains(t, verified.Seen, "certificate verified")
	requireFindings(t, examined(t, Patient{DB: open(t, dsn("verify-ca"))})["tls"], "nobody verified that the certificate is for this server's name")
	require.Contains(t, examined(t, Patient{DB: plain})["tls"].Seen, "none, ")
}
