package report

import (
	"slices"
	"time"
)

// tile is a number at the head of the page.
type tile struct {
	Name, Value, Note string
	Href              string // the chart that it is about
	Level             string // colours an alarm
}

const notRead = "could not be read"

func (r Report) tiles() []tile {
	return slices.Concat([]tile{r.livingTile()}, r.trafficTiles(r.Until.Sub(r.Since)), r.alarmTiles())
}

func (r Report) livingTile() tile {
	t := tile{Name: "Active sessions", Value: "–", Note: notRead, Href: "living"}
	if l := r.Living; l != nil {
		t.Value, t.Note = compact(l.Sessions), "now; "+compact(l.ActiveDay)+" used within a day"
	}
	return t
}

func (r Report) trafficTiles(length time.Duration) []tile {
	tiles := []tile{
		{Name: "Sign-ins", Value: "–", Note: notRead, Href: "sign-ins"},
		{Name: "Refreshes", Value: "–", Note: notRead, Href: "refreshes"},
		{Name: "Retries", Value: "–", Note: notRead, Href: "retries"},
	}
	a := r.Activity
	if a == nil {
		return tiles
	}
	tiles[0].Value, tiles[0].Note = compact(a.Exchanges), perTime(a.Exchanges, length)
	tiles[1].Value, tiles[1].Note = compact(a.Rotations), perTime(a.Rotations, length)
	tiles[2].Value, tiles[2].Note = compact(a.Retries), "none"
	if a.Retries > 0 {
		tiles[2].Note = rate(float64(a.Retries)*100/float64(max(a.Rotations, 1))) + " per 100 refreshes"
	}
	return tiles
}

func (r Report) alarmTiles() []tile {
	tiles := []tile{
		{Name: "Tokens reused", Value: "–", Note: notRead, Href: "alarms"},
		{Name: "Codes replayed", Value: "–", Note: notRead, Href: "alarms"},
	}
	a := r.Alarms
	if a == nil {
		return tiles
	}
	for i, n := range []int{a.reused(), a.Replays} {
		tiles[i].Value, tiles[i].Note = compact(n), "as it should be"
		if n > 0 {
			tiles[i].Level, tiles[i].Note = levelAlarm, "each ended its session"
		}
	}
	if soon := a.InGrace + a.Soon; soon > 0 {
		tiles[0].Note = compact(soon) + " soon after rotation"
	}
	return tiles
}
