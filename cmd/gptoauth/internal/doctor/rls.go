package doctor

import (
	"context"
	"fmt"
	"strings"
)

func lookAtRowSecurity(ctx context.Context, p *Patient) (string, []Finding, error) {
	s, err := p.differences(ctx)
	if err != nil {
		return "", nil, err
	}
	var findings []Finding
	for _, line := range s.extra {
		switch kindOf(line) {
		case kindTable:
			findings = append(findings, tableFinding(line)...)
		case kindPolicy:
			findings = append(findings, policyFinding(line))
		}
	}
	return count(len(s.grantees), "application role has a policy", "application roles have policies"), findings, nil
}

func tableFinding(line string) []Finding {
	table := "public." + nameIn(line)
	var findings []Finding
	if strings.Contains(line, "row level security off") {
		findings = append(findings, Finding{
			"Row level security is off for " + table + ": whoever gets a right on it sees every row, through Supabase's API too.",
			"ALTER TABLE " + table + " ENABLE ROW LEVEL SECURITY;",
		})
	}
	if strings.HasSuffix(line, ", forced") {
		findings = append(findings, Finding{
			"Row level security is forced on " + table + ": it holds for the owner too, so that the store's functions find no rows.",
			"ALTER TABLE " + table + " NO FORCE ROW LEVEL SECURITY;",
		})
	}
	return findings
}

// policyFinding is for policies that no gptoauth migrate grant has made.
func policyFinding(line string) Finding {
	name, rest, _ := strings.Cut(strings.TrimPrefix(line, "policy "), " on public.")
	table, how, _ := strings.Cut(rest, " ")
	return Finding{
		fmt.Sprintf("The policy %s on public.%s is not one of gptoauth's (%s).", name, table, how),
		fmt.Sprintf("DROP POLICY %s ON public.%s; a role that runs the store gets its rights by gptoauth migrate grant.", name, table),
	}
}
