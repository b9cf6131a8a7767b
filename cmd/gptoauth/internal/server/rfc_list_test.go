package server

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requirement is a line of testdata/rfc, whose README says what the columns are.
type requirement struct {
	section, level, demand, fallsOn, shownBy string
}

var (
	requirementLevels = []string{"MUST", "MUST NOT", "SHALL", "REQUIRED", "SHOULD", "SHOULD NOT", "RECOMMENDED", "MAY", "prose"}
	othersDuties      = []string{
		"client", "resource server", "TLS terminator", "an extension's author", "the operator, who registers clients", "the sign-in (Clerk)",
	}
)

// TestRFCLists: the lists of all that the documents demand name only what there is, each rule of TestRFC is on one, each
// limit is among those of the README, and the counts beside them are right.
func TestRFCLists(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/rfc/*.tsv")
	require.NoError(t, err)
	require.Len(t, files, 12)
	evidence := newEvidence(t)
	for _, file := range files {
		requirements := readRequirements(t, file)
		for i, r := range requirements {
			evidence.require(t, r, fmt.Sprintf("%s:%d", file, i+2))
		}
		require.Contains(t, evidence.counts, countRow(filepath.Base(file), requirements))
	}
	for _, r := range allRules() {
		require.True(t, evidence.used[r.name()], "no list has the rule %q", r.name())
	}
}

// TestRFCListsAreRefusedIfNothingShowsALine, be it only by an empty name.
func TestRFCListsAreRefusedIfNothingShowsALine(t *testing.T) {
	t.Parallel()
	evidence := newEvidence(t)
	refused := func(shownBy string) bool {
		var told refusal
		done := make(chan struct{})
		go func() { // which FailNow ends
			defer close(done)
			evidence.require(&told, requirement{section: "1", level: "MUST", demand: "a demand", fallsOn: "us", shownBy: shownBy}, "a line") //nolint:testifylint // told is another test than this one
		}()
		<-done
		return bool(told)
	}
	for _, good := range []string{"limit: no dynamic registration", "readme: 57 characters", "test: TestRFCLists"} {
		require.False(t, refused(good), good)
	}
	for _, bad := range []string{
		"", "limit", "limit: ", "limit:  ", "readme: ", "readme:   ", "limit: there is no such limit", "readme: there are no such words",
		"row: ", "row: there is no such rule", "test: ", "test: TestThatThereIsNot", "word: 57 characters",
	} {
		require.True(t, refused(bad), "%q", bad)
	}
}

// refusal is a test that may fail.
type refusal bool

func (r *refusal) Errorf(string, ...any) { *r = true }
func (r *refusal) FailNow()              { runtime.Goexit() }

func readRequirements(t *testing.T, file string) []requirement {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	require.Equal(t, "section\tlevel\trequirement\tfalls on\tshown by", lines[0])
	var requirements []requirement
	for i, line := range lines[1:] {
		columns := strings.Split(line, "\t")
		require.Len(t, columns, 5, "%s:%d", file, i+2)
		requirements = append(requirements, requirement{columns[0], columns[1], columns[2], columns[3], columns[4]})
	}
	return requirements
}

// countRow is the row of the table in testdata/rfc/README.md. What stands in prose is not counted, as it has none of the
// words by which the others are counted.
func countRow(file string, requirements []requirement) string {
	var all, shown, limits int
	for _, r := range requirements {
		switch {
		case r.level == "prose" || r.level == "MAY":
			continue
		case strings.HasPrefix(r.shownBy, "limit: "):
			limits++
		case r.fallsOn == "us":
			shown++
		}
		all++
	}
	return fmt.Sprintf("| [%s](%s) | %d | %d | %d | %d |", file, file, all, shown, limits, all-shown-limits)
}

// evidence is what a line may name.
type evidence struct {
	rules, tests map[string]bool
	documents    string // README.md and SECURITY.md
	limits       string // of the README
	counts       string
	used         map[string]bool
}

func newEvidence(t *testing.T) *evidence {
	t.Helper()
	e := &evidence{rules: map[string]bool{}, tests: map[string]bool{}, used: map[string]bool{}}
	for _, r := range allRules() {
		require.False(t, e.rules[r.name()], "there are two rules %q", r.name())
		e.rules[r.name()] = true
	}
	for _, file := range append(glob(t, "*_test.go"), glob(t, "../../../../repo/mcpauth/*_test.go")...) {
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(readText(t, file), -1) {
			e.tests[match[1]] = true
		}
	}
	readme := readText(t, "../../../../README.md")
	_, limits, ok := strings.Cut(readme, "\n## Limits\n")
	require.True(t, ok)
	limits, _, _ = strings.Cut(limits, "\n## ")
	e.limits = oneLine(limits)
	e.documents = oneLine(readme + readText(t, "../../../../SECURITY.md"))
	e.counts = readText(t, "testdata/rfc/README.md")
	return e
}

func (e *evidence) require(t require.TestingT, r requirement, where string) {
	require.Contains(t, requirementLevels, r.level, where)
	require.NotEmpty(t, r.demand, where)
	if r.fallsOn != "us" {
		require.True(t, slices.Contains(othersDuties, r.fallsOn) || strings.HasPrefix(r.fallsOn, "not offered: "), "%s: %s", where, r.fallsOn)
		require.Empty(t, r.shownBy, where)
		return
	}
	kind, name, _ := strings.Cut(r.shownBy, ": ")
	require.NotEmpty(t, strings.TrimSpace(name), "%s: it names nothing", where) // which every text contains
	switch kind {
	case "row":
		require.True(t, e.rules[name], "%s: TestRFC has no rule %q", where, name)
		e.used[name] = true
	case "test":
		require.True(t, e.tests[name], "%s: there is no test %s", where, name)
	case "readme":
		require.Contains(t, e.documents, name, where)
	case "limit":
		require.Contains(t, e.limits, name, where)
	default:
		require.Fail(t, "nothing shows it", where)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	return files
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
