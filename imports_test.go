package gptoauth_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The modules that a host links in. Whatever is added here every host has to build, to audit and to keep up to date.
var (
	bunModules = []string{
		"github.com/uptrace/bun",
		"github.com/jinzhu/inflection",      // names of tables
		"github.com/puzpuzpuz/xsync/v3",     // its cache of models
		"github.com/tmthrgd/go-hex",         // bytea
		"github.com/vmihailenco/msgpack/v5", // columns that are tagged msgpack
		"github.com/vmihailenco/tagparser/v2",
		"golang.org/x/sys", // of go-hex
	}
	driverModules = []string{
		"github.com/uptrace/bun/dialect/pgdialect",
		"github.com/uptrace/bun/driver/pgdriver",
		"mellium.im/sasl", // SCRAM
		"golang.org/x/crypto",
		"go.opentelemetry.io/otel", // its API, which does nothing without its SDK
		"go.opentelemetry.io/otel/trace",
		"github.com/cespare/xxhash/v2",
	}
)

func TestImportsStaySmall(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pkg     string
		allowed []string
	}{
		{"repo", slices.Concat(bunModules, driverModules, []string{"github.com/google/uuid"})},
		{"migrations", bunModules},
	} {
		t.Run(tc.pkg, func(t *testing.T) {
			t.Parallel()
			own := "github.com/gptoauth/gptoauth/" + tc.pkg
			for dep, module := range dependencies(t, own) {
				switch module {
				case "": // the standard library
					require.NotContains(t, []string{"testing", "flag", "expvar", "net/http/pprof"}, dep, "%s has come to import it", own)
				case "github.com/gptoauth/gptoauth": // repo and migrations know nothing of each other
					require.True(t, dep == own || strings.HasPrefix(dep, own+"/internal/"), "%s has come to import %s", own, dep)
				default:
					require.Contains(t, tc.allowed, module, "%s has come to import %s", own, dep)
				}
			}
		})
	}
}

// TestOpenTelemetryIsForThoseWhoAskForIt: what the driver imports of its API is all that a host links in without repootel, and
// repootel itself leaves the SDK and the global providers to the host.
func TestOpenTelemetryIsForThoseWhoAskForIt(t *testing.T) {
	t.Parallel()
	const otel = "go.opentelemetry.io/"
	driver := dependencies(t, "github.com/uptrace/bun/driver/pgdriver")
	for _, pkg := range []string{"repo", "migrations"} {
		for dep := range dependencies(t, modulePath+"/"+pkg) {
			if strings.HasPrefix(dep, otel) {
				require.Contains(t, driver, dep, "%s has come to import it", pkg)
			}
		}
	}
	adapter := dependencies(t, modulePath+"/repo/repootel")
	require.NotContains(t, adapter, otel+"otel", "whose functions are the global state")
	for dep, module := range adapter {
		require.NotContains(t, module, otel+"otel/sdk", "%s", dep)
		require.NotContains(t, module, otel+"contrib", "%s", dep)
	}
}

// dependencies maps what a package imports, directly or not, to the modules that it comes from.
func dependencies(t *testing.T, pkg string) map[string]string {
	t.Helper()
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", pkg)
	list.Stderr = &stderr
	out, err := list.Output()
	require.NoError(t, err, stderr.String())
	modules := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, module, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		modules[path] = module
	}
	require.Contains(t, modules, pkg)
	return modules
}
