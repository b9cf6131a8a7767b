package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestReportNoticesAtOnceAFolderThatIsClosed(t *testing.T) {
	t.Parallel()
	_, err := (&app{}).openReportFile("/proc/report.html") // closed to root as well
	require.ErrorContains(t, err, "--out: nothing can be written to the folder of /proc/report.html: ")
	require.NotContains(t, err.Error(), ".gptoauth-")
}

// On a terminal what is being read is shown, and is gone before the result is.
func TestReportLeavesNoProgressOnATerminal(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	path := filepath.Join(t.TempDir(), "report.html")
	for kind, test := range map[string]func(shown string){
		"xterm": func(shown string) {
			require.Contains(t, shown, "\r\x1b[Kcounting events\r\x1b[K")
			require.True(t, strings.HasSuffix(shown, "\r\x1b[K"+path+"\r\n"), "%q", shown)
		},
		"dumb": func(shown string) { require.Equal(t, path+"\r\n", shown) },
	} {
		program, person := openTerminal(t)
		code := run(t.Context(), []string{programName, "--database-url", databaseURL, "report", "--out", path}, strings.NewReader(""), program, program,
			func(name string) string { return map[string]string{"TERM": kind}[name] })
		require.Equal(t, exitDone, code)
		var shown strings.Builder
		buffer := make([]byte, 4096)
		for !strings.Contains(shown.String(), path) {
			n, err := person.Read(buffer)
			require.NoError(t, err)
			shown.Write(buffer[:n])
		}
		test(shown.String())
	}
}
