package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompletionScriptsParse(t *testing.T) {
	t.Parallel()
	for shell, args := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			o := gptoauth(t, "", "completion", shell)
			require.Equal(t, exitDone, o.code, o.stderr)
			require.Contains(t, o.stdout, programName)
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip("there is no " + shell + " here; the CI installs it")
			}
			command := exec.CommandContext(t.Context(), path, args...)
			command.Stdin = strings.NewReader(o.stdout)
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Empty(t, string(out))
		})
	}
}

func TestCompletionSuggests(t *testing.T) {
	t.Parallel()
	const marker = "--generate-shell-completion" // that the scripts add
	for line, wants := range map[string][]string{
		"events":                 {"list:", "tail:", "timeline:", "stats:"},
		"events list --s":        {"--since:", "--session:"},
		"tokens trace --":        {"--all:"},
		"migrate rollback --dry": {"--dry-run:"},
		"completion":             {"bash:", "zsh:", "fish:"},
	} {
		o := gptoauth(t, "postgres://127.0.0.1:1/nowhere", append(strings.Fields(line), marker)...)
		require.Equal(t, exitDone, o.code, o.stderr)
		require.Empty(t, o.stderr)
		for _, want := range wants {
			require.Contains(t, "\n"+o.stdout, "\n"+want, line)
		}
	}
	require.NotContains(t, gptoauth(t, "", "completion", "--help").stdout, "pwsh")
}

// In a real bash, with the real program.
func TestCompletionWorksInBash(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash here; the CI has it")
	}
	dir := t.TempDir()
	build, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/"+programName, ".").CombinedOutput()
	require.NoError(t, err, "%s", build)
	script := `
		PATH="$1:$PATH"
		_get_comp_words_by_ref() { :; } # of the package bash-completion
		source <(gptoauth completion bash)
		COMP_WORDS=(gptoauth events ti) COMP_CWORD=2
		__gptoauth_bash_autocomplete
		echo "${COMPREPLY[@]}"`
	out, err := exec.CommandContext(t.Context(), "bash", "-c", script, "bash", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "timeline\n", string(out))
}
