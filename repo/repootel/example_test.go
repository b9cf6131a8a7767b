package repootel_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/uptrace/bun"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repootel"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// newObservedStore is what a server does when it starts.
func newObservedStore(db *bun.DB, tracers trace.TracerProvider, meters metric.MeterProvider) (*repo.Store, error) {
	observer, err := repootel.New(repootel.Config{TracerProvider: tracers, MeterProvider: meters})
	if err != nil {
		return nil, err
	}
	return repo.New(db, repo.Config{Observer: observer})
}

// Each call of a store is a span and a measurement. In a server the providers are those that send them somewhere; here they keep
// them.
func Example() {
	t := &exampleT{} // in a test of yours, its *testing.T
	defer t.done()
	spans := tracetest.NewInMemoryExporter()
	reader := sdkmetric.NewManualReader()
	store, err := newObservedStore(repotest.DB(t),
		sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
		sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		panic(err)
	}

	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	if _, err := store.RefreshTokens.Rotate(t.Context(), session.Request(0)); err != nil { // stolen
		panic(err)
	}

	for _, span := range spans.GetSpans() {
		for _, attribute := range span.Attributes {
			if attribute.Key == repootel.OutcomeKey {
				fmt.Println(span.Name, attribute.Value.AsString())
			}
		}
	}
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &metrics); err != nil {
		panic(err)
	}
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name)
	}
	// Output:
	// AuthCodes.Exchange exchanged
	// RefreshTokens.Rotate rotated
	// RefreshTokens.Rotate rotated
	// RefreshTokens.Rotate reused
	// db.client.operation.duration
	// gptoauth.security.events
	// gptoauth.purge.rows
}

// exampleT stands in for the *testing.T that package repotest wants and an Example is not given.
type exampleT struct {
	testing.TB

	cleanups []func()
}

func (*exampleT) Helper()                  {}
func (*exampleT) Context() context.Context { return context.Background() }
func (*exampleT) Failed() bool             { return false }
func (*exampleT) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }
func (*exampleT) Log(args ...any)          { fmt.Println(args...) }
func (t *exampleT) Cleanup(f func())       { t.cleanups = append(t.cleanups, f) }

func (t *exampleT) done() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		t.cleanups[last]()
		t.cleanups = t.cleanups[:last]
	}
}
