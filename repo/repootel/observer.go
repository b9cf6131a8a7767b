// Package repootel tells OpenTelemetry what a store of package repo does: a span and a measurement for each call, with the
// outcome that the caller gets, and counters of what is worth an alarm. It follows the semantic conventions for database clients
// ([semconv.SchemaURL]) and touches no global state.
//
//	observer, err := repootel.New(repootel.Config{TracerProvider: tracers, MeterProvider: meters})
//	store, err := repo.New(db, repo.Config{Observer: observer})
//
// # Spans
//
// Each call is a span, named after it ("RefreshTokens.Rotate"), below that of its context and above those of its statements, if
// something traces these (bunotel). It covers repetitions. Calls that are made of others, Store.InTx and Janitor.Purge, are
// internal spans, all others are those of a client.
//
// A span fails if the call returns an error, except for the repo.ErrNotFound of a read and the end of a janitor that is cancelled. Its
// error.type is the SQLSTATE, else "canceled", "timeout" or, of a repo.DatabaseError, "connection", and for what is not the database's
// the type of the error. An outcome such as repo.Reused is no failure: the store has done its work.
//
// # Metrics
//
//	db.client.operation.duration     histogram         db.operation.name, gptoauth.outcome, error.type, db.response.status_code
//	gptoauth.operation.repetitions   counter           db.operation.name
//	gptoauth.security.events         counter           gptoauth.event.type: code_replay, token_reuse
//	gptoauth.purge.rows              counter           gptoauth.purge.kind: codes, sessions, tokens, nonces, events
//
// With [Observer.ObserveRecorder] and [Observer.ObservePool]:
//
//	gptoauth.recorder.events         counter           gptoauth.recorder.name and .result: written, refused, dropped
//	gptoauth.recorder.queue          up-down counter   gptoauth.recorder.name
//	db.client.connection.count       up-down counter   db.client.connection.pool.name, db.client.connection.state: idle, used
//	db.client.connection.max         up-down counter   db.client.connection.pool.name
//
// A call is repeated after a lost connection, and when the server could not do it then: a deadlock, too many connections, a standby.
// The duration of Store.InTx is that of the host's function too, and Janitor.Purge has its pauses in it: leave them out of a percentile
// over all. What repo.Config.OnSecurityEvent takes is in the duration of the call that found it. Security events are counted when they
// are found, also if a transaction of the host's is rolled back later.
//
// # Secrets
//
// Codes, tokens, digests, ids, addresses and texts of users are in no name and no attribute, nor is the text of an error: of an error
// there are its class and its SQLSTATE, and in the status of its span what a repo.DatabaseError has as Effect, or the field and the rule
// of a repo.InputError, which are the library's own words.
package repootel

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	scope  = "github.com/gptoauth/gptoauth/repo/repootel"
	opInTx = "Store.InTx"
)

// Attributes of spans and measurements beside those of the conventions.
const (
	OutcomeKey       = attribute.Key("gptoauth.outcome")         // a repo.Outcome
	AttemptsKey      = attribute.Key("gptoauth.attempts")        // of spans: how often the call was tried
	EventsKey        = attribute.Key("gptoauth.events")          // of spans: how many events were written
	EventTypeKey     = attribute.Key("gptoauth.event.type")      // repo.EventCodeReplay or repo.EventTokenReuse
	PurgeStepKey     = attribute.Key("gptoauth.purge.step")      // of spans: such as "ended sessions"
	PurgeKindKey     = attribute.Key("gptoauth.purge.kind")      // a field of repo.PurgeCounts, as in its JSON
	PurgeRowsKey     = attribute.Key("gptoauth.purge.rows")      // of spans: how many, of all kinds
	RecorderNameKey  = attribute.Key("gptoauth.recorder.name")   // as given to ObserveRecorder
	RecorderEventKey = attribute.Key("gptoauth.recorder.result") // what became of an event: written, refused or dropped
)

// Config says where telemetry goes. Its zero value works, and tells nobody anything.
type Config struct {
	// TracerProvider takes the spans. Defaults to none; the global one is otel.GetTracerProvider().
	TracerProvider trace.TracerProvider

	// MeterProvider takes the measurements. Defaults to none; the global one is otel.GetMeterProvider().
	MeterProvider metric.MeterProvider

	// Attributes are added to all spans and measurements: what a store does not know of its database, such as
	// semconv.ServerAddress and semconv.DBNamespace. Defaults to none.
	Attributes []attribute.KeyValue
}

// Observer is a [repo.Observer]. One may serve any number of stores and janitors.
type Observer struct {
	instruments

	tracer     trace.Tracer // nil: no spans
	meter      metric.Meter
	attributes []attribute.KeyValue // of all spans and measurements; the first is the system
}

var _ repo.Observer = (*Observer)(nil)

// New returns an observer for [repo.Config] and [repo.JanitorConfig]. The error is that of a MeterProvider which does not like an
// instrument; OpenTelemetry's own has none.
func New(config Config) (*Observer, error) {
	o := &Observer{attributes: slices.Concat([]attribute.KeyValue{semconv.DBSystemNamePostgreSQL}, config.Attributes)}
	if config.TracerProvider != nil {
		o.tracer = config.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	}
	if config.MeterProvider == nil {
		config.MeterProvider = metricnoop.NewMeterProvider()
	}
	o.meter = config.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	var err error
	if o.instruments, err = newInstruments(o.meter, o.attributes); err != nil {
		return nil, fmt.Errorf("repootel: %w", err)
	}
	return o, nil
}

// Begin implements [repo.Observer].
func (o *Observer) Begin(ctx context.Context, op string) (context.Context, func(repo.Observation)) {
	began := time.Now()
	span := trace.Span(tracenoop.Span{})
	if o.tracer != nil {
		ctx, span = o.tracer.Start(ctx, op,
			trace.WithSpanKind(kindOf(op)),
			trace.WithAttributes(o.attributes...),
			trace.WithAttributes(semconv.DBOperationName(op)))
	}
	return ctx, func(seen repo.Observation) {
		failure := failureOf(op, seen.Err)
		o.measure(ctx, op, time.Since(began), seen, failure)
		finish(span, seen, failure)
	}
}

// kindOf: what is made of other calls is no call of the database by itself.
func kindOf(op string) trace.SpanKind {
	if op == opInTx || op == "Janitor.Purge" {
		return trace.SpanKindInternal
	}
	return trace.SpanKindClient
}

func (o *Observer) measure(ctx context.Context, op string, took time.Duration, seen repo.Observation, failure failure) {
	if o.duration.Enabled(ctx) {
		attributes := slices.Concat(o.attributes[1:], failure.attributes, []attribute.KeyValue{semconv.DBOperationName(op)})
		if seen.Outcome != "" {
			attributes = append(attributes, OutcomeKey.String(string(seen.Outcome)))
		}
		o.duration.Record(ctx, took.Seconds(), dbconv.SystemNamePostgreSQL, attributes...)
	}
	if seen.Attempts > 1 {
		o.repetitions.Add(ctx, int64(seen.Attempts-1), metric.WithAttributes(o.attributes...), metric.WithAttributes(semconv.DBOperationName(op)))
	}
	if labels, ok := o.alarms[seen.Outcome]; ok {
		o.securityEvents.Add(ctx, 1, labels)
	}
	o.countPurged(ctx, seen.Purged)
}

func finish(span trace.Span, seen repo.Observation, failure failure) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	attributes := slices.Concat(failure.attributes, []attribute.KeyValue{AttemptsKey.Int(seen.Attempts)})
	if seen.Outcome != "" {
		attributes = append(attributes, OutcomeKey.String(string(seen.Outcome)))
	}
	if seen.Events > 0 {
		attributes = append(attributes, EventsKey.Int(seen.Events))
	}
	if seen.Step != "" {
		attributes = append(attributes, PurgeStepKey.String(seen.Step), PurgeRowsKey.Int(seen.Purged.Total()))
	}
	span.SetAttributes(attributes...)
	if failure.attributes != nil {
		span.SetStatus(codes.Error, failure.description)
	}
}
