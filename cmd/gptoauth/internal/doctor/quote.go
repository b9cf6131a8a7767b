package doctor

import (
	"regexp"
	"strings"
)

var plainIdent = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// quoteIdent writes a name for a statement that a person copies.
func quoteIdent(name string) string {
	if plainIdent.MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// quoteGrantee leaves PUBLIC, which is no role.
func quoteGrantee(name string) string {
	if name == public {
		return name
	}
	return quoteIdent(name)
}
