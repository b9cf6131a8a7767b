package doctor

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/migrations"
)

var update = flag.Bool("update", false, "write what the migrations make anew")

// go test -run TestExpectedIsWhatTheMigrationsMake -update ./cmd/gptoauth/internal/doctor writes expected.txt anew.
func TestExpectedIsWhatTheMigrationsMake(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	lines, err := migrations.Describe(t.Context(), db)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("expected.txt", []byte(strings.Join(lines, "\n")+"\n"), 0o600))
		return
	}
	require.Equal(t, expectedLines(), lines, "run this test with -update")
}

func TestACleanDatabaseHasNoFindings(t *testing.T) {
	t.Parallel()
	_, db := newDatabase(t)
	results := Examine(t.Context(), Patient{DB: db})
	require.Len(t, results, len(Checks()))
	for _, result := range results {
		require.Equal(t, OK, result.Status, "%+v", result)
		require.NotEmpty(t, result.Seen)
	}
}
