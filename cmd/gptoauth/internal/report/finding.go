package report

import (
	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
)

// The levels of a finding.
const (
	levelAlarm   = "alarm"   // someone should look now
	levelWarning = "warning" // someone should look
)

// Finding is something that wants attention, in the words of gptoauth doctor.
type Finding struct {
	Level  string `json:"level"`
	Check  string `json:"check"` // of gptoauth doctor, that looks at the same
	Detail string `json:"detail"`
	Fix    string `json:"fix"`
}

// judge says what is alarming, the worst first. Doctor judges alike, but by the last day only.
func (r Report) judge() []Finding {
	var findings []Finding
	add := func(level, check string, judged []doctor.Finding) {
		for _, f := range judged {
			findings = append(findings, Finding{level, check, f.Text, f.Fix})
		}
	}
	if r.Alarms != nil {
		add(levelAlarm, "alarms", r.Alarms.judged)
	}
	if r.Activity != nil {
		add(levelWarning, "alarms", doctor.Alarms{Refreshes: r.Activity.Rotations, Retries: r.Activity.Retries, Days: r.Days}.Judge())
	}
	if r.Retention != nil {
		add(levelWarning, "purge", r.Retention.judged)
	}
	if r.Storage != nil {
		add(levelWarning, "autovacuum", r.Storage.judged)
	}
	return findings
}
