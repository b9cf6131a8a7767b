package privatepg

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What fetches and runs programs is for tests and the demo, so that it has one way in.
func TestImports_OnlyThisPackageUsesEmbeddedPostgres(t *testing.T) {
	t.Parallel()
	const format = `{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}{{"\n"}}{{end}}` +
		`{{range .TestImports}}{{$p}} {{.}}{{"\n"}}{{end}}{{range .XTestImports}}{{$p}} {{.}}{{"\n"}}{{end}}`
	cmd := exec.Command("go", "list", "-e", "-f", format, "./...")
	cmd.Dir = "../.."
	output, err := cmd.Output()
	require.NoError(t, err)
	var found []string
	for line := range strings.Lines(string(output)) {
		if strings.HasSuffix(line, " github.com/fergusstrange/embedded-postgres\n") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	require.Equal(t, []string{"github.com/gptoauth/gptoauth/internal/privatepg github.com/fergusstrange/embedded-postgres"}, found)
}
