package doctor

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
)

// asRole is the URL for a role whose password is not-secret.
func asRole(t *testing.T, databaseURL, role string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "not-secret")
	return u.String()
}

// databaseName is quoted nowhere: tests make plain names.
func databaseName(t *testing.T, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	return u.Path[1:]
}

func TestServersAreJudged(t *testing.T) {
	t.Parallel()
	_, findings := serverFacts{major: 13, version: "13.1"}.judge()
	require.Len(t, findings, 1)
	require.Contains(t, findings[0].Text, "PostgreSQL 13 gets no more security fixes")
	_, findings = serverFacts{major: 18, standby: true, readOnly: true}.judge()
	require.Len(t, findings, 1)
	require.Contains(t, findings[0].Text, "standby")

	databaseURL, db := newDatabase(t)
	exec(t, db, "ALTER DATABASE "+databaseName(t, databaseURL)+" SET default_transaction_read_only = on")
	requireOnly(t, examined(t, Patient{DB: open(t, databaseURL)}), "server", "Transactions are read-only by default")
}

func TestSettingsThatHurtAreFound(t *testing.T) {
	t.Parallel()
	databaseURL, db := newDatabase(t)
	name, role := databaseName(t, databaseURL), newName("app")
	exec(t, db, "CREATE ROLE "+role,
		"ALTER DATABASE "+name+" SET DateStyle = 'German, DMY'",
		"ALTER ROLE "+role+" IN DATABASE "+name+" SET standard_conforming_strings = off",
		"ALTER DATABASE "+name+" SET default_transaction_isolation = 'repeatable read'")
	result := examined(t, Patient{DB: open(t, databaseURL)})["settings"]
	requireFindings(t, result, "The database "+name+" sets DateStyle to German, DMY", "The database "+name+" sets default_transaction_isolation to repeatable read",
		"The role "+role+" in the database "+name+" sets standard_conforming_strings to off")
	for _, finding := range result.Findings {
		statement, _, _ := strings.Cut(finding.Fix, ";")
		exec(t, db, statement)
	}
	require.Equal(t, OK, examined(t, Patient{DB: open(t, databaseURL)})["settings"].Status)
}

// A connection can have what no ALTER has set: from postgresql.conf, or from the last client behind a pooler.
func TestSettingsOfTheConnectionAreFound(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	db.SetMaxOpenConns(1)
	exec(t, db, "SET DateStyle = 'German, DMY'")
	_, findings, err := lookAtSettings(t.Context(), &Patient{DB: db})
	require.NoError(t, err)
	require.Len(t, findings, 1)
	require.Contains(t, findings[0].Text, "This connection sets DateStyle to German, DMY")
}

func TestClocksAreCompared(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		now := func() time.Time { return time.Now().Add(skew) }
		way := "behind"
		if skew < 0 {
			way = "ahead of"
		}
		requireOnly(t, examined(t, Patient{DB: db, Now: now}), "clock", "The database's clock is 1h0m0s "+way+" that of this host")
	}
	_, findings := judgeSkew(3*time.Second, 2*time.Second)
	require.Empty(t, findings, "a slow answer proves nothing")
}

func TestRoomForConnectionsIsFound(t *testing.T) {
	t.Parallel()
	databaseURL, db := newDatabase(t)
	name := databaseName(t, databaseURL)
	exec(t, db, "ALTER DATABASE "+name+" CONNECTION LIMIT 5")
	requireOnly(t, examined(t, Patient{DB: db}), "connections", "The database "+name+" has ")
	_, findings := connectionFacts{room: 97, used: 80, limit: -1}.judge()
	require.Len(t, findings, 1)
	require.Contains(t, findings[0].Text, "80 of 97 connections are taken")
}

func TestFailoverIsJudged(t *testing.T) {
	t.Parallel()
	for text, f := range map[string]failoverFacts{
		"fsync is off":                {fullPages: true, commit: "on"},
		"full_page_writes is off":     {fsync: true, commit: "on"},
		"The standbys are not waited": {fsync: true, fullPages: true, commit: "on", standbys: 1},
		"no standby is connected":     {fsync: true, fullPages: true, commit: "on", synchronous: "*"},
	} {
		_, findings := f.judge()
		require.Len(t, findings, 1, text)
		require.Contains(t, findings[0].Text, text)
	}
	_, findings := failoverFacts{fsync: true, fullPages: true, commit: "on", synchronous: "*", standbys: 1}.judge()
	require.Empty(t, findings)
	_, findings = failoverFacts{fsync: true, fullPages: true, commit: "local", synchronous: "*", standbys: 1}.judge()
	require.Len(t, findings, 1)

	databaseURL, db := newDatabase(t)
	exec(t, db, "ALTER DATABASE "+databaseName(t, databaseURL)+" SET synchronous_commit = off")
	requireOnly(t, examined(t, Patient{DB: open(t, databaseURL)}), "failover", "synchronous_commit is off")
}

// What a server says of itself, with settings that only a restart changes.
func TestAServerWithoutFsync(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_connections": "8", "superuser_reserved_connections": "3", "max_wal_senders": "0",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	db := open(t, server.URL("postgres"))
	held, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer held.Close()
	another, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer another.Close()
	results := examined(t, Patient{DB: db})
	requireFindings(t, results["failover"], "fsync is off", "full_page_writes is off")
	requireFindings(t, results["autovacuum"], "Autovacuum is off")
	requireFindings(t, results["connections"], "of 5 connections are taken")
}

func TestPlainTextIsJudgedByWhereItGoes(t *testing.T) {
	t.Parallel()
	_, findings := judgePlain(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5432})
	require.Len(t, findings, 1)
	require.Contains(t, findings[0].Text, "not encrypted")
	for _, here := range []net.Addr{&net.TCPAddr{IP: net.IPv6loopback}, &net.UnixAddr{Name: "/s"}} {
		_, findings = judgePlain(here)
		require.Empty(t, findings)
	}
}
