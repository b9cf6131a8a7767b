package main

import (
	"context"
	"errors"
	"time"
)

// fewest is how many codes there are at least, for the calls before the clock runs and a few more.
const fewest = 5 * warmUp

// families is among how many a client rotates in turn, so that none grows as no real one does: some of what is measured looks
// at every token that a family ever had.
const families = 20

// step is one call. It returns false when there is nothing left to call with.
type step func(ctx context.Context) (bool, error)

// operation prepares the steps of one client.
type operation struct {
	name    string
	prepare func(ctx context.Context, s store, client int, duration time.Duration) (step, error)
}

var operations = []operation{{"exchange", prepareExchange}, {"rotate", prepareRotate}}

// prepareExchange issues codes for longer than they will be exchanged, which takes more than issuing.
func prepareExchange(ctx context.Context, s store, client int, duration time.Duration) (step, error) {
	var grants []grant
	for begin := time.Now(); time.Since(begin) < duration*3/2 || len(grants) < fewest; {
		g, err := s.issue(ctx, client)
		if err = errors.Join(err, ctx.Err()); err != nil { // not every peer asks the context
			return nil, err
		}
		grants = append(grants, g)
	}
	return func(ctx context.Context) (bool, error) {
		last := len(grants) - 1
		if last < 0 {
			return false, nil
		}
		g := grants[last]
		grants = grants[:last]
		return true, g.exchange(ctx)
	}, nil
}

func prepareRotate(ctx context.Context, s store, client int, _ time.Duration) (step, error) {
	grants := make([]grant, families)
	for i := range grants {
		g, err := s.issue(ctx, client)
		if err != nil {
			return nil, err
		}
		if err := g.exchange(ctx); err != nil {
			return nil, err
		}
		grants[i] = g
	}
	next := -1
	return func(ctx context.Context) (bool, error) {
		next = (next + 1) % families
		return true, grants[next].rotate(ctx)
	}, nil
}
