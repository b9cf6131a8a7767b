package doctor

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// The kinds of lines of migrations.Describe.
const (
	kindTable      = "table"
	kindColumn     = "column"
	kindConstraint = "constraint"
	kindIndex      = "index"
	kindTrigger    = "trigger"
	kindFunction   = "function"
	kindPolicy     = "policy"
	kindGrant      = "grant"
)

const makesIt = "The SQL that makes it is in the files of gptoauth migrate export."

var indexName = regexp.MustCompile(`CREATE (?:UNIQUE )?INDEX (.+?) ON `)

func lookAtDrift(ctx context.Context, p *Patient) (string, []Finding, error) {
	s, err := p.differences(ctx)
	if err != nil {
		return "", nil, err
	}
	missing, extra := things(s.missing), things(s.extra)
	var findings []Finding
	for _, line := range missing {
		changed, ok := sameThing(line, extra)
		switch {
		case !ok:
			findings = append(findings, missingFinding(line))
		case kindOf(line) != kindTable: // of which only row level security can differ, see rls
			findings = append(findings, changedFinding(line, changed))
		}
	}
	for _, line := range extra {
		if _, ok := sameThing(line, missing); !ok {
			findings = append(findings, extraFinding(line))
		}
	}
	return fmt.Sprintf("%d things compared with what the migrations make", len(things(expectedLines()))), findings, nil
}

// things leaves out what other checks look at.
func things(lines []string) []string {
	var kept []string
	for _, line := range lines {
		kind := kindOf(line)
		if kind != kindGrant && kind != kindPolicy {
			kept = append(kept, line)
		}
	}
	return kept
}

func kindOf(line string) string {
	kind, _, _ := strings.Cut(line, " ")
	return kind
}

// thing is what a line is about, for people; the rest of the line says how it is.
func thing(line string) string {
	words := strings.Fields(line)
	switch kindOf(line) {
	case kindTable, kindFunction:
		before, _, _ := strings.Cut(line, ", row level")
		before, _, _ = strings.Cut(before, ", md5 ")
		return before
	case kindColumn:
		return words[0] + " " + words[1]
	case kindConstraint:
		return "constraint " + words[3] + " on " + words[2]
	case kindIndex:
		if match := indexName.FindStringSubmatch(line); match != nil {
			return "index " + match[1] + " on " + words[2]
		}
	case kindTrigger:
		if before, _, ok := strings.Cut(line, " EXECUTE "); ok {
			return before
		}
	}
	return line
}

// sameThing finds the line that is about the same.
func sameThing(line string, others []string) (string, bool) {
	for _, other := range others {
		if thing(other) == thing(line) {
			return other, true
		}
	}
	return "", false
}

func missingFinding(line string) Finding {
	text := "The " + thing(line) + " is missing."
	switch kindOf(line) {
	case kindIndex:
		return Finding{text, strings.Replace(indexStatement(line), "INDEX ", "INDEX CONCURRENTLY ", 1) + ";"}
	case kindConstraint:
		words := strings.SplitN(line, " ", 5)
		return Finding{text, fmt.Sprintf("Find rows that break it (gptoauth purge --check), then ALTER TABLE %s ADD CONSTRAINT %s %s;", words[2], words[3], words[4])}
	default:
		return Finding{text, makesIt}
	}
}

// definition is what a line says about its thing.
func definition(line string) string {
	switch kindOf(line) {
	case kindColumn:
		return strings.SplitN(line, " ", 3)[2]
	case kindConstraint:
		return strings.SplitN(line, " ", 5)[4]
	case kindIndex:
		return indexStatement(line)
	default:
		return line
	}
}

func indexStatement(line string) string {
	_, after, _ := strings.Cut(line, " CREATE ")
	return "CREATE " + after
}

func changedFinding(want, got string) Finding {
	switch kindOf(want) {
	case kindFunction:
		return Finding{"The " + thing(want) + " is not the one that the migrations make.", "Find out who changed it, then make it again. " + makesIt}
	case kindIndex:
		if got == want+" INVALID" {
			name := indexName.FindStringSubmatch(want)[1]
			return Finding{"The " + thing(want) + " is invalid: building it failed, it is written and never read.", "REINDEX INDEX CONCURRENTLY public." + name + ";"}
		}
	}
	return Finding{fmt.Sprintf("The %s was changed: it is %s and should be %s.", thing(want), definition(got), definition(want)), "Find out who changed it, then change it back. " + makesIt}
}

func extraFinding(line string) Finding {
	text := "The " + thing(line) + " is not made by any migration."
	switch kindOf(line) {
	case kindIndex:
		name := indexName.FindStringSubmatch(line)[1]
		return Finding{text + " Each row that is written pays for it.", "If nothing needs it: DROP INDEX CONCURRENTLY public." + name + ";"}
	case kindConstraint:
		words := strings.Fields(line)
		return Finding{text + " It may refuse what the store writes.", fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s;", words[2], words[3])}
	case kindTrigger:
		return Finding{text + " It runs with each change of a row and may undo it.", "Find out who made it, then DROP TRIGGER."}
	case kindFunction:
		return Finding{text + " It can shadow one of the store's.", "Find out who made it, then DROP FUNCTION."}
	default:
		return Finding{text, "If nothing needs it, drop it."}
	}
}
