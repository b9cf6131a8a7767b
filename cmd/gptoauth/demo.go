package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/repo"
)

func (a *app) demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "play a sign-in, refreshes, a theft and an offboarding, and check what comes of each",
		Description: `Without a database it starts a private PostgreSQL and removes it afterwards. In a database of yours it applies what is
pending of the migrations and leaves the rows of one new person, with every session ended.

It exits with 1 if any step ends otherwise than it should.`,
		Action: a.demo,
	}
}

func (a *app) demo(ctx context.Context, _ *cli.Command) error {
	db, stop, err := a.openOrPrivate(ctx)
	defer stop()
	if err != nil {
		return err
	}
	s, err := newStory(db, repo.Config{})
	if err != nil {
		return err
	}
	if a.url() != "" {
		a.progressf("the rows of %s stay in your database, with every session ended", s.userID)
	}
	return a.play(ctx, s, s.parts())
}

// play runs the parts and prints them: as text while they run, as JSON at the end.
func (a *app) play(ctx context.Context, s *story, parts []demoPart) error {
	text := demoText{pen: a.pen, printf: a.printf}
	if a.json {
		text.printf = func(string, ...any) {}
	}
	report, err := s.play(ctx, parts, text)
	if a.json {
		return errors.Join(err, a.show(report, nil))
	}
	return err
}

// demoReport is what --json prints.
type demoReport struct {
	OK          bool         `json:"ok"`
	ClerkUserID string       `json:"clerk_user_id"`
	DurationMS  milliseconds `json:"duration_ms"`
	Steps       []stepReport `json:"steps"`
	Family      []family     `json:"family"` // of every session, oldest first
	Events      []trailEvent `json:"events"` // oldest first
}

type stepReport struct {
	Part       string       `json:"part"`
	Name       string       `json:"name"`
	Why        string       `json:"why"`
	Reference  string       `json:"reference,omitempty"`
	Outcome    string       `json:"outcome"`
	Expected   string       `json:"expected"`
	OK         bool         `json:"ok"`
	DurationMS milliseconds `json:"duration_ms"`
}

// milliseconds is a duration whose JSON is a number of milliseconds.
type milliseconds time.Duration

func (m milliseconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Microseconds()) / 1000)
}

// play runs the steps one after the other. One that ends otherwise than expected does not stop it, because what follows
// shows what comes of it; an error does, because then nothing is known. Either is an error in the end.
func (s *story) play(ctx context.Context, parts []demoPart, text demoText) (demoReport, error) {
	report := demoReport{ClerkUserID: s.userID, Steps: []stepReport{}, Family: []family{}, Events: []trailEvent{}}
	text.intro(s.userID)
	begin := time.Now()
	err := report.run(ctx, parts, text)
	if err == nil {
		err = report.unexpected()
	}
	report.OK = err == nil
	report.DurationMS = milliseconds(time.Since(begin))
	report.Family = append(report.Family, s.families...)
	report.Events = append(report.Events, s.trail...)
	text.result(report)
	return report, err
}

func (r *demoReport) run(ctx context.Context, parts []demoPart, text demoText) error {
	for i, part := range parts {
		text.part(i+1, part.title)
		for _, step := range part.steps {
			result, err := step.run(ctx, part.title)
			if err != nil {
				if ctx.Err() == nil { // an interrupt is not the step's fault
					text.broken(step)
				}
				return fmt.Errorf("%s: %w", step.name, err)
			}
			text.step(result)
			r.Steps = append(r.Steps, result)
		}
	}
	return nil
}

// unexpected names the steps that ended otherwise than they should.
func (r *demoReport) unexpected() error {
	var wrong []string
	for _, step := range r.Steps {
		if !step.OK {
			wrong = append(wrong, fmt.Sprintf("%q gave %s instead of %s", step.Name, step.Outcome, step.Expected))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}

func (step demoStep) run(ctx context.Context, part string) (stepReport, error) {
	if err := ctx.Err(); err != nil {
		return stepReport{}, err
	}
	begin := time.Now()
	outcome, err := step.do(ctx)
	return stepReport{
		Part:       part,
		Name:       step.name,
		Why:        step.why,
		Reference:  step.reference,
		Outcome:    outcome,
		Expected:   step.expected,
		OK:         outcome == step.expected,
		DurationMS: milliseconds(time.Since(begin)),
	}, err
}
