package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
)

// harmful are settings that change what statements mean, with what they must begin with and why. The driver refuses to
// connect where standard_conforming_strings is off, so that of this one only another role's can be seen.
var harmful = []struct{ name, wanted, consequence string }{
	{"datestyle", "iso", "the driver cannot read a time, so that calls fail after they have committed"},
	{"default_transaction_isolation", "read committed", "the functions refuse any other than read committed (25001)"},
	{"standard_conforming_strings", "on", "a backslash in a text that Bun quotes changes the statement, so that the driver refuses to connect"},
}

// setting is what a database, a role or this connection sets.
type setting struct {
	Database string `bun:"database"` // quoted; empty: all
	Role     string `bun:"role"`     // quoted; empty: all
	Name     string `bun:"name"`
	Value    string `bun:"value"`
}

// lookAtSettings reads what new sessions of any role in this database get, and what this one has.
func lookAtSettings(ctx context.Context, p *Patient) (string, []Finding, error) {
	var encoding string
	var stored, here []setting
	err := p.read(ctx, func(tx bun.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT current_setting('server_encoding')").Scan(&encoding); err != nil {
			return err
		}
		err := tx.NewRaw(`
			SELECT CASE WHEN s.setdatabase = 0 THEN '' ELSE quote_ident(current_database()) END AS database,
			       CASE WHEN s.setrole = 0 THEN '' ELSE quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) END AS role,
			       split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value
			  FROM pg_catalog.pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS c
			 WHERE s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
			 ORDER BY 2, 1, 3`).Scan(ctx, &stored)
		if err != nil {
			return err
		}
		return tx.NewRaw("SELECT '' AS database, '' AS role, name, setting AS value FROM pg_catalog.pg_settings ORDER BY name").Scan(ctx, &here)
	})
	if err != nil {
		return "", nil, err
	}
	findings := judgeSettings(stored, here)
	if encoding != "UTF8" {
		findings = append(findings, Finding{
			"The database's encoding is " + encoding + ", so that some texts which clients send cannot be stored.",
			"Make a database with ENCODING 'UTF8' and move there.",
		})
	}
	return fmt.Sprintf("encoding %s, %s stored for roles and databases", encoding, count(len(stored), "setting", "settings")), findings, nil
}

// judgeSettings names what sets a value, and this connection only for what nothing else explains.
func judgeSettings(stored, here []setting) []Finding {
	var findings []Finding
	explained := make(map[string]bool)
	for _, s := range stored {
		if why := s.harm(); why != "" {
			explained[strings.ToLower(s.Name)] = true
			who, alter := s.origin()
			findings = append(findings, Finding{
				fmt.Sprintf("The %s sets %s to %s: %s.", who, s.Name, s.Value, why),
				fmt.Sprintf("ALTER %s RESET %s; connect anew afterwards.", alter, s.Name),
			})
		}
	}
	for _, s := range here {
		if why := s.harm(); why != "" && !explained[strings.ToLower(s.Name)] {
			findings = append(findings, Finding{
				fmt.Sprintf("This connection sets %s to %s: %s.", s.Name, s.Value, why),
				"Look for it in postgresql.conf, and for clients that SET it behind the same pooler.",
			})
		}
	}
	return findings
}

func (s setting) harm() string {
	for _, h := range harmful {
		if strings.EqualFold(s.Name, h.name) && !strings.HasPrefix(strings.ToLower(s.Value), h.wanted) {
			return h.consequence
		}
	}
	return ""
}

// origin is what sets it, for people and for ALTER.
func (s setting) origin() (who, alter string) {
	switch {
	case s.Role == "" && s.Database == "":
		return "server, for all roles,", "ROLE ALL"
	case s.Role == "":
		return "database " + s.Database, "DATABASE " + s.Database
	case s.Database == "":
		return "role " + s.Role, "ROLE " + s.Role
	default:
		return "role " + s.Role + " in the database " + s.Database, "ROLE " + s.Role + " IN DATABASE " + s.Database
	}
}
