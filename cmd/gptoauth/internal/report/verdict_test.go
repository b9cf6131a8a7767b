package report

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The head of the page says no more than what was read.
func TestTheVerdictKnowsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	const unread = "ot everything could be read"
	warning, alarm := []Finding{{Level: levelWarning}}, []Finding{{Level: levelAlarm}}
	found := &Alarms{Late: 1, LatestAt: time.Now(), Clients: []ClientCount{{"client_1", false, 1}}}
	alarmsGap, otherGap := []Gap{{"alarms", "no"}}, []Gap{{"living", "no"}}
	for name, test := range map[string]struct {
		report Report
		level  string
		head   string
		unread bool
	}{
		"AlarmsUnread":             {Report{Gaps: alarmsGap}, levelUnsure, "Whether anything is alarming could not be read", true},
		"AlarmsUnreadAndAWarning":  {Report{Gaps: alarmsGap, Findings: warning}, levelUnsure, "Whether anything is alarming could not be read", true},
		"AWarning":                 {Report{Alarms: &Alarms{}, Findings: warning}, levelWarning, "Nothing is on fire, but something wants attention", false},
		"AWarningAndSomethingElse": {Report{Alarms: &Alarms{}, Findings: warning, Gaps: otherGap}, levelWarning, "Nothing is on fire, but something wants attention", true},
		"AnAlarmAndSomethingElse":  {Report{Alarms: found, Findings: alarm, Gaps: otherGap}, levelAlarm, "Someone should look at this", true},
		"SomethingElse":            {Report{Alarms: &Alarms{}, Gaps: otherGap}, levelUnsure, "Nothing alarming was found", true},
		"All":                      {Report{Alarms: &Alarms{}}, levelGood, "Nothing is alarming", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.report.Days = 30
			v := test.report.verdict()
			require.Equal(t, []string{test.level, test.head}, []string{v.Level, v.Head})
			if test.unread {
				require.Contains(t, v.Lead, unread)
			} else {
				require.NotContains(t, v.Lead, unread)
			}
		})
	}
}
