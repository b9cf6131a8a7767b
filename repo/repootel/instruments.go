package repootel

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"

	"github.com/gptoauth/gptoauth/repo"
)

// instruments are made once, with the attributes of those counters whose values are few.
type instruments struct {
	duration       dbconv.ClientOperationDuration
	repetitions    metric.Int64Counter
	securityEvents metric.Int64Counter
	purgedRows     metric.Int64Counter

	alarms map[repo.Outcome]metric.MeasurementOption
	kinds  map[string]metric.MeasurementOption
}

func newInstruments(meter metric.Meter, attributes []attribute.KeyValue) (instruments, error) {
	i := instruments{
		alarms: map[repo.Outcome]metric.MeasurementOption{
			repo.Replayed: labels(attributes, EventTypeKey.String(repo.EventCodeReplay)),
			repo.Reused:   labels(attributes, EventTypeKey.String(repo.EventTokenReuse)),
		},
		kinds: make(map[string]metric.MeasurementOption),
	}
	var errs [4]error
	i.duration, errs[0] = dbconv.NewClientOperationDuration(meter,
		metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10)) // the convention's
	i.repetitions, errs[1] = meter.Int64Counter("gptoauth.operation.repetitions", metric.WithUnit("{repetition}"),
		metric.WithDescription("Calls tried again because the answer was lost or the database could not do it then."))
	i.securityEvents, errs[2] = meter.Int64Counter("gptoauth.security.events", metric.WithUnit("{event}"),
		metric.WithDescription("Spent codes and refresh tokens that were presented again: someone else has them too."))
	i.purgedRows, errs[3] = meter.Int64Counter("gptoauth.purge.rows", metric.WithUnit("{row}"),
		metric.WithDescription("Rows that janitors have deleted, and nonces that they have cleared."))
	if err := errors.Join(errs[:]...); err != nil {
		return i, err
	}

	// To Prometheus, what is not there before it grows has not grown.
	for _, alarm := range i.alarms {
		i.securityEvents.Add(context.Background(), 0, alarm)
	}
	for kind := range purgedKinds(repo.PurgeCounts{}) {
		i.kinds[kind] = labels(attributes, PurgeKindKey.String(kind))
		i.purgedRows.Add(context.Background(), 0, i.kinds[kind])
	}
	return i, nil
}

// labels of a measurement: those of all and one more.
func labels(attributes []attribute.KeyValue, more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(slices.Clip(attributes), more...)...))
}

func (i *instruments) countPurged(ctx context.Context, purged repo.PurgeCounts) {
	if purged.Total() == 0 {
		return
	}
	for kind, rows := range purgedKinds(purged) {
		if rows > 0 {
			i.purgedRows.Add(ctx, int64(rows), i.kinds[kind])
		}
	}
}

func purgedKinds(c repo.PurgeCounts) map[string]int {
	return map[string]int{"codes": c.Codes, "sessions": c.Sessions, "tokens": c.Tokens, "nonces": c.Nonces, "events": c.Events}
}
