package migrations

import (
	"os"
	"testing"

	"github.com/gptoauth/gptoauth/internal/privatepg"
)

// serverURL is where the tests run. Package repotest, which would say so too, imports this package.
func serverURL(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv("GPTOAUTH_TEST_DATABASE_URL"); dsn != "" {
		return dsn
	}
	server, err := privatepg.Shared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return server.URL("postgres")
}
