package report

import (
	"fmt"
	"regexp"
	"strings"
)

// verdict is what stands first on the page.
type verdict struct {
	Level string // alarm, warning, unsure or good
	Head  string
	Lead  string
}

const (
	levelUnsure = "unsure"
	levelGood   = "good"
)

func (r Report) verdict() verdict {
	alarms, warnings := 0, 0
	for _, f := range r.Findings {
		if f.Level == levelAlarm {
			alarms++
		} else {
			warnings++
		}
	}
	var v verdict
	switch {
	case alarms > 0:
		v = verdict{levelAlarm, "Someone should look at this", r.alarmLead()}
	case r.Alarms == nil: // before warnings: that nothing is on fire is what nobody knows
		v = verdict{levelUnsure, "Whether anything is alarming could not be read", r.calmLead()}
	case warnings > 0:
		v = verdict{levelWarning, "Nothing is on fire, but something wants attention", r.calmLead()}
	case len(r.Gaps) > 0:
		v = verdict{levelUnsure, "Nothing alarming was found", r.calmLead()}
	default:
		v = verdict{levelGood, "Nothing is alarming", r.calmLead()}
	}
	if len(r.Gaps) > 0 {
		v.Lead = strings.TrimSpace(v.Lead + " Not everything could be read: what is missing below says why, and what helps.")
	}
	return v
}

// alarmLead says how many, and how long ago.
func (r Report) alarmLead() string {
	a := r.Alarms
	var parts []string
	if n := a.reused(); n > 0 {
		parts = append(parts, count(n, "spent refresh token", "spent refresh tokens"))
	}
	if a.Replays > 0 {
		parts = append(parts, count(a.Replays, "spent code", "spent codes"))
	}
	lead := fmt.Sprintf("%s came back in %s, the latest %s ago", strings.Join(parts, " and "), r.lasting(), span(r.MadeAt.Sub(a.LatestAt)))
	if first := a.Clients[0]; a.total() > 1 && first.Alarms*2 > a.total() && !first.Others {
		lead += fmt.Sprintf("; %s with %s", share(first.Alarms, a.total()), clientName(first.ClientID, false).Text)
	}
	return lead + ". Each of these sessions was ended at once; what is left to find out is who was behind it."
}

// share words how many of several.
func share(part, whole int) string {
	if part == whole {
		return "all of them"
	}
	return thousands(part) + " of these " + thousands(whole)
}

// calmLead says what was looked at.
func (r Report) calmLead() string {
	var parts []string
	if r.Alarms != nil && r.Alarms.total() == 0 {
		parts = append(parts, "no spent token or code came back in "+r.lasting())
	}
	if r.Retention != nil && r.Retention.whole && len(r.Retention.judged) == 0 {
		parts = append(parts, "no row is overdue for deletion")
	}
	if r.Storage != nil && len(r.Storage.judged) == 0 {
		parts = append(parts, "autovacuum keeps up")
		if r.Replica {
			parts[len(parts)-1] = "dead rows are not known here, on a replica"
		}
	}
	if len(parts) == 0 {
		return ""
	}
	lead := strings.Join(parts, ", ")
	if last := len(parts) - 1; last > 0 {
		lead = strings.Join(parts[:last], ", ") + ", and " + parts[last]
	}
	lead = capital(lead) + "."
	if r.Activity != nil && r.Living != nil && r.Activity.CodesIssued+r.Activity.Rotations+r.Living.Sessions == 0 {
		lead += " But nothing happens here at all: no one signed in, and no session is active."
	}
	return lead
}

func (r Report) lasting() string {
	if r.Days == 1 {
		return "the last 24 hours"
	}
	return fmt.Sprintf("%d days", r.Days)
}

// word is a piece of advice, or a command in it.
type word struct {
	Text    string
	Command bool
}

// Words are not broken at their hyphens.
func (w word) Words() []string { return strings.Fields(w.Text) }

// command is what someone may copy into a terminal, in the advice of gptoauth doctor.
var command = regexp.MustCompile(`gptoauth (?:[a-z]+ (?:list|trace|stats)|[a-z]+)(?: --[a-z]+ [a-z0-9_]+)*|--[a-z]+|` +
	`VACUUM public\.[a-z_]+|ALTER TABLE [^;]+;|repo\.[A-Z][A-Za-z.]+[A-Za-z]`)

func commands(advice string) []word {
	var words []word
	end := 0
	for _, at := range command.FindAllStringIndex(advice, -1) {
		words = append(words, word{Text: advice[end:at[0]]}, word{advice[at[0]:at[1]], true})
		end = at[1]
	}
	return append(words, word{Text: advice[end:]})
}
