package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"
)

// maxSecretLine is more than any secret and less than a file given by mistake.
const maxSecretLine = 4096

// readSecret reads the first line of stdin. A person is asked, and what they type or paste is not echoed.
func (a *app) readSecret(ctx context.Context, question string) (string, error) {
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	restore := func() {}
	read := func() (string, error) {
		line, err := bufio.NewReader(io.LimitReader(a.stdin, maxSecretLine)).ReadString('\n')
		if err == io.EOF {
			err = nil
		}
		return line, err
	}
	if isTerminal(a.stdin) {
		fd := int(a.stdin.(interface{ Fd() uintptr }).Fd())
		state, err := term.GetState(fd)
		if err != nil {
			return "", fmt.Errorf("read from the terminal: %w", err)
		}
		restore = func() { _ = term.Restore(fd, state) }
		fmt.Fprint(a.stderr, question) //nolint:errcheck // nowhere left to say so
		defer a.progressf("")
		read = func() (string, error) {
			line, err := term.ReadPassword(fd)
			return string(line), err
		}
	}
	go func() { // reading cannot be interrupted
		line, err := read()
		answers <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		restore()
		return "", ctx.Err()
	case got := <-answers:
		if got.err != nil {
			return "", fmt.Errorf("read the secret: %w", got.err)
		}
		return strings.TrimSpace(got.line), nil
	}
}
