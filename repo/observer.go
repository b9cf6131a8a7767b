package repo

import (
	"context"
	"errors"
)

// Observer hears of every call: of a [Store] and its repositories, inside a transaction or not, of each batch of a [Recorder],
// and of a [Janitor] that has it in its config. Package repootel is one, which makes spans and metrics for OpenTelemetry.
//
// It is told nothing secret and nothing about a person, no code, token, id, address or text of theirs, but for Observation.Err,
// which may hold anything. Many goroutines use it at once. It works in the goroutine of the call and holds it up, so it must
// return soon, and it must not panic: nothing recovers from that. The caller would be left without the answer of a call that is
// done.
type Observer interface {
	// Begin is called when a call begins, before anything is checked or sent. op names it, as Op does in a [DatabaseError]: type
	// and method, such as "RefreshTokens.Rotate". A sequence is observed by what it asks: Events.All as one "Events.List" a page,
	// Events.Follow whenever it asks for more. In the background there are "Recorder", a batch of events, "Janitor.Purge", which
	// Janitor.Run calls too, and "Janitor.Batch", one transaction of it or the wait for another janitor.
	//
	// The context that it returns, made from ctx, goes to the statements of the call, and with Store.InTx to its function. end
	// is called once, when the call is over; nil: there is nothing to call. What Config.OnSecurityEvent takes is within the call.
	Begin(ctx context.Context, op string) (_ context.Context, end func(Observation))
}

// Observation is what became of a call. What a part does not concern leaves it zero.
type Observation struct {
	// Outcome is the one that the caller gets, also if the transaction that it is part of is rolled back later. It stands beside
	// an Err only if Config.OnSecurityEvent has panicked: the finding is true all the same.
	Outcome Outcome

	// Err is the error that the caller gets. It is one of its own if the call ended by a panic or runtime.Goexit in Store.InTx's
	// function or another one of the host's, and none if a janitor found another at work or was cancelled.
	//
	// Its text is for a log of errors that is kept like the database, and not for a label: it is as long and as varied as the
	// database or, in Store.InTx, the host likes, and may hold anything, such as the row that a constraint refused.
	Err error

	// Attempts is how often the call was tried: not at all if it was refused or decided without the database, more than once if
	// the answer was lost or the database could not do it then. One that found no connection before its time was over is a try
	// too. For a batch of a janitor to wait for its turn is none.
	Attempts int

	// Events is how many events Events.Append or a batch of a Recorder has written.
	Events int

	// Step and Purged are which step of a purge a batch belongs to, such as "codes", and what it has deleted or cleared.
	Step   string
	Purged PurgeCounts
}

// errNotReturned is observed of a call that ended by a panic or [runtime.Goexit] while something else had the word: the driver,
// the function given to InTx, Config.OnSecurityEvent or what a janitor calls.
var errNotReturned = errors.New("the call has not returned")

// operation is a call under way. It costs nothing to speak of when no one observes.
type operation struct {
	name string
	seen *seen // nil: no one observes
}

// seen is what an observer is going to hear.
type seen struct {
	Observation

	end     func(Observation)
	waiting bool // for an answer, or for a function of the host
}

func begin(ctx context.Context, observer Observer, name string) (context.Context, operation) {
	if observer == nil {
		return ctx, operation{name: name}
	}
	ctx, end := observer.Begin(ctx, name)
	if end == nil {
		return ctx, operation{name: name}
	}
	return ctx, operation{name, &seen{end: end}}
}

func (c *conn) begin(ctx context.Context, name string) (context.Context, operation) {
	return begin(ctx, c.config.Observer, name)
}

// end is deferred. It takes the address of what the call returns.
func (o operation) end(err *error) {
	if o.seen != nil {
		o.seen.over(*err)
	}
}

// endWith is end for a call that has an outcome.
func (o operation) endWith(outcome *Outcome, err *error) {
	if o.seen == nil {
		return
	}
	if *err == nil { // beside an error there is no outcome
		o.seen.Outcome = *outcome
	}
	o.seen.over(*err)
}

func (s *seen) over(err error) {
	if s.Err = err; err == nil && s.waiting {
		s.Err = errNotReturned
	}
	s.end(s.Observation)
}

func (o operation) sending() {
	if o.seen != nil {
		o.seen.Attempts++
		o.seen.waiting = true
	}
}

// leaving is for a function of the host that is called when the answer is there.
func (o operation) leaving() {
	if o.seen != nil {
		o.seen.waiting = true
	}
}

func (o operation) answered() {
	if o.seen != nil {
		o.seen.waiting = false
	}
}

func (o operation) wrote(events int) {
	if o.seen != nil {
		o.seen.Events = events
	}
}

func (o operation) purged(step string, counts PurgeCounts) {
	if o.seen != nil {
		o.seen.Step, o.seen.Purged = step, counts
	}
}
