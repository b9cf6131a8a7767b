package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// onTerminal runs the program on a terminal of so many columns and returns the lines that a person sees.
func onTerminal(t *testing.T, databaseURL string, columns uint16, args ...string) []string {
	t.Helper()
	program, person := openTerminal(t)
	require.NoError(t, unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: columns}))
	const end = "\x04the end"
	shown := make(chan string, 1)
	go func() {
		var all []byte
		buffer := make([]byte, 4096)
		for !bytes.Contains(all, []byte(end)) {
			n, err := person.Read(buffer)
			if err != nil {
				break
			}
			all = append(all, buffer[:n]...)
		}
		shown <- string(all)
	}()
	env := map[string]string{databaseVariable: databaseURL, "TERM": "xterm", "LANG": "en_US.UTF-8", "NO_COLOR": "1"}
	var stderr bytes.Buffer
	code := run(t.Context(), append([]string{programName}, args...), bytes.NewReader(nil), program, &stderr, func(name string) string { return env[name] })
	require.Equal(t, exitDone, code, stderr.String())
	_, err := program.WriteString(end)
	require.NoError(t, err)
	text, _, _ := strings.Cut(<-shown, end)
	return strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
}

// On 80 columns no line wraps, and what is cut is marked; --wide cuts nothing.
func TestTablesFitTheTerminal(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	for _, args := range []string{
		"events list", "events timeline --user user_2ada", "events stats " + storyDays, "events stats --bucket 1h " + storyDays,
		"events stats --by client --bucket 1h " + storyDays, "tokens trace " + storySession, "tokens stats " + storyDays, "migrate status", "sessions list",
		"sessions show " + storySession, "users show user_2ada",
	} {
		for _, line := range onTerminal(t, databaseURL, 80, strings.Fields(args)...) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), 80, "%s: %s", args, line)
		}
	}

	list := onTerminal(t, databaseURL, 80, "events", "list", "--client", "client_1")
	require.Equal(t, []string{
		"2026-03-02 (UTC)",
		"09:00:00  ●  token_exchange  user_2ada  00000052                  session begins",
		"2026-03-01 (UTC)",
		"14:00:00  ●  token_exchange  user_2eve  00000053  2001:db…0:7348  session begins",
	}, list)
	for _, args := range [][]string{{"--wide", "events", "list", "--client", "client_1"}, {"events", "list", "--client", "client_1", "--wide"}} {
		require.Contains(t, strings.Join(onTerminal(t, databaseURL, 80, args...), "\n"),
			"2026-03-01 14:00:00Z  ●  token_exchange  user_2eve  01990000-0000-7000-8000-00000053beef  2001:db8:85a3:8d3:1319:8a2e:370:7348  session begins")
	}
}
