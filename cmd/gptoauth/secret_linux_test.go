package main

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// On a terminal the token is asked for and not echoed, and an interrupt gives the terminal its echo back.
func TestTraceAsksForTheTokenWithoutEcho(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	ask := func(t *testing.T, answer func(person io.Writer, interrupt func())) (code int, seen, stdout string, echo bool) {
		t.Helper()
		program, person := openTerminal(t)
		echoes := func() bool {
			state, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			return err == nil && state.Lflag&unix.ECHO != 0
		}
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		var answering sync.WaitGroup
		stderr := &promptWriter{asked: func() {
			answering.Go(func() {
				for echoes() {
					runtime.Gosched()
				}
				answer(person, interrupt)
			})
		}}
		var out bytes.Buffer
		code = run(ctx, []string{programName, "tokens", "trace"}, program, &out, stderr,
			func(name string) string { return map[string]string{databaseVariable: databaseURL}[name] })
		answering.Wait()
		return code, stderr.String(), out.String(), echoes()
	}

	t.Run("Answered", func(t *testing.T) {
		t.Parallel()
		code, stderr, stdout, echo := ask(t, func(person io.Writer, _ func()) { _, _ = io.WriteString(person, storyToken+"\n") })
		require.Equal(t, exitDone, code, stderr)
		require.Equal(t, "refresh token: \n", stderr)
		require.Contains(t, stdout, "generation 2 of 3")
		require.True(t, echo)
	})

	t.Run("Interrupted", func(t *testing.T) {
		t.Parallel()
		code, stderr, _, echo := ask(t, func(_ io.Writer, interrupt func()) { interrupt() })
		require.Equal(t, exitFailed, code)
		require.Contains(t, stderr, "interrupted")
		require.True(t, echo)
	})
}
