package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gptoauth/gptoauth/migrations"
)

func lookAtMigrations(ctx context.Context, p *Patient) (string, []Finding, error) {
	states, err := migrations.Status(ctx, p.DB)
	if err != nil {
		return "", nil, err
	}
	of := make(map[string][]string)
	for _, state := range states {
		of[state.Status] = append(of[state.Status], state.ID+"_"+state.Name)
	}
	var findings []Finding
	found := func(status, text, fix string) {
		if names := of[status]; len(names) > 0 {
			findings = append(findings, Finding{fmt.Sprintf("%s %s: %s.", count(len(names), "migration", "migrations"), text, strings.Join(names, ", ")), fix})
		}
	}
	found(migrations.Pending, "pending", "gptoauth migrate up")
	found(migrations.Changed, "edited after being applied", "Restore the file, and put the change into a new migration.")
	found(migrations.Unknown, "applied that this release should know and does not", "Use the release that has them.")
	findings = append(findings, p.heldFinding(ctx)...)
	return fmt.Sprintf("%d applied, %d ahead of this release", len(of[migrations.Applied]), len(of[migrations.Ahead])), findings, nil
}

// heldFinding lets a hold be for an hour, which is what it is for. An application role may not see it, and need not.
func (p *Patient) heldFinding(ctx context.Context) []Finding {
	hold, err := migrations.Held(ctx, p.DB)
	if err != nil || hold == nil || hold.Age < time.Hour {
		return nil
	}
	return []Finding{{
		fmt.Sprintf("%s holds migrations back for %s now: %s.", hold.Holder, age(hold.Age), hold.Reason), "gptoauth migrate unlock",
	}}
}

// age is a duration as people say it.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f seconds", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	default:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
}
