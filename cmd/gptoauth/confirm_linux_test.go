package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

// openTerminal makes a pseudo-terminal: the program's end, and the person's.
func openTerminal(t testing.TB) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { person.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { program.Close() })
	return program, person
}

func TestRollbackAsks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		code   int
		end    string
	}{
		"Yes":         {"y\n", exitDone, "] undone "},
		"YesInFull":   {"YES\n", exitDone, "] undone "},
		"No":          {"n\n", exitFailed, "] gptoauth: migrate rollback: not confirmed, so nothing was changed\n"},
		"Enter":       {"\n", exitFailed, "] gptoauth: migrate rollback: not confirmed, so nothing was changed\n"},
		"EndOfInput":  {"\x04", exitFailed, "] gptoauth: migrate rollback: not confirmed, so nothing was changed\n"},
		"Interrupted": {"", exitFailed, "] \ngptoauth: migrate rollback: interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL, all := repotest.URL(t), known()
			before := schemaOf(t, databaseURL)
			program, person := openTerminal(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			stderr := &promptWriter{asked: func() {
				if test.answer == "" {
					interrupt()
				}
				_, _ = io.WriteString(person, test.answer)
			}}
			var stdout bytes.Buffer
			code := run(ctx, []string{programName, "migrate", "rollback", "--steps", strconv.Itoa(len(all))}, program, &stdout, stderr,
				func(name string) string { return map[string]string{databaseVariable: databaseURL}[name] })
			require.Equal(t, test.code, code, stderr.String())
			require.Contains(t, stderr.String(), all[0]+"\n  LOSES DATA: drops every session, token, code and audit event.\n")
			require.Regexp(t, `\nUndo \d+ migrations in the database \S+\? \[y/N\] `, stderr.String())
			require.Contains(t, stderr.String(), test.end)
			if test.code != exitDone {
				require.Equal(t, before, schemaOf(t, databaseURL))
			} else {
				require.NotContains(t, strings.Join(schemaOf(t, databaseURL), "\n"), "public.gpt_sessions")
				require.Equal(t, strconv.Itoa(len(all))+" migrations undone\n", stdout.String())
			}
		})
	}
}

// promptWriter answers when it is asked.
type promptWriter struct {
	bytes.Buffer

	asked func()
}

func (p *promptWriter) Write(text []byte) (int, error) {
	n, err := p.Buffer.Write(text)
	if bytes.HasSuffix(text, []byte(" ")) { // a question waits on its line for the answer
		p.asked()
	}
	return n, err
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	for name, test := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"Terminal": {map[string]string{"TERM": "xterm"}, true},
		"NoColor":  {map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		"Dumb":     {map[string]string{"TERM": "dumb"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			program, person := openTerminal(t)
			test.env[databaseVariable] = databaseURL
			shown := make(chan []byte, 1)
			go func() {
				var all []byte
				buffer := make([]byte, 4096)
				for !bytes.Contains(all, []byte(" applied\r\n")) {
					n, err := person.Read(buffer)
					if err != nil {
						break
					}
					all = append(all, buffer[:n]...)
				}
				shown <- all
			}()
			var stderr bytes.Buffer
			code := run(t.Context(), []string{programName, "migrate", "status"}, bytes.NewReader(nil), program, &stderr,
				func(name string) string { return test.env[name] })
			require.Equal(t, exitDone, code, stderr.String())
			select {
			case text := <-shown:
				require.Contains(t, string(text), "applied")
				require.Equal(t, test.want, bytes.Contains(text, []byte("\x1b[32mapplied\x1b[0m")), string(text))
			case <-time.After(10 * time.Second):
				t.Fatal("nothing was shown")
			}
		})
	}
}
