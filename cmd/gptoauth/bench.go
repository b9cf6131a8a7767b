package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/bench"
	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	bench.Options

	operations  []string
	concurrency []int
}

func (a *app) benchCommand() *cli.Command {
	return &cli.Command{
		Name:  "bench",
		Usage: "measure what a database can do",
		Description: `It makes a database of its own beside yours, which needs the right to CREATE DATABASE, fills it, measures, and drops it.
Without a database it starts a private PostgreSQL, with fsync on. Everything else that the server does meanwhile is measured
with it, WAL above all.

Where pgbench is installed, exchange and rotate are compared with it, in alternating runs: with the very same function called
in the simple protocol ("of function", what Go costs), and with the limit, one prepared statement that does the bare work on
the four plain tables ("of limit", what the promises cost). Both are medians over the pairs.

Examples:
  gptoauth bench
  gptoauth bench --operations rotate --concurrency 1,8,32 --duration 10s --pairs 9
  gptoauth bench --table-size 1000000 --pgbench=false --json > large.json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "operations", Value: strings.Join(bench.Operations(), ","), Usage: "what to measure, separated by commas"},
			&cli.StringFlag{Name: "concurrency", Value: "1,8,32", Usage: "how many clients at once, one measurement each"},
			&cli.IntFlag{Name: "table-size", Value: 10_000, Usage: "how many refresh tokens there are at the beginning"},
			&cli.DurationFlag{Name: "duration", Value: 5 * time.Second, Usage: "how long one run takes; a connection is slow in its first second"},
			&cli.IntFlag{Name: "pairs", Value: 5, Usage: "how many alternating runs with pgbench"},
			&cli.BoolFlag{Name: "pgbench", Value: true, Usage: "compare with pgbench where it is installed"},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			options, err := parseBenchOptions(cmd)
			if err != nil {
				return err
			}
			return a.bench(ctx, options)
		},
	}
}

func parseBenchOptions(cmd *cli.Command) (benchOptions, error) {
	o := benchOptions{
		Options: bench.Options{
			TableSize: cmd.Int("table-size"),
			Duration:  cmd.Duration("duration"),
			Pairs:     cmd.Int("pairs"),
			Pgbench:   cmd.Bool("pgbench"),
		},
		operations: strings.Split(cmd.String("operations"), ","),
	}
	known := bench.Operations()
	for _, name := range o.operations {
		if !slices.Contains(known, name) {
			return o, usageErrorf("--operations wants some of %s", strings.Join(known, ","))
		}
	}
	for text := range strings.SplitSeq(cmd.String("concurrency"), ",") {
		clients, err := strconv.Atoi(text)
		if err != nil || clients < 1 || clients > 1000 {
			return o, usageErrorf("--concurrency wants numbers from 1 to 1000, separated by commas")
		}
		o.concurrency = append(o.concurrency, clients)
	}
	switch {
	case o.TableSize < 0:
		return o, usageErrorf("--table-size must not be negative")
	case o.Duration < 100*time.Millisecond || o.Duration > 5*time.Minute: // codes live ten minutes
		return o, usageErrorf("--duration must be between 100ms and 5m")
	case o.Pairs < 1:
		return o, usageErrorf("--pairs must be at least 1")
	}
	return o, nil
}

// benchReport is what --json prints.
type benchReport struct {
	Server    bench.Server   `json:"server"`
	CPUs      int            `json:"cpus"` // of the client
	TableSize int            `json:"table_size"`
	Results   []bench.Result `json:"results"`
}

func (a *app) bench(ctx context.Context, options benchOptions) (err error) {
	options.Open, options.Progress = a.openURL, a.progressf
	if dsn := a.url(); dsn == "" {
		a.progressf("%s is not set: starting a private PostgreSQL, with fsync on, which is gone afterwards", databaseVariable)
	} else if options.URL, err = url.Parse(dsn); err != nil || options.URL.Scheme == "" {
		return usageErrorf("bench wants the database as a postgres:// URL")
	}
	d, err := bench.New(ctx, options.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()

	report := benchReport{CPUs: runtime.NumCPU(), TableSize: options.TableSize}
	if report.Server, err = d.Server(ctx); err != nil {
		return err
	}
	for _, operation := range options.operations {
		concurrency := options.concurrency
		if bench.Alone(operation) {
			concurrency = []int{1}
		}
		for _, clients := range concurrency {
			result, err := d.Measure(ctx, operation, clients)
			if err != nil {
				return err
			}
			report.Results = append(report.Results, result)
		}
	}
	return a.show(report, func() { a.printBench(report) })
}

func (a *app) printBench(report benchReport) {
	s := report.Server
	a.printf("PostgreSQL %s, fsync %s, synchronous_commit %s, full_page_writes %s, shared_buffers %s; %d CPUs here, %d refresh tokens\n\n",
		s.Version, s.Fsync, s.SynchronousCommit, s.FullPageWrites, s.SharedBuffers, report.CPUs, report.TableSize)
	rows := make([][]draw.Cell, len(report.Results))
	for i, r := range report.Results {
		for _, text := range []string{
			r.Operation, strconv.Itoa(r.Clients), fmt.Sprintf("%.0f", r.PerSecond), fmt.Sprintf("%.2f", r.P50MS), fmt.Sprintf("%.2f", r.P99MS),
			fmt.Sprintf("%.2f", r.RoundTrips), fmt.Sprintf("%.2f", r.Commits), fmt.Sprintf("%.0f", r.WALBytes), fmt.Sprintf("%.0f", r.Allocs),
			fmt.Sprintf("%.0f", r.CPUMicros), shareText(r.OfFunction), shareText(r.OfLimit),
		} {
			rows[i] = append(rows[i], draw.Cell{Text: text})
		}
	}
	a.table([]string{
		"operation", "clients", "calls/s", "p50 ms", "p99 ms", "round trips", "commits", "WAL bytes", "allocs", "CPU us", "of function", "of limit",
	}, rows)
	a.printf("\nRound trips, commits, WAL bytes, allocs and CPU are a call; allocs and CPU are the client's. For purge a call is a row.\n")
}

func shareText(share *float64) string {
	if share == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", *share)
}
