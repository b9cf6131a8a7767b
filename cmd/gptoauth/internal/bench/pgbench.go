package bench

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

//go:embed sql/*.function.sql sql/*.bare.sql
var pgbenchScripts embed.FS

// pgbenchModes: the function is called as the library calls it, the limit is prepared.
var pgbenchModes = map[string]string{"function": "simple", "bare": "prepared"}

// codesPerSecond is more than all clients together exchange on two cores; didTheWork finds out where it is not.
const codesPerSecond = 6_000

var (
	pgbenchTPS       = regexp.MustCompile(`tps = ([0-9.]+)`)
	pgbenchProcessed = regexp.MustCompile(`number of transactions actually processed: ([0-9]+)`)
)

func (d *Database) hasPgbench() bool {
	_, err := d.pgbenchPath()
	return err == nil
}

func (d *Database) pgbenchPath() (string, error) {
	if d.tools != "" {
		if path, err := exec.LookPath(filepath.Join(d.tools, "pgbench")); err == nil {
			return path, nil
		}
	}
	return exec.LookPath("pgbench")
}

// runPgbench runs one of the scripts and returns its transactions a second.
func (d *Database) runPgbench(ctx context.Context, operation, kind string, clients int, duration time.Duration) (float64, error) {
	program, err := d.pgbenchPath()
	if err != nil {
		return 0, err
	}
	script, err := pgbenchScripts.ReadFile("sql/" + operation + "." + kind + ".sql")
	if err != nil {
		return 0, err
	}
	codes := 0
	if operation == "exchange" {
		codes = int(float64(codesPerSecond)*(duration.Seconds()+1))/clients + 1000
	}
	run, err := d.seed(ctx, clients, codes)
	if err != nil {
		return 0, err
	}
	var begin time.Time // by the server's clock
	if err := d.db.QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&begin); err != nil {
		return 0, err
	}
	args := []string{
		"-n", "-M", pgbenchModes[kind], "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 2)),
		"-D", "run=" + strconv.Itoa(run), "-D", "n=0", "-D", "a=0", "-D", "b=0", "-D", "epoch=" + strconv.FormatInt(time.Now().UnixMilli()/10, 10),
		"-f", "/dev/stdin",
	}
	output, err := d.pgbenchOutput(ctx, program, args, script, duration)
	tps, processed := pgbenchTPS.FindSubmatch(output), pgbenchProcessed.FindSubmatch(output)
	if err != nil || tps == nil || processed == nil || bytes.Contains(output, []byte("aborted")) {
		return 0, fmt.Errorf("pgbench %s: %s", kind, lastLines(output))
	}
	if err := d.didTheWork(ctx, operation, kind, begin, string(processed[1])); err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(tps[1]), 64)
}

// pgbenchOutput runs pgbench. Its time begins before it connects, which its result leaves out, and on a busy machine may be
// over by then.
func (d *Database) pgbenchOutput(ctx context.Context, program string, args []string, script []byte, duration time.Duration) ([]byte, error) {
	seconds := max(int(duration.Round(time.Second)/time.Second), 1)
	for connecting := 1; ; connecting *= 2 {
		timed := append([]string{"-T", strconv.Itoa(seconds + connecting)}, args...)
		command := exec.CommandContext(ctx, program, timed...) //nolint:gosec // the program and its arguments are ours
		command.Env = append(os.Environ(), d.libpqEnvironment()...)
		command.Stdin = bytes.NewReader(script)
		output, err := command.CombinedOutput()
		if !bytes.Contains(output, []byte("processed: 0\n")) || connecting > 30 {
			return output, err
		}
	}
}

// didTheWork makes sure that no transaction of pgbench was quick because it found nothing to do.
func (d *Database) didTheWork(ctx context.Context, operation, kind string, begin time.Time, processed string) error {
	schema := bun.Ident(map[string]string{"function": "public", "bare": "bare"}[kind])
	query := "SELECT count(*) FROM ?.gpt_refresh_tokens WHERE created_at >= ?"
	if operation == "exchange" {
		query = "SELECT count(*) FROM ?.gpt_authorization_codes WHERE used_at >= ?"
	}
	var done int
	if err := d.db.QueryRowContext(ctx, query, schema, begin).Scan(&done); err != nil {
		return err
	}
	if wanted, err := strconv.Atoi(processed); err != nil || done < wanted {
		return fmt.Errorf("pgbench %s: %s transactions, and only %d did the work", kind, processed, done)
	}
	return nil
}

// libpqEnvironment says where the database is without showing the password to whoever lists processes.
func (d *Database) libpqEnvironment() []string {
	query := d.url.Query()
	password, _ := d.url.User.Password()
	environment := []string{"PGDATABASE=" + d.name}
	host, mode := d.url.Hostname(), query.Get("sslmode")
	if query.Has("host") {
		host = query.Get("host")
	}
	if mode == "" && (host == "localhost" || strings.HasPrefix(host, "/") || net.ParseIP(host).IsLoopback()) {
		mode = "disable"
	}
	port := d.url.Port()
	if query.Has("port") {
		port = query.Get("port")
	}
	for _, v := range []struct{ name, value string }{
		{"PGHOST", host},
		{"PGPORT", port},
		{"PGUSER", d.url.User.Username()},
		{"PGPASSWORD", password},
		{"PGSSLMODE", mode},
		{"PGSSLROOTCERT", query.Get("sslrootcert")},
	} {
		if v.value != "" {
			environment = append(environment, v.name+"="+v.value)
		}
	}
	return environment
}

func lastLines(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return strings.Join(lines[max(len(lines)-3, 0):], "; ")
}
