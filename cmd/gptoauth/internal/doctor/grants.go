package doctor

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gptoauth/gptoauth/migrations"
)

const public = "PUBLIC"

// apiRoles are those that Supabase's API acts as. Whoever has the project's public key is anon.
var apiRoles = []string{"anon", "authenticated", "service_role"}

var grantLine = regexp.MustCompile(`^grant (\w+)(?: WITH GRANT OPTION)? on (table|sequence|column|function) (.+) to (.+)$`)

// grantGroup is what one grantee may do with one object.
type grantGroup struct {
	grantee, object string // the object as REVOKE wants it
	privileges      []string
}

func lookAtGrants(ctx context.Context, p *Patient) (string, []Finding, error) {
	s, err := p.differences(ctx)
	if err != nil {
		return "", nil, err
	}
	var groups []grantGroup
	for _, line := range s.extra {
		if match := grantLine.FindStringSubmatch(line); match != nil {
			groups = addGrant(groups, match[1], match[2], match[3], match[4])
		}
	}
	var findings []Finding
	for _, group := range groups {
		findings = append(findings, group.finding())
	}
	names := make([]string, len(s.grantees))
	for i, grantee := range s.grantees {
		names[i] = grantee.Role
		findings = append(findings, missingRights(grantee)...)
	}
	if len(names) == 0 {
		return "the store is run by the owner only", findings, nil
	}
	return "the store is run by the owner and " + strings.Join(names, ", "), findings, nil
}

func addGrant(groups []grantGroup, privilege, class, name, grantee string) []grantGroup {
	object := strings.ToUpper(class) + " " + name
	if class == "column" {
		dot := strings.LastIndexByte(name, '.')
		object = "TABLE " + name[:dot]
		privilege += " (" + name[dot+1:] + ")"
	}
	i := slices.IndexFunc(groups, func(g grantGroup) bool { return g.grantee == grantee && g.object == object })
	if i < 0 {
		return append(groups, grantGroup{grantee, object, []string{privilege}})
	}
	groups[i].privileges = append(groups[i].privileges, privilege)
	return groups
}

func (g grantGroup) finding() Finding {
	kind, name, _ := strings.Cut(g.object, " ")
	who := g.grantee
	switch {
	case who == public:
		who = "Every role (PUBLIC)"
	case slices.Contains(apiRoles, who):
		who += ", and with it Supabase's API,"
	}
	finding := Finding{
		fmt.Sprintf("%s may %s on the %s %s.", who, strings.Join(g.privileges, ", "), strings.ToLower(kind), name),
		fmt.Sprintf("REVOKE ALL ON %s FROM %s;", g.object, quoteGrantee(g.grantee)),
	}
	if g.grantee != public && !slices.Contains(apiRoles, g.grantee) {
		finding.Fix += " If it runs the store: gptoauth migrate grant " + quoteIdent(g.grantee)
	}
	return finding
}

func missingRights(grantee migrations.Grantee) []Finding {
	if len(grantee.Missing) == 0 {
		return nil
	}
	fix := "gptoauth migrate grant " + quoteIdent(grantee.Role)
	if grantee.Erase {
		fix += " --erase"
	}
	return []Finding{{
		fmt.Sprintf("The role %s lacks %s that the store needs, the first is: %s.", grantee.Role, count(len(grantee.Missing), "right", "rights"), grantee.Missing[0]),
		fix,
	}}
}
