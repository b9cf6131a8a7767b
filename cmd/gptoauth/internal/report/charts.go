package report

import "fmt"

// noneYet is what an empty chart says.
const noneYet = "None in this time."

// bucketSeries is one count of every bucket.
func (r Report) bucketSeries(name, class string, of func(Counts) int) series {
	s := series{Name: label{Text: name, Whole: name}, Class: class}
	for _, b := range r.Activity.Buckets {
		s.Values = append(s.Values, of(b.Counts))
		s.Total += of(b.Counts)
	}
	return s
}

// activityChart is a chart of events.
func (r Report) activityChart(c columns, of func() []series) columns {
	if c.Empty == "" {
		c.Empty = noneYet
	}
	if r.Activity == nil {
		c.Gap = r.gap("activity")
		return c
	}
	c.Series = of()
	return r.window.draw(c)
}

func (r Report) signInsChart() columns {
	c := columns{ID: "sign-ins", Title: "Sign-ins", Wide: true, Empty: "No one signed in."}
	if r.SignIns == nil {
		c.Gap = r.gap("sign_ins")
		return c
	}
	for i, client := range r.SignIns.Clients {
		class := fmt.Sprintf("c%d", i+1)
		if client.Others {
			class = "cx"
		}
		c.Series = append(c.Series, series{clientName(client.ClientID, client.Others), class, client.Exchanges, client.Buckets})
	}
	c = r.window.draw(c)
	c.Lead = "Codes exchanged, each for a new session, by client."
	if a := r.Activity; a != nil && a.CodesIssued > 0 {
		c.Lead += fmt.Sprintf(" %s issued, %s exchanged.", count(a.CodesIssued, "code was", "codes were"), count(a.Exchanges, "was", "were"))
	}
	return c
}

func (r Report) rotationsChart() columns {
	return r.activityChart(columns{ID: "refreshes", Title: "Refreshes", Lead: "Refresh tokens rotated, each for its successor."}, func() []series {
		return []series{r.bucketSeries("refreshes", "c1", func(c Counts) int { return c.Rotations })}
	})
}

func (r Report) retriesChart() columns {
	lead := "Tokens asked for again within the grace period: answers got lost, or a client refreshes in parallel. Each was given the same successor."
	return r.activityChart(columns{ID: "retries", Title: "Retries", Lead: lead}, func() []series {
		return []series{r.bucketSeries("retries", "retry", func(c Counts) int { return c.Retries })}
	})
}

func (r Report) alarmsChart() columns {
	c := columns{ID: "alarms", Title: "Reuse and replay", Empty: "None. No spent token or code came back in this time."}
	c.Lead = "Spent refresh tokens, and spent codes, that came back: stolen, or restored from a backup. Each ended its session."
	c = r.activityChart(c, func() []series {
		return []series{
			r.bucketSeries("tokens reused", "reuse", func(c Counts) int { return c.Reuses }),
			r.bucketSeries("codes replayed", "replay", func(c Counts) int { return c.Replays }),
		}
	})
	c.Wide = c.Total > 0
	return c
}

func (r Report) mismatchesChart() columns {
	lead := "Codes and tokens presented with a wrong client, redirect URI or verifier: a client's bug or a probe. Nothing was changed."
	return r.activityChart(columns{ID: "mismatches", Title: "Mismatches", Lead: lead}, func() []series {
		return []series{r.bucketSeries("mismatches", "mismatch", func(c Counts) int { return c.Mismatches })}
	})
}

func (r Report) alarmClientsChart() bars {
	b := bars{
		ID: "alarm-clients", Title: "Alarms by client", Lead: "Whose tokens and codes came back.", Head: []string{"Client", "Alarms", "Share"},
		Empty: "None.", Gap: r.gap("alarms"),
	}
	if r.Alarms == nil {
		return b
	}
	most := 0
	for _, c := range r.Alarms.Clients {
		most = max(most, c.Alarms)
	}
	for _, c := range r.Alarms.Clients {
		share := percent(c.Alarms, r.Alarms.total())
		b.Bars = append(b.Bars, lyingBar{
			Name: clientName(c.ClientID, c.Others), Text: thousands(c.Alarms), Hint: share + " of all alarms",
			Parts: []part{{"reuse", 0, lengthOf(int64(c.Alarms), int64(most))}}, Cells: []string{thousands(c.Alarms), share},
		})
	}
	return b
}

// livingChart shows how many of a client's sessions are in use.
func (r Report) livingChart() bars {
	b := bars{
		ID: "living", Title: "Active sessions now", Head: []string{"Client", "Active", "Used within 7 days", "Used within 24 hours"},
		Empty: "No session is active.", Gap: r.gap("living"),
	}
	l := r.Living
	if l == nil {
		return b
	}
	if l.Sessions == 0 {
		return b
	}
	b.Lead = fmt.Sprintf("By client. In full colour is what was used within 7 days: %s of %s.", thousands(l.ActiveWeek), thousands(l.Sessions))
	most := 0
	for _, c := range l.Clients {
		most = max(most, c.Sessions)
	}
	for _, c := range l.Clients {
		used, all := lengthOf(int64(c.Week), int64(most)), lengthOf(int64(c.Sessions), int64(most))
		b.Bars = append(b.Bars, lyingBar{
			Name: clientName(c.ClientID, c.Others), Text: thousands(c.Sessions),
			Hint:  fmt.Sprintf("%s used within 7 days, %s within 24 hours", thousands(c.Week), thousands(c.Day)),
			Parts: []part{{"c1", 0, used}, {"idle", used, round(max(all-used, 0))}},
			Cells: []string{thousands(c.Sessions), thousands(c.Week), thousands(c.Day)},
		})
	}
	return b
}

func (r Report) endedChart() bars {
	b := bars{
		ID: "ended", Title: "Sessions ended", Head: []string{"Reason", "Sessions", "Share"}, Empty: "No session was ended.", Gap: r.gap("ended"),
		Lead: "By reason, of which those of the host's own are not named. Those that expired are not among them, nor those that are purged already.",
	}
	if r.Ended == nil {
		return b
	}
	most := 0
	for _, e := range r.Ended.Reasons {
		most = max(most, e.Sessions)
	}
	for _, e := range r.Ended.Reasons {
		class, share := "c2", percent(e.Sessions, r.Ended.Sessions)
		if e.Reason == "token_reuse" || e.Reason == "code_replay" {
			class = "reuse"
		}
		b.Bars = append(b.Bars, lyingBar{
			Name: reasonName(e.Reason, e.Others), Text: thousands(e.Sessions), Hint: share + " of those that were ended",
			Parts: []part{{class, 0, lengthOf(int64(e.Sessions), int64(most))}}, Cells: []string{thousands(e.Sessions), share},
		})
	}
	return b
}
