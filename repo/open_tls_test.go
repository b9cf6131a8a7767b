//go:build unix

package repo_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

// authority is a CA made for one test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), name+".crt")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &authority{certificate, key, file}
}

// issue returns a certificate and its key in PEM.
func (a *authority) issue(t *testing.T, commonName string, use x509.ExtKeyUsage, addresses ...net.IP) (cert, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  addresses,
		ExtKeyUsage:  []x509.ExtKeyUsage{use},
	}, a.certificate, key.Public(), a.key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// turnOnTLS gives a running server a certificate for 127.0.0.1, not for localhost.
func turnOnTLS(t *testing.T, server *privatepg.Server, ca *authority) {
	t.Helper()
	cert, key := ca.issue(t, "the server", x509.ExtKeyUsageServerAuth, net.IPv4(127, 0, 0, 1))
	root, err := os.ReadFile(ca.file)
	require.NoError(t, err)
	for name, content := range map[string][]byte{"server.crt": cert, "server.key": key, "root.crt": root} {
		file := filepath.Join(server.DataDir(), name)
		require.NoError(t, os.WriteFile(file, content, 0o600))
		giveToOwnerOf(t, server.DataDir(), file)
	}
	db := open(t, server.URL("postgres"), repo.PoolConfig{MaxConns: 1})
	for _, statement := range []string{
		"ALTER SYSTEM SET ssl_ca_file = 'root.crt'",
		"ALTER SYSTEM SET ssl = on",
		"SELECT pg_reload_conf()",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return queryText(t, db, "SHOW ssl") == "on" }, 10*time.Second, 10*time.Millisecond)
}

func TestOpen_TLS(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	ca, stranger := newAuthority(t, "ca"), newAuthority(t, "stranger")

	dsn := func(host string, parameters ...string) string {
		u, err := url.Parse(server.URL("postgres"))
		require.NoError(t, err)
		u.Host = net.JoinHostPort(host, u.Port())
		query := url.Values{}
		for i := 0; i < len(parameters); i += 2 {
			query.Set(parameters[i], parameters[i+1])
		}
		u.RawQuery = query.Encode()
		return u.String()
	}

	_, err = repo.Open(t.Context(), dsn("127.0.0.1", "sslmode", "require"), repo.PoolConfig{})
	require.ErrorContains(t, err, "SSL is not enabled on the server", "no TLS must not mean plain text")
	turnOnTLS(t, server, ca)

	const query = "SELECT coalesce((SELECT version || ' ' || coalesce(client_dn, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl), 'plain')"
	cert, key := ca.issue(t, "postgres", x509.ExtKeyUsageClientAuth)
	certFile, keyFile := filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "k")
	require.NoError(t, os.WriteFile(certFile, cert, 0o600))
	require.NoError(t, os.WriteFile(keyFile, key, 0o600))

	killer := open(t, dsn("127.0.0.1"), repo.PoolConfig{MaxConns: 1})
	for name, test := range map[string]struct{ dsn, want string }{
		"LocalHasNone":      {dsn("127.0.0.1"), "plain"},
		"Disable":           {dsn("localhost", "sslmode", "disable"), "plain"},
		"Require":           {dsn("localhost", "sslmode", "require"), "TLSv1.3 "},
		"RequireWithRoot":   {dsn("localhost", "sslmode", "require", "sslrootcert", ca.file), "TLSv1.3 "},
		"VerifyCA":          {dsn("localhost", "sslmode", "verify-ca", "sslrootcert", ca.file), "TLSv1.3 "},
		"VerifyFull":        {dsn("127.0.0.1", "sslmode", "verify-full", "sslrootcert", ca.file), "TLSv1.3 "},
		"ClientCertificate": {dsn("127.0.0.1", "sslmode", "verify-full", "sslrootcert", ca.file, "sslcert", certFile, "sslkey", keyFile), "TLSv1.3 /CN=postgres"},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, test.dsn, repo.PoolConfig{MaxConns: 1})
			for range 3 { // the look at the idle socket goes below TLS
				require.Equal(t, test.want, queryText(t, db, query))
			}
			require.Equal(t, 1, db.Stats().OpenConnections)

			pid := queryText(t, db, "SELECT pg_backend_pid()::text")
			require.Equal(t, "true", queryText(t, killer, "SELECT pg_terminate_backend(?::int, 10000)::text", pid))
			require.Equal(t, test.want, queryText(t, db, query), "a dead connection costs no error")
		})
	}

	for name, test := range map[string]struct{ dsn, hint string }{
		"WrongName":                {dsn("localhost", "sslmode", "verify-full", "sslrootcert", ca.file), "by a name that is in the certificate"},
		"UnknownCA":                {dsn("127.0.0.1", "sslmode", "verify-full", "sslrootcert", stranger.file), "sslrootcert or PGSSLROOTCERT (Supabase: "},
		"NotASystemCA":             {dsn("127.0.0.1", "sslmode", "verify-full", "sslrootcert", "system"), "sslrootcert or PGSSLROOTCERT (Supabase: "},
		"VerifyCAUnknownCA":        {dsn("127.0.0.1", "sslmode", "verify-ca", "sslrootcert", stranger.file), "sslrootcert or PGSSLROOTCERT (Supabase: "},
		"RequireWithRootUnknownCA": {dsn("127.0.0.1", "sslmode", "require", "sslrootcert", stranger.file), "sslrootcert or PGSSLROOTCERT (Supabase: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := repo.Open(t.Context(), test.dsn, repo.PoolConfig{})
			var unverified *tls.CertificateVerificationError
			require.ErrorAs(t, err, &unverified)
			require.ErrorContains(t, err, test.hint)
			u, parseErr := url.Parse(test.dsn)
			require.NoError(t, parseErr)
			password, _ := u.User.Password()
			require.NotContains(t, err.Error(), password)
		})
	}
}
