package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

type options struct {
	clients  []int
	duration time.Duration
	pairs    int
	peers    []peer // the library first
	json     bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err != nil {
		sayf(stderr, "peers: %v", err)
		return exitUsage
	}
	r, err := measurePeers(ctx, o, stderr)
	if err == nil {
		err = r.write(stdout, o.json)
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		sayf(stderr, "peers: %v", err)
		return exitFailed
	}
	return exitDone
}

func sayf(stderr io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(stderr, format+"\n", args...)
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	clients := flags.String("clients", "1,8,32", "at how many concurrent clients, each")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "how long each run lasts, without its preparation")
	flags.IntVar(&o.pairs, "pairs", 5, "how often each is run")
	names := flags.String("peers", "hydra,dex", "beside which peers")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.pairs < 1 || o.duration <= 0 {
		return o, errors.New("--pairs and --duration must be positive")
	}
	for word := range strings.SplitSeq(*clients, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 200 {
			return o, fmt.Errorf("--clients: %q is not a number from 1 to 200", word)
		}
		o.clients = append(o.clients, n)
	}
	o.peers = []peer{library}
	for name := range strings.SplitSeq(*names, ",") {
		p, ok := peers[name]
		if !ok {
			return o, fmt.Errorf("--peers: there is no %q, only hydra and dex", name)
		}
		o.peers = append(o.peers, p)
	}
	return o, nil
}

func measurePeers(ctx context.Context, o options, stderr io.Writer) (r report, err error) {
	sayf(stderr, "starting a private PostgreSQL, with fsync on, which is gone afterwards")
	c, err := startCluster(ctx, o.peers)
	defer func() { err = errors.Join(err, c.stop(ctx)) }()
	if err != nil {
		return r, err
	}
	r.Versions = versions(o.peers)
	if err := c.databases[0].db.QueryRowContext(ctx, "SHOW server_version").Scan(&r.Server); err != nil {
		return r, err
	}
	for _, clients := range o.clients {
		for _, op := range operations {
			results, err := c.compare(ctx, o, op, clients, stderr)
			if err != nil {
				return r, err
			}
			r.Results = append(r.Results, results...)
		}
	}
	return r, nil
}

// compare runs one operation through all peers in turn, another one first each time.
func (c *cluster) compare(ctx context.Context, o options, op operation, clients int, stderr io.Writer) ([]result, error) {
	sums := make([]tally, len(c.databases))
	rates := make([][]float64, len(c.databases))
	for pair := range o.pairs {
		sayf(stderr, "%s, %d clients, run %d of %d", op.name, clients, pair+1, o.pairs)
		for i := range c.databases {
			at := (i + pair) % len(c.databases)
			one, err := c.databases[at].measure(ctx, op, clients, o.duration)
			if err != nil {
				return nil, err
			}
			sums[at].add(one)
			rates[at] = append(rates[at], one.perSecond())
		}
	}
	results := make([]result, len(c.databases))
	for at, d := range c.databases {
		trips, err := d.roundTrips(ctx, op)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", d.peer.name, op.name, err)
		}
		n := float64(sums[at].calls)
		results[at] = result{
			Operation: op.name, Clients: clients, Peer: d.peer.name, Calls: sums[at].calls, Refused: sums[at].refused,
			PerSecond: quantile(rates[at], 0.5), RoundTrips: trips, WALBytes: sums[at].wal / n, Allocs: float64(sums[at].allocs) / n,
		}
		if at > 0 {
			ratios := make([]float64, o.pairs)
			for pair := range ratios {
				ratios[pair] = rates[at][pair] / rates[0][pair]
			}
			results[at].OfLibrary = newSpread(ratios)
		}
	}
	return results, nil
}
