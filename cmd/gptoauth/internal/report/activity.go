package report

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/repo"
)

// shownClients are told apart, the others are shown as one: more colours would be told apart by no one.
const shownClients = 5

// Counts are numbers of events.
type Counts struct {
	CodesIssued int `json:"codes_issued"`
	Exchanges   int `json:"exchanges"`
	Rotations   int `json:"rotations"`
	Retries     int `json:"retries"`
	Reuses      int `json:"reuses"`
	Replays     int `json:"replays"`
	Mismatches  int `json:"mismatches"`
	Revocations int `json:"revocations"`
}

// add counts what is counted of a type.
func (c *Counts) add(eventType string, n int) {
	switch eventType {
	case repo.EventAuthorize:
		c.CodesIssued += n
	case repo.EventTokenExchange:
		c.Exchanges += n
	case repo.EventTokenRefresh:
		c.Rotations += n
	case repo.EventTokenRetry:
		c.Retries += n
	case repo.EventTokenReuse:
		c.Reuses += n
	case repo.EventCodeReplay:
		c.Replays += n
	case repo.EventCodeMismatch, repo.EventTokenMismatch:
		c.Mismatches += n
	case repo.EventTokenRevoke:
		c.Revocations += n
	}
}

// Activity is what happened in the window.
type Activity struct {
	Counts

	Buckets []Bucket `json:"buckets"`
}

// Bucket is a part of the window.
type Bucket struct {
	Begin time.Time `json:"begin"`

	Counts //nolint:embeddedstructfieldcheck // in JSON, after the time
}

// readActivity reads every event of the window, by the index on its time.
func readActivity(ctx context.Context, s *snapshot, tx bun.Tx) (Activity, error) {
	types := []string{
		repo.EventAuthorize, repo.EventTokenExchange, repo.EventTokenRefresh, repo.EventTokenRetry, repo.EventTokenReuse,
		repo.EventCodeReplay, repo.EventCodeMismatch, repo.EventTokenMismatch, repo.EventTokenRevoke,
	}
	counts, err := s.count(ctx, tx, repo.EventCountParams{
		Filter: repo.EventListParams{Types: types}, Top: len(types), Bucket: s.window.unit(),
	})
	if err != nil {
		return Activity{}, err
	}
	a := Activity{Buckets: make([]Bucket, s.window.buckets())}
	for i := range a.Buckets {
		a.Buckets[i].Begin = s.window.begin(i)
	}
	for _, c := range counts {
		a.add(c.Value, c.Events)
		a.Buckets[s.window.index(c.Begin)].add(c.Value, c.Events)
	}
	return a, nil
}

// SignIns are the exchanges by client, of which each begins a session.
type SignIns struct {
	Clients []ClientSeries `json:"clients"`
}

// ClientSeries is what one client has, in all and in each bucket.
type ClientSeries struct {
	ClientID  string `json:"client_id"` // empty if there is none
	Others    bool   `json:"others"`    // true: all clients but those named
	Exchanges int    `json:"exchanges"`
	Buckets   []int  `json:"buckets"`
}

func readSignIns(ctx context.Context, s *snapshot, tx bun.Tx) (SignIns, error) {
	counts, err := s.count(ctx, tx, repo.EventCountParams{
		Filter: repo.EventListParams{Types: []string{repo.EventTokenExchange}}, By: repo.ByClient, Top: shownClients, Bucket: s.window.unit(),
	})
	result := SignIns{Clients: []ClientSeries{}}
	for _, c := range counts {
		last := len(result.Clients) - 1
		if last < 0 || result.Clients[last].ClientID != c.Value || result.Clients[last].Others != c.Others {
			result.Clients = append(result.Clients, ClientSeries{ClientID: c.Value, Others: c.Others, Buckets: make([]int, s.window.buckets())})
			last++
		}
		client := &result.Clients[last]
		client.Exchanges += c.Events
		client.Buckets[s.window.index(c.Begin)] += c.Events
	}
	return result, err
}

// count counts events of the window.
func (s *snapshot) count(ctx context.Context, tx bun.Tx, params repo.EventCountParams) ([]repo.EventCount, error) {
	if err := doctor.CanSee(ctx, tx, "public.gpt_oauth_events"); err != nil {
		return nil, err
	}
	params.Filter.Since = s.window.since
	return s.store.With(tx).Events.Count(ctx, params)
}
