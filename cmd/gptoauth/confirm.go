package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
)

var errNotConfirmed = errors.New("not confirmed, so nothing was changed")

// confirm asks before something is destroyed. yes is the answer beforehand (--yes); without a terminal to ask on there is no
// other.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(a.stdin) {
		return usageErrorf("there is no terminal to ask on: confirm with --yes")
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question) //nolint:errcheck // nowhere left to say so
	answers := make(chan string, 1)
	go func() { // reading cannot be interrupted
		line, _ := bufio.NewReader(a.stdin).ReadString('\n') // an unfinished line is no yes
		answers <- line
	}()
	select {
	case <-ctx.Done():
		a.progressf("")
		return ctx.Err()
	case answer := <-answers:
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
			return nil
		}
		return errNotConfirmed
	}
}
