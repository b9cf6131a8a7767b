package migrations

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/uptrace/bun"
)

const (
	rounds   = 25
	replicas = 8
	victims  = 2
)

// Replicas that start together migrate together, and a SIGKILL anywhere leaves nothing half done.
func TestUpInManyProcesses(t *testing.T) {
	quiet := newDB(t)
	mustDo(t, Up(t.Context(), quiet))
	want := mustDescribe(t, quiet)

	killed, inside := 0, 0
	for round := range rounds {
		dsn := newURL(t)
		outcomes := startReplicas(t, "up", dsn, victims)
		db := openURL(dsn)
		for i, outcome := range outcomes {
			switch {
			case outcome.killed && outcome.err != nil:
				killed++
			case outcome.err != nil:
				t.Errorf("round %d, replica %d: %v: %s", round, i, outcome.err, outcome.stderr)
			}
		}
		if outcomes[0].pending || outcomes[1].pending {
			inside++
		}
		mustDo(t, Up(t.Context(), db))
		mustDo(t, Check(t.Context(), db))
		assertRecordedOnce(t, db)
		assertSame(t, want, mustDescribe(t, db))
		db.Close()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d replicas killed in %d rounds, in %d of them before all was applied", killed, rounds, inside)
	if inside == 0 {
		t.Error("no replica was killed while it migrated: the test has shown nothing")
	}
}

// The negative control: with Bun alone the same start fails, or records a migration twice.
func TestNaiveUpInManyProcessesFails(t *testing.T) {
	for range 3 {
		dsn := newURL(t)
		for _, outcome := range startReplicas(t, "naive", dsn, 0) {
			if outcome.err != nil {
				return
			}
		}
	}
	t.Error("the naive variant has survived: the test of the real one shows nothing")
}

type outcome struct {
	killed, pending bool // killed: a victim; pending: when it was killed, not all was applied
	err             error
	stderr          string
}

// startReplicas runs this test binary several times at once and waits for all. The first few are killed at a random point
// of their migration.
func startReplicas(t *testing.T, role, dsn string, victims int) []outcome {
	t.Helper()
	db := openURL(dsn)
	defer db.Close()
	outcomes := make([]outcome, replicas)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() { outcomes[i] = runReplica(t.Context(), db, role, dsn, i < victims) })
	}
	wg.Wait()
	return outcomes
}

func runReplica(ctx context.Context, db *bun.DB, role, dsn string, victim bool) outcome {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+role, childURL+"="+dsn)
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return outcome{err: err}
	}
	if err := cmd.Start(); err != nil {
		return outcome{err: err}
	}
	result := outcome{killed: victim}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err == nil && victim {
		time.Sleep(rand.N(60 * time.Millisecond)) // a random point of what takes about that long
		result.err = cmd.Process.Signal(syscall.SIGKILL)
		result.pending = Check(ctx, db) != nil
	}
	result.err = cmd.Wait()
	result.stderr = stderr.String()
	return result
}

// The same within one process whose pool has two connections, where being killed is a context that ends.
func TestUpOverTwoConnections(t *testing.T) {
	quiet := newDB(t)
	mustDo(t, Up(t.Context(), quiet))
	want := mustDescribe(t, quiet)
	for round := range rounds {
		db := newDB(t)
		db.SetMaxOpenConns(2)
		errs := make([]error, replicas)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if i < victims {
					time.AfterFunc(rand.N(60*time.Millisecond), cancel)
				}
				errs[i] = Up(ctx, db)
			})
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil && (i >= victims || !errors.Is(err, context.Canceled)) {
				t.Errorf("round %d, caller %d: %v", round, i, err)
			}
		}
		mustDo(t, Up(t.Context(), db))
		assertRecordedOnce(t, db)
		assertSame(t, want, mustDescribe(t, db))
		if t.Failed() {
			return
		}
	}
}

// Who waits for another process's migration keeps no connection meanwhile.
func TestUpWaitsWithoutAConnection(t *testing.T) {
	t.Parallel()
	blocking := func(ctx context.Context, db *bun.DB, _ ...func(State)) error {
		return db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(advisoryKey)))
			return err
		})
	}
	for name, test := range map[string]struct {
		up      func(context.Context, *bun.DB, ...func(State)) error
		starves bool
	}{
		"Up":              {Up, false},
		"NegativeControl": {blocking, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := newURL(t)
			other, db := openURL(dsn), openURL(dsn)
			defer other.Close()
			defer db.Close()
			db.SetMaxOpenConns(2)
			migrating, err := other.BeginTx(t.Context(), nil)
			mustDo(t, err)
			defer migrating.Rollback()
			_, err = migrating.ExecContext(t.Context(), fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(advisoryKey)))
			mustDo(t, err)

			errs := make(chan error, replicas)
			for range replicas {
				go func() { errs <- test.up(t.Context(), db) }()
			}
			deadline := time.Now().Add(10 * time.Second)
			for db.Stats().WaitCount == 0 { // all connections were in use at least once
				if time.Now().After(deadline) {
					t.Fatal("the pool was never exhausted")
				}
				time.Sleep(time.Millisecond)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err = db.ExecContext(ctx, "SELECT 1")
			if starved := err != nil; starved != test.starves {
				t.Errorf("starved: %v, want %v (%v)", starved, test.starves, err)
			}
			mustDo(t, migrating.Rollback())
			for range replicas {
				mustDo(t, <-errs)
			}
		})
	}
}
