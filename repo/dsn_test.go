package repo

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeEnvironment is one without files and sockets.
func fakeEnvironment(variables map[string]string) environment {
	return environment{
		getenv:   func(name string) string { return variables[name] },
		readFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		exists:   func(string) bool { return false },
		osUser:   func() string { return "login" },
	}
}

func TestParseDSN(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dsn  string
		env  map[string]string
		want target // tls is compared by verified only
		full bool   // verify-full
	}{
		"Whole": {
			dsn:  "postgres://ann:pw@db.example.com:6000/auth?sslmode=verify-full&application_name=x&connect_timeout=7",
			want: target{"tcp", "db.example.com:6000", "ann", "pw", "auth", "x", 7 * time.Second, nil}, full: true,
		},
		"PostgresqlScheme": {
			dsn:  "postgresql://ann:pw@db.example.com/auth",
			want: target{network: "tcp", addr: "db.example.com:5432", user: "ann", password: "pw", database: "auth"}, full: true,
		},
		"SupabaseDirect": {
			dsn:  "postgres://postgres:pw@db.abcdefghij.supabase.co:5432/postgres",
			want: target{network: "tcp", addr: "db.abcdefghij.supabase.co:5432", user: "postgres", password: "pw", database: "postgres"}, full: true,
		},
		"SupabaseSessionPooler": {
			dsn:  "postgres://postgres.abcdefghij:pw@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
			want: target{network: "tcp", addr: "aws-0-eu-central-1.pooler.supabase.com:5432", user: "postgres.abcdefghij", password: "pw", database: "postgres"}, full: true,
		},
		"SupabaseTransactionPooler": {
			dsn:  "postgres://postgres.abcdefghij:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1&supa=base-pooler.x",
			want: target{network: "tcp", addr: "aws-0-eu-central-1.pooler.supabase.com:6543", user: "postgres.abcdefghij", password: "pw", database: "postgres"}, full: true,
		},
		"SocketAsParameter": {
			dsn:  "postgres:///auth?host=/var/run/postgresql&port=5433&user=ann",
			want: target{network: "unix", addr: "/var/run/postgresql/.s.PGSQL.5433", user: "ann", database: "auth"},
		},
		"SocketAsEncodedHost": {
			dsn:  "postgres://ann@%2Fvar%2Frun%2Fpostgresql/auth",
			want: target{network: "unix", addr: "/var/run/postgresql/.s.PGSQL.5432", user: "ann", database: "auth"},
		},
		"SocketHasNoTLSWhateverTheMode": {
			dsn:  "postgres:///auth?host=/s&sslmode=verify-full",
			want: target{network: "unix", addr: "/s/.s.PGSQL.5432", user: "login", database: "auth"},
		},
		"IPv6": {
			dsn:  "postgres://ann:pw@[2001:db8::1]:6000/auth",
			want: target{network: "tcp", addr: "[2001:db8::1]:6000", user: "ann", password: "pw", database: "auth"}, full: true,
		},
		"LoopbackIPv6": {
			dsn:  "postgres://ann@[::1]/auth",
			want: target{network: "tcp", addr: "[::1]:5432", user: "ann", database: "auth"},
		},
		"LoopbackIPv4": {
			dsn:  "postgres://ann@127.8.9.1/auth",
			want: target{network: "tcp", addr: "127.8.9.1:5432", user: "ann", database: "auth"},
		},
		"LocalhostWithTLSAskedFor": {
			dsn:  "postgres://ann@LocalHost/auth?sslmode=verify-full",
			want: target{network: "tcp", addr: "LocalHost:5432", user: "ann", database: "auth"}, full: true,
		},
		"CertificatesForOtherServers": {
			dsn:  "postgres://ann@localhost/auth",
			env:  map[string]string{"PGSSLROOTCERT": "/root.crt", "PGSSLCERT": "/cert"},
			want: target{network: "tcp", addr: "localhost:5432", user: "ann", database: "auth"},
		},
		"DisabledByRequest": {
			dsn:  "postgres://ann@db.example.com/auth?sslmode=disable",
			want: target{network: "tcp", addr: "db.example.com:5432", user: "ann", database: "auth"},
		},
		"EncodedPassword": {
			dsn:  "postgres://a%40n:%3A%2F%3F%23%5B%5D%40%25+%20@localhost/a%2Fb",
			want: target{network: "tcp", addr: "localhost:5432", user: "a@n", password: ":/?#[]@%+ ", database: "a/b"},
		},
		"PasswordWithAtColonAndHash": {
			dsn:  "postgres://ann:p@s:s#w@localhost/auth",
			want: target{network: "tcp", addr: "localhost:5432", user: "ann", password: "p@s:s#w", database: "auth"},
		},
		"LineBreakAfterIt": {
			dsn:  "postgres://ann@localhost/auth\n",
			want: target{network: "tcp", addr: "localhost:5432", user: "ann", database: "auth"},
		},
		"HarmlessParameters": {
			dsn:  "postgres://ann@localhost/auth?target_session_attrs=any&client_encoding=UTF8&channel_binding=prefer&gssencmode=disable",
			want: target{network: "tcp", addr: "localhost:5432", user: "ann", database: "auth"},
		},
		"KeyValues": {
			dsn:  `host=localhost port = 6000 user='an n' password='it\'s a \\' dbname=au\ th`,
			want: target{network: "tcp", addr: "localhost:6000", user: "an n", password: `it's a \`, database: "au th"},
		},
		"KeyValuesWithURLInside": {
			dsn:  `password=postgres://x host=localhost user=''`,
			want: target{network: "tcp", addr: "localhost:5432", user: "login", password: "postgres://x", database: "login"},
		},
		"NothingAtAll": {
			want: target{network: "tcp", addr: "localhost:5432", user: "login", database: "login"},
		},
		"EnvironmentAlone": {
			env: map[string]string{
				"PGHOST": "db.example.com", "PGPORT": "6000", "PGUSER": "ann", "PGPASSWORD": "pw", "PGDATABASE": "auth",
				"PGSSLMODE": "verify-full", "PGAPPNAME": "x", "PGCONNECT_TIMEOUT": "3", "PGOPTIONS": "-c ignored=1",
			},
			want: target{"tcp", "db.example.com:6000", "ann", "pw", "auth", "x", 3 * time.Second, nil}, full: true,
		},
		"EnvironmentFillsIn": {
			dsn:  "postgres://ann@db.example.com/?sslmode=verify-full",
			env:  map[string]string{"PGHOST": "other", "PGPORT": "6000", "PGUSER": "bob", "PGPASSWORD": "pw", "PGDATABASE": "auth", "PGSSLMODE": "disable"},
			want: target{network: "tcp", addr: "db.example.com:6000", user: "ann", password: "pw", database: "auth"}, full: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseDSN(test.dsn, fakeEnvironment(test.env))
			require.NoError(t, err)
			config := got.tls
			got.tls = nil
			require.Equal(t, test.want, *got)
			if !test.full {
				require.Nil(t, config)
				return
			}
			require.False(t, config.InsecureSkipVerify)
			require.Equal(t, uint16(tls.VersionTLS12), config.MinVersion)
			host, _, err := net.SplitHostPort(test.want.addr)
			require.NoError(t, err)
			require.Equal(t, host, config.ServerName)
		})
	}
}

func TestParseDSN_LocalServer(t *testing.T) {
	t.Parallel()
	env := fakeEnvironment(map[string]string{"PGPORT": "6000"})
	env.exists = func(path string) bool { return path == "/tmp/.s.PGSQL.6000" }
	got, err := parseDSN("", env)
	require.NoError(t, err)
	require.Equal(t, &target{network: "unix", addr: "/tmp/.s.PGSQL.6000", user: "login", database: "login"}, got)
}

// hidden stands in each refused DSN where a password, or a part of one, may come to stand.
const hidden = "hunter2"

func TestParseDSN_Refused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dsn       string
		env       map[string]string
		parameter string
		rule      string
	}{
		"OtherScheme":        {"mysql://ann:hunter2@h/auth", nil, "", "must be a postgres:// URL"},
		"OtherSchemeEquals":  {"unix://hunter2/x?a=b", nil, "", "must be a postgres:// URL"},
		"NoScheme":           {"ann:hunter2@h/auth", nil, "", "must be a postgres:// URL"},
		"Quoted":             {`"postgres://ann:hunter2@h/auth"`, nil, "", "must be a postgres:// URL"},
		"NUL":                {"postgres://ann:hunter2\x00@h/auth", nil, "", "NUL"},
		"EncodedNUL":         {"postgres://ann:hunter2%00@h/auth", nil, "password", "NUL"},
		"InvalidUTF8":        {"postgres://ann:hunter2%ff@h/auth", nil, "password", "UTF-8"},
		"NULInEnvironment":   {"", map[string]string{"PGPASSWORD": "hunter2\x00"}, "PGPASSWORD", "NUL"},
		"BadEncoding":        {"postgres://ann:hunter2%zz@h/auth", nil, "password", "percent-encod"},
		"SlashInPassword":    {"postgres://ann:12/hunter2@h/auth", nil, "", "percent-encode"},
		"SlashAndAt":         {"postgres://ann:p@h/hunter2@h/auth", nil, "", "percent-encode"},
		"QuestionInPassword": {"postgres://ann:12?hunter2@h/auth", nil, "", "percent-encode"},
		"QuestionAndEquals":  {"postgres://ann:12?application_name=hunter2@h/auth", nil, "", "percent-encode"},
		"AmpersandAndName":   {"postgres://ann:a@h?sslmode=disable&hunter2=1", nil, "", "unknown parameter"},
		"NoValue":            {"postgres://ann:a@h?hunter2", nil, "", "without a value"},
		"TextAsPort":         {"postgres://ann:hunter2", nil, "port", "1 to 65535"},
		"PortZero":           {"postgres://ann@h:0/auth", nil, "port", "1 to 65535"},
		"PortTooHigh":        {"postgres://ann@h:65536/auth", nil, "port", "1 to 65535"},
		"PortSigned":         {"postgres://ann@h:+5432/auth", nil, "port", "1 to 65535"},
		"PortInEnvironment":  {"", map[string]string{"PGPORT": "hunter2"}, "PGPORT", "1 to 65535"},
		"SeveralHosts":       {"postgres://ann:hunter2@h:1,i:2/auth", nil, "host", "several hosts"},
		"SeveralHostsKey":    {"host=h,i password=hunter2", nil, "host", "several hosts"},
		"SeveralPorts":       {"host=h port=1,2 password=hunter2", nil, "port", "several ports"},
		"HostWithSpace":      {"postgres://ann:hunter2@a%20b/auth", nil, "host", "host name"},
		"OpenBracket":        {"postgres://ann:hunter2@[::1/auth", nil, "host", "brackets"},
		"HostTwice":          {"postgres://ann:hunter2@h/auth?host=i", nil, "host", "twice"},
		"ParameterTwice":     {"postgres://ann@h?sslmode=disable&sslmode=disable", nil, "sslmode", "twice"},
		"KeyTwice":           {"host=h host=h", nil, "host", "twice"},
		"Prefer":             {"postgres://ann:hunter2@h/auth?sslmode=prefer", nil, "sslmode", "fall back to plain text"},
		"PreferInEnv":        {"", map[string]string{"PGSSLMODE": "allow"}, "PGSSLMODE", "fall back to plain text"},
		"BadMode":            {"postgres://ann@h/auth?sslmode=hunter2", nil, "sslmode", "must be disable"},
		"VerifyCAWithoutCA":  {"postgres://ann@h/auth?sslmode=verify-ca", nil, "sslmode", "sslrootcert"},
		"RequireWithSystem":  {"postgres://ann@h/auth?sslmode=require&sslrootcert=system", nil, "sslmode", "verify-full"},
		"NoRootFile":         {"postgres://ann@h/auth?sslrootcert=/hunter2", nil, "sslrootcert", "does not exist"},
		"NoRootFileLocally":  {"postgres://ann@localhost/auth?sslrootcert=/hunter2", nil, "sslrootcert", "does not exist"},
		"CertWithoutKey":     {"postgres://ann@h/auth?sslcert=/hunter2", nil, "sslcert", "sslkey"},
		"KeyWithoutCert":     {"postgres://ann@h/auth?sslkey=/hunter2", nil, "sslkey", "sslcert"},
		"Options":            {"postgres://ann@h/auth?options=-c%20hunter2", nil, "options", "leak"},
		"SearchPath":         {"postgres://ann@h/auth?search_path=hunter2", nil, "search_path", "leak"},
		"StatementTimeout":   {"postgres://ann@h/auth?statement_timeout=1", nil, "statement_timeout", "leak"},
		"ReadWriteOnly":      {"postgres://ann@h/auth?target_session_attrs=read-write", nil, "target_session_attrs", "any"},
		"ChannelBinding":     {"postgres://ann@h/auth?channel_binding=require", nil, "channel_binding", "prefer"},
		"Service":            {"service=hunter2", nil, "service", "not supported"},
		"ServiceInEnv":       {"", map[string]string{"PGSERVICE": hidden}, "PGSERVICE", "not supported"},
		"Unknown":            {"postgres://ann@h/auth?hunter2=1", nil, "", "unknown parameter"},
		"TimeoutZero":        {"postgres://ann@h/auth?connect_timeout=0", nil, "connect_timeout", "seconds"},
		"TimeoutText":        {"postgres://ann@h/auth?connect_timeout=hunter2", nil, "connect_timeout", "seconds"},
		"TimeoutTooLong":     {"postgres://ann@h/auth?connect_timeout=4294967295", nil, "connect_timeout", "seconds"},
		"KeyWithoutValue":    {"host=h hunter2", nil, "", "key=value"},
		"SpaceInPassword":    {"password=x hunter2 host=h", nil, "", "key=value"},
		"OpenQuote":          {"host=h password='hunter2", nil, "password", "quote"},
		"AfterQuote":         {"host=h password='x'hunter2", nil, "password", "quote"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseDSN(test.dsn, fakeEnvironment(test.env))
			var dsnError *DSNError
			require.ErrorAs(t, err, &dsnError)
			require.Equal(t, test.parameter, dsnError.Parameter)
			require.Contains(t, dsnError.Rule, test.rule)
			require.NotContains(t, err.Error(), hidden)
			require.NoError(t, errors.Unwrap(err), "what it wraps could show what it hides")
		})
	}
}

func TestParseDSN_NoUser(t *testing.T) {
	t.Parallel()
	env := fakeEnvironment(nil)
	env.osUser = func() string { return "" }
	_, err := parseDSN("postgres://h/auth", env)
	require.EqualError(t, err, "repo: the DSN's user is missing")
}

// FuzzDSN: whatever surrounds a secret, the error does not show it.
func FuzzDSN(f *testing.F) {
	for _, seed := range [][2]string{
		{"postgres://ann:", "@db.example.com:5432/auth?sslmode=verify-full"},
		{"postgres://ann:p@/", "@[::1]:70000/auth"},
		{"postgres:///auth?host=%2Fs&password=", "&options="},
		{"postgresql://a:1?", "=@h,i/%zz"},
		{"host='h' password='", "' sslmode=prefer"},
		{"", "=x\x00"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const marker = "Zq7Zq7Zq7"
		got, err := parseDSN(before+marker+after, fakeEnvironment(nil))
		if err != nil {
			var dsnError *DSNError
			require.ErrorAs(t, err, &dsnError)
			require.NotContains(t, err.Error(), marker)
			return
		}
		for _, text := range []string{got.addr, got.user, got.password, got.database, got.applicationName} {
			require.NoError(t, checkText("", text, len(text)))
		}
		require.NotEmpty(t, got.user)
		require.NotEmpty(t, got.addr)
	})
}
