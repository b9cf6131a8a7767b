package doctor

import (
	"context"
	_ "embed"
	"regexp"
	"slices"
	"strings"

	"github.com/gptoauth/gptoauth/migrations"
)

// expected is what all migrations of this release make, in the lines of migrations.Describe. A test keeps it up to date.
//
//go:embed expected.txt
var expected string

func expectedLines() []string { return strings.Split(strings.TrimSpace(expected), "\n") }

// schema is how the database differs from what the migrations make.
type schema struct {
	missing, extra []string // lines of migrations.Describe
	grantees       []migrations.Grantee
}

// differences describes the database once for all checks that need it. What application roles were granted is explained,
// and what is not about our own tables and functions is the host's business, whatever it is called.
func (p *Patient) differences(ctx context.Context) (*schema, error) {
	if p.schema != nil {
		return p.schema, nil
	}
	if err := p.comparable(ctx); err != nil {
		return nil, err
	}
	lines, err := migrations.Describe(ctx, p.DB)
	if err != nil {
		return nil, err
	}
	s := &schema{}
	if s.grantees, err = migrations.Grantees(ctx, p.DB); err != nil {
		return nil, err
	}
	var explained []string
	for _, grantee := range s.grantees {
		explained = append(explained, grantee.Lines...)
	}
	want := expectedLines()
	s.missing = without(want, lines)
	s.extra = slices.DeleteFunc(without(without(lines, want), explained), func(line string) bool { return !isOurs(line) })
	p.schema = s
	return s, nil
}

// comparable is an error while there are migrations that this release would make or does not know: what they make cannot be
// told from drift. A role that may not read the history compares all the same.
func (p *Patient) comparable(ctx context.Context) error {
	states, err := migrations.Status(ctx, p.DB)
	if err != nil {
		return nil //nolint:nilerr // the check of migrations says so
	}
	for _, state := range states {
		switch state.Status {
		case migrations.Pending, migrations.Unknown:
			return UnseenError("what is pending or unknown cannot be told from drift: see migrations")
		case migrations.Ahead:
			return UnseenError("a newer release has migrated this database: use its gptoauth doctor")
		}
	}
	return nil
}

var ourName = regexp.MustCompile(`public\.(gpt_\w+)`)

// ourNames are the tables and functions that the migrations make.
var ourNames = func() map[string]bool {
	names := make(map[string]bool)
	for _, line := range expectedLines() {
		if kind, _, _ := strings.Cut(line, " "); kind == kindTable || kind == kindFunction {
			names[nameIn(line)] = true
		}
	}
	return names
}()

// nameIn is the table or function that a line is about.
func nameIn(line string) string {
	match := ourName.FindStringSubmatch(line)
	if match == nil {
		return ""
	}
	return match[1]
}

func isOurs(line string) bool { return ourNames[nameIn(line)] }

func without(lines, taken []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(taken, line) })
}
