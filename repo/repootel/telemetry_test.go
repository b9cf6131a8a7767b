package repootel_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repootel"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// telemetry is an observer and all that it has told.
type telemetry struct {
	*repootel.Observer

	tracers *sdktrace.TracerProvider
	spans   *tracetest.SpanRecorder
	reader  *metric.ManualReader
}

func newTelemetry(t testing.TB) *telemetry {
	t.Helper()
	o := &telemetry{spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	o.tracers = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(o.spans))
	var err error
	o.Observer, err = repootel.New(repootel.Config{
		TracerProvider: o.tracers,
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(o.reader)),
		Attributes:     []attribute.KeyValue{semconv.DBNamespace("auth|public")},
	})
	require.NoError(t, err)
	return o
}

// take returns the spans that have ended since the last time.
func (o *telemetry) take() []sdktrace.ReadOnlySpan {
	ended := o.spans.Ended()
	o.spans.Reset()
	return ended
}

// one is take for a single span.
func (o *telemetry) one(t *testing.T) sdktrace.ReadOnlySpan {
	t.Helper()
	ended := o.take()
	require.Len(t, ended, 1)
	return ended[0]
}

func (o *telemetry) collect(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(t.Context(), &all))
	metrics := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		require.Equal(t, "github.com/gptoauth/gptoauth/repo/repootel", scope.Scope.Name)
		require.Equal(t, semconv.SchemaURL, scope.Scope.SchemaURL)
		for _, m := range scope.Metrics {
			metrics[m.Name] = m
		}
	}
	return metrics
}

// values are those of a metric of whole numbers, by their attributes but for those that all have.
func (o *telemetry) values(t *testing.T, name string) map[string]int64 {
	t.Helper()
	values := make(map[string]int64)
	sum, ok := o.collect(t)[name].Data.(metricdata.Sum[int64])
	require.True(t, ok, name)
	for _, point := range sum.DataPoints {
		values[own(t, point.Attributes.ToSlice())] = point.Value
	}
	return values
}

// own are the attributes but for those that all have, as text.
func own(t *testing.T, attributes []attribute.KeyValue) string {
	t.Helper()
	var rest []string
	common := 0
	for _, a := range attributes {
		switch a {
		case semconv.DBSystemNamePostgreSQL, semconv.DBNamespace("auth|public"):
			common++
		default:
			rest = append(rest, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
		}
	}
	require.Equal(t, 2, common)
	slices.Sort(rest)
	return strings.Join(rest, " ")
}

func newStore(t testing.TB, o repo.Observer) *repo.Store {
	t.Helper()
	return repotest.CommittingStore(t, repo.Config{Observer: o}, 4)
}
