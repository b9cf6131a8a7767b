package repo

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DSNError says what is wrong with a DSN, or with a variable of the environment that completes it. It names the parameter
// and the rule, never a value: half of a badly quoted password can end up anywhere in a DSN.
type DSNError struct {
	Parameter string // such as "sslmode" or "PGPORT"; empty if it is about the DSN as a whole
	Rule      string // such as "must be disable, require, verify-ca or verify-full"
}

// Error implements error.
func (e *DSNError) Error() string {
	switch {
	case e.Parameter == "":
		return "repo: the DSN " + e.Rule
	case strings.HasPrefix(e.Parameter, "PG"):
		return "repo: " + e.Parameter + " " + e.Rule
	default:
		return "repo: the DSN's " + e.Parameter + " " + e.Rule
	}
}

const (
	defaultPort     = "5432"
	defaultHost     = "localhost"
	hostParameter   = "host"
	maxTimeoutInDSN = 24 * time.Hour
)

// socketFolders are where PostgreSQL's packages and its own default put the Unix socket.
var socketFolders = []string{"/var/run/postgresql", "/tmp"}

// environment is what a DSN is completed from.
type environment struct {
	getenv   func(string) string
	readFile func(string) ([]byte, error)
	exists   func(string) bool
	osUser   func() string
}

func osEnvironment() environment {
	return environment{
		getenv:   os.Getenv,
		readFile: os.ReadFile,
		exists: func(path string) bool {
			_, err := os.Stat(path)
			return err == nil
		},
		osUser: func() string {
			current, err := user.Current()
			if err != nil {
				return ""
			}
			return current.Username[strings.LastIndexByte(current.Username, '\\')+1:] // Windows: DOMAIN\user
		},
	}
}

// target is where to connect to and as whom, checked and complete.
type target struct {
	network, addr   string
	user, password  string
	database        string
	applicationName string        // empty: not said
	connectTimeout  time.Duration // 0: not said
	tls             *tls.Config   // nil: none
}

// parameter is a value and the name that errors give it: its own, or that of the environment's variable.
type parameter struct {
	name, value string
}

func (p parameter) err(rule string) error { return &DSNError{p.name, rule} }

// parameters are by libpq's names. One that is missing reads as the empty parameter.
type parameters map[string]parameter

func (p parameters) add(name, value string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if _, ok := p[name]; ok {
		return &DSNError{name, "is given twice"}
	}
	if allowed, ok := fixedParameters[name]; ok && !slices.Contains(allowed, value) {
		return &DSNError{name, "is not supported but for " + strings.Join(allowed, " or ")}
	}
	p[name] = parameter{name, value}
	return checkDSNText(p[name])
}

// connectionParameters are those that do something, with the variable of the environment that stands in for each.
var connectionParameters = map[string]string{
	hostParameter:      "PGHOST",
	"port":             "PGPORT",
	"user":             "PGUSER",
	"password":         "PGPASSWORD",
	"dbname":           "PGDATABASE",
	"sslmode":          "PGSSLMODE",
	"sslrootcert":      "PGSSLROOTCERT",
	"sslcert":          "PGSSLCERT",
	"sslkey":           "PGSSLKEY",
	"application_name": "PGAPPNAME",
	"connect_timeout":  "PGCONNECT_TIMEOUT",
}

// Words that several parameters share.
const (
	wordDisable = "disable"
	wordPrefer  = "prefer"
)

// fixedParameters may say only what is the case anyway.
var fixedParameters = map[string][]string{
	"target_session_attrs": {"any"},
	"load_balance_hosts":   {wordDisable},
	"client_encoding":      {"UTF8", "utf8", "UTF-8", "utf-8"},
	"channel_binding":      {wordDisable, wordPrefer}, // pgdriver has none
	"gssencmode":           {wordDisable, wordPrefer},
	"sslnegotiation":       {"postgres"},
	"sslcompression":       {"0"},
	"sslsni":               {"1"},
}

// hintParameters are for other clients' pools and statement caches, in URLs that several programs share.
var hintParameters = []string{
	"pgbouncer", "connection_limit", "pool_timeout", "statement_cache_size", "default_query_exec_mode", "supa",
}

// refusedParameters are known and refused, each with what to do instead.
var refusedParameters = map[string]string{
	"options":     "is refused: what it sets would leak to other clients behind a transaction pooler; use ALTER ROLE .. SET",
	"hostaddr":    "is not supported: use host",
	"service":     "is not supported: use host, port, user and dbname",
	"passfile":    "is not supported: use PGPASSWORD",
	"sslpassword": "is not supported: use a key without a passphrase",
	"ssl":         "is not supported: use sslmode=verify-full",
	"schema":      runTimeRule,
}

const runTimeRule = "is refused: a run-time parameter would leak to other clients behind a transaction pooler; use ALTER ROLE .. SET"

// runTimeParameters are those that people do put into DSNs. Others are refused without being named.
var runTimeParameters = []string{
	"search_path", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout",
	"idle_session_timeout", "timezone", "TimeZone", "datestyle", "role", "session_authorization", "work_mem", "jit",
	"default_transaction_isolation", "default_transaction_read_only", "synchronous_commit", "standard_conforming_strings",
	"extra_float_digits", "tcp_user_timeout",
}

// parseDSN reads a postgres:// URL, or libpq's key=value form, or nothing, and completes it from the environment.
func parseDSN(dsn string, env environment) (*target, error) {
	given, err := splitDSN(strings.TrimSpace(dsn)) // a secret mounted as a file ends in a line break
	if err != nil {
		return nil, err
	}
	if err := given.complete(env); err != nil {
		return nil, err
	}
	return given.target(env)
}

func splitDSN(dsn string) (parameters, error) {
	if err := checkDSNText(parameter{value: dsn}); err != nil {
		return nil, err
	}
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(dsn, scheme); ok {
			return splitURL(rest)
		}
	}
	beforeEquals, _, ok := strings.Cut(dsn, "=")
	if dsn != "" && (!ok || strings.Contains(beforeEquals, "://")) {
		return nil, &DSNError{"", "must be a postgres:// URL or key=value pairs"}
	}
	return splitKeyValues(dsn)
}

// complete fills what is missing from the environment. As in libpq, what is empty is missing.
func (p parameters) complete(env environment) error {
	for _, name := range slices.Sorted(maps.Keys(connectionParameters)) { // sorted: the same DSN, the same error
		variable := connectionParameters[name]
		if p[name].value == "" {
			p[name] = parameter{variable, env.getenv(variable)}
		}
		if err := checkDSNText(p[name]); err != nil {
			return err
		}
	}
	for _, variable := range []string{"PGSERVICE", "PGHOSTADDR"} {
		if p[hostParameter].value == "" && env.getenv(variable) != "" {
			return &DSNError{variable, "is not supported: set PGHOST"}
		}
	}
	return nil
}

// checkName comes before anything that would show the name: what is unknown may be half of a password.
func checkName(name string) error {
	_, connects := connectionParameters[name]
	_, fixed := fixedParameters[name]
	rule, refused := refusedParameters[name]
	switch {
	case connects, fixed, slices.Contains(hintParameters, name):
		return nil
	case refused:
		return &DSNError{name, rule}
	case slices.Contains(runTimeParameters, name):
		return &DSNError{name, runTimeRule}
	default:
		return &DSNError{"", "has an unknown parameter" + encodeHint}
	}
}

// checkDSNText: the protocol ends each text with NUL.
func checkDSNText(p parameter) error {
	switch {
	case strings.IndexByte(p.value, 0) >= 0:
		return p.err("must not contain NUL")
	case !utf8.ValidString(p.value):
		return p.err("must be valid UTF-8")
	default:
		return nil
	}
}

func (p parameters) target(env environment) (*target, error) {
	t := &target{
		user:            p["user"].value,
		password:        p["password"].value,
		database:        p["dbname"].value,
		applicationName: p["application_name"].value,
	}
	if t.user == "" {
		t.user = env.osUser()
	}
	if t.user == "" {
		return nil, &DSNError{"user", "is missing"}
	}
	if t.database == "" {
		t.database = t.user
	}

	port, err := portOf(p["port"])
	if err != nil {
		return nil, err
	}
	host, err := hostOf(p[hostParameter], port, env)
	if err != nil {
		return nil, err
	}
	if t.connectTimeout, err = timeoutOf(p["connect_timeout"]); err != nil {
		return nil, err
	}
	if t.tls, err = p.tlsConfig(host, env.readFile); err != nil {
		return nil, err
	}
	t.network, t.addr = "tcp", net.JoinHostPort(host, port)
	if isSocketFolder(host) {
		t.network, t.addr = "unix", socketPath(host, port)
	}
	return t, nil
}

func portOf(p parameter) (string, error) {
	if p.value == "" {
		return defaultPort, nil
	}
	if strings.Contains(p.value, ",") {
		return "", p.err("names several ports, which is not supported: name one")
	}
	port, err := strconv.ParseUint(p.value, 10, 16)
	if err != nil || port == 0 {
		return "", p.err("must be a number from 1 to 65535" + encodeHint)
	}
	return strconv.FormatUint(port, 10), nil
}

// hostOf returns a host name, an address, or the folder of a Unix socket.
func hostOf(p parameter, port string, env environment) (string, error) {
	switch host := p.value; {
	case host == "":
		for _, folder := range socketFolders {
			if env.exists(socketPath(folder, port)) {
				return folder, nil
			}
		}
		return defaultHost, nil
	case isSocketFolder(host):
		return host, nil
	case strings.Contains(host, ","):
		return "", p.err("names several hosts, which is not supported: name one")
	case isHostName(host):
		return host, nil
	default:
		return "", p.err("must be a host name, an IP address, or the folder of a Unix socket")
	}
}

func isSocketFolder(host string) bool { return strings.HasPrefix(host, "/") }

func socketPath(folder, port string) string { return folder + "/.s.PGSQL." + port }

func isHostName(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return !strings.ContainsFunc(host, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", r)
	})
}

// isLocal tells whether what is sent to host stays on this machine.
func isLocal(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return isSocketFolder(host) || strings.EqualFold(host, "localhost")
}

func timeoutOf(p parameter) (time.Duration, error) {
	if p.value == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(p.value, 10, 32)
	timeout := time.Duration(seconds) * time.Second
	if err != nil || timeout == 0 || timeout > maxTimeoutInDSN {
		return 0, p.err("must be a whole number of seconds, from 1 to a day")
	}
	return timeout, nil
}

// readParameterFile does not wrap the error of the file system, which names the file.
func readParameterFile(p parameter, readFile func(string) ([]byte, error)) ([]byte, error) {
	content, err := readFile(p.value)
	switch {
	case err == nil:
		return content, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, p.err("names a file that does not exist")
	case errors.Is(err, fs.ErrPermission):
		return nil, p.err("names a file that may not be read")
	default:
		return nil, p.err("names a file that cannot be read")
	}
}
