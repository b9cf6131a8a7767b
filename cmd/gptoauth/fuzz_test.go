package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzArguments: whatever is typed, the program ends with one of its codes, says why on stderr if it failed, moves no
// cursor, and repeats no password. The context has ended, so that no command reaches a database or starts one.
func FuzzArguments(f *testing.F) {
	f.Fuzz(func(t *testing.T, line, databaseURL string) {
		const marker = "Zq7Zq7Zq7" // in the place of a password
		args := append([]string{programName}, strings.Split(line, "\n")...)
		if slices.ContainsFunc(args, writesFiles) {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var stdout, stderr bytes.Buffer
		env := map[string]string{databaseVariable: strings.ReplaceAll(databaseURL, "PASSWORD", marker)}
		args = strings.Split(strings.ReplaceAll(strings.Join(args, "\n"), "PASSWORD", marker), "\n")
		code := run(ctx, args, strings.NewReader(""), &stdout, &stderr, func(name string) string { return env[name] })
		require.Contains(t, []int{exitDone, exitFailed, exitUsage, exitDrifted}, code)
		if code != exitDone {
			require.Contains(t, "\n"+stderr.String(), "\n"+programName+": ") // progress may stand before it
			require.True(t, strings.HasSuffix(stderr.String(), "\n"))
		}
		require.NotContains(t, stdout.String()+stderr.String(), marker)
		require.NotContains(t, stdout.String()+stderr.String(), "\x1b")
	})
}

// writesFiles are the commands that would write where the fuzzer wishes.
func writesFiles(arg string) bool {
	return strings.HasPrefix(arg, "export") || strings.HasPrefix(arg, "create") || strings.HasPrefix(arg, "completion")
}
