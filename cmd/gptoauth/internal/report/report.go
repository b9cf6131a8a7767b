// Package report reads what an on-call engineer asks first about a database of gptoauth, and draws it as one page of HTML
// that needs nothing beside itself. It shows no token, no digest and no person: clients, our own reasons and numbers only.
package report

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/repo"
)

// MaxDays is how long the janitor keeps events by default. Of what was before there would be nothing to show.
const MaxDays = 400

// Params say what to report.
type Params struct {
	Days      int                // how many, up to now; at most MaxDays
	Timeout   time.Duration      // of each statement, after which its figure is given up; 0: never
	Retention doctor.Retention   // by which rows are overdue
	Progress  func(doing string) // optional; is told what is being read
	Version   string             // of the program, for the foot of the page
}

// Report is all that a page shows. A figure that could not be read is nil, and Gaps says why.
type Report struct {
	MadeAt        time.Time `json:"made_at"`
	Days          int       `json:"days"`
	Since         time.Time `json:"since"`
	Until         time.Time `json:"until"`
	BucketSeconds int       `json:"bucket_seconds"`
	Database      string    `json:"database"`
	ServerVersion string    `json:"server_version"`
	Replica       bool      `json:"replica"`

	Findings []Finding `json:"findings"`
	Gaps     []Gap     `json:"gaps"`

	Activity  *Activity  `json:"activity"`
	SignIns   *SignIns   `json:"sign_ins"`
	Alarms    *Alarms    `json:"alarms"`
	Living    *Living    `json:"living"`
	Ended     *Ended     `json:"ended"`
	Storage   *Storage   `json:"storage"`
	Retention *Retention `json:"retention"`

	window  window
	version string
	took    time.Duration
}

// Read reads everything in one snapshot of the database, by its clock, and changes nothing. After a figure that took too long,
// or cost the connection, it goes on with a later snapshot.
func Read(ctx context.Context, db *bun.DB, params Params) (Report, error) {
	if params.Progress == nil {
		params.Progress = func(string) {}
	}
	began := time.Now()
	r := Report{Days: params.Days, Findings: []Finding{}, Gaps: []Gap{}, version: params.Version}
	store, err := repo.New(db, repo.Config{})
	if err != nil {
		return r, err
	}
	s := &snapshot{db: db, store: store, params: params}
	defer s.end()
	if err := s.identify(ctx, &r); err != nil {
		return r, err
	}
	r.Activity = figure(ctx, s, "activity", "counting events", readActivity)
	r.SignIns = figure(ctx, s, "sign_ins", "counting sign-ins by client", readSignIns)
	r.Alarms = figure(ctx, s, "alarms", "looking for alarms", readAlarms)
	r.Living = figure(ctx, s, "living", "counting sessions that live", readLiving)
	r.Ended = figure(ctx, s, "ended", "counting sessions that ended", readEnded)
	r.Storage = figure(ctx, s, "storage", "measuring tables", readStorage)
	r.Retention = readRetention(ctx, s)
	r.Gaps = append(r.Gaps, s.gaps...)
	r.Findings = append(r.Findings, r.judge()...)
	r.took = time.Since(began)
	return r, s.err
}
