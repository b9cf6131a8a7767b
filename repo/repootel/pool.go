package repootel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"

	"github.com/gptoauth/gptoauth/repo"
)

// ObservePool reports how many connections of a pool are idle and used, and how many there may be, whenever metrics are collected. The
// *sql.DB is the field DB of Bun's. name tells pools apart; the convention is "server.address:server.port/db.namespace". Unregister
// the result when the pool is closed.
func (o *Observer) ObservePool(db *sql.DB, name string) (metric.Registration, error) {
	count, countErr := dbconv.NewClientConnectionCountObservable(o.meter)
	most, mostErr := dbconv.NewClientConnectionMaxObservable(o.meter)
	if err := errors.Join(countErr, mostErr); err != nil {
		return nil, fmt.Errorf("repootel: %w", err)
	}
	pool := semconv.DBClientConnectionPoolName(name)
	idle := labels(o.attributes, pool, semconv.DBClientConnectionStateIdle)
	used := labels(o.attributes, pool, semconv.DBClientConnectionStateUsed)
	all := labels(o.attributes, pool)
	return o.register(func(_ context.Context, to metric.Observer) error {
		stats := db.Stats()
		to.ObserveInt64(count.Inst(), int64(stats.Idle), idle)
		to.ObserveInt64(count.Inst(), int64(stats.InUse), used)
		if stats.MaxOpenConnections > 0 { // 0: there is no limit
			to.ObserveInt64(most.Inst(), int64(stats.MaxOpenConnections), all)
		}
		return nil
	}, count.Inst(), most.Inst())
}

// ObserveRecorder reports what became of a recorder's events, those among them that it dropped, and how many wait, whenever metrics
// are collected. name tells recorders apart. Unregister the result when the recorder is closed, and not before: what was in its queue
// then is written while it closes.
func (o *Observer) ObserveRecorder(recorder *repo.Recorder, name string) (metric.Registration, error) {
	events, eventsErr := o.meter.Int64ObservableCounter("gptoauth.recorder.events", metric.WithUnit("{event}"),
		metric.WithDescription("What became of events given to a recorder."))
	queue, queueErr := o.meter.Int64ObservableUpDownCounter("gptoauth.recorder.queue", metric.WithUnit("{event}"),
		metric.WithDescription("Events that wait to be written or are on their way."))
	if err := errors.Join(eventsErr, queueErr); err != nil {
		return nil, fmt.Errorf("repootel: %w", err)
	}
	named := RecorderNameKey.String(name)
	written := labels(o.attributes, named, RecorderEventKey.String("written"))
	refused := labels(o.attributes, named, RecorderEventKey.String("refused"))
	dropped := labels(o.attributes, named, RecorderEventKey.String("dropped"))
	queued := labels(o.attributes, named)
	return o.register(func(_ context.Context, to metric.Observer) error {
		stats := recorder.Stats()
		to.ObserveInt64(events, stats.Written, written)
		to.ObserveInt64(events, stats.Refused, refused)
		to.ObserveInt64(events, stats.Dropped, dropped)
		to.ObserveInt64(queue, stats.Queued, queued)
		return nil
	}, events, queue)
}

func (o *Observer) register(callback metric.Callback, instruments ...metric.Observable) (metric.Registration, error) {
	registration, err := o.meter.RegisterCallback(callback, instruments...)
	if err != nil {
		return nil, fmt.Errorf("repootel: %w", err)
	}
	return registration, nil
}
