package main

import (
	"context"
	"fmt"
	"regexp"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/extra/bunotel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repootel"
)

// newTracer sends traces where the standard variables of OpenTelemetry say; nil if they say nothing. Call stop in any case.
func (a *app) newTracer(ctx context.Context) (tracer trace.TracerProvider, stop func(), err error) {
	if a.getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && a.getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, func() {}, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", programName)), resource.WithFromEnv())
	if err != nil {
		return nil, func() {}, fmt.Errorf("traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return provider, func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := provider.Shutdown(stopping); err != nil {
			a.progressf("sending the last traces: %v", err)
		}
	}, nil
}

// newTracedStore has a span for each call of the store and, below that, for each query. A nil tracer traces nothing.
func newTracedStore(db *bun.DB, tracer trace.TracerProvider) (*repo.Store, error) {
	if tracer == nil {
		return repo.New(db, repo.Config{})
	}
	observer, err := repootel.New(repootel.Config{TracerProvider: tracer})
	if err != nil {
		return nil, err
	}
	return repo.New(db.WithQueryHook(newQueryHook(tracer)), repo.Config{Observer: observer})
}

// queryHook traces queries by bunotel, without what is in them: the calls of our functions are written as text, and digests,
// nonces and people's ids have no business in a trace.
type queryHook struct {
	bun.QueryHook
}

func newQueryHook(tracer trace.TracerProvider) bun.QueryHook {
	return queryHook{bunotel.NewQueryHook(
		bunotel.WithTracerProvider(tracer),
		bunotel.WithMeterProvider(metricnoop.NewMeterProvider()), // /metrics has the pool
		bunotel.WithSpanNameQueryGen(spanName),
	)}
}

// AfterQuery implements bun.QueryHook. A query of Bun's builder is shown by bunotel with its placeholders.
func (h queryHook) AfterQuery(ctx context.Context, event *bun.QueryEvent) {
	redacted := *event
	if event.IQuery == nil {
		redacted.QueryTemplate = spanName(event)
		redacted.Query = redacted.QueryTemplate
	}
	h.QueryHook.AfterQuery(ctx, &redacted)
}

var functionName = regexp.MustCompile(`\b(gpt_[a-z0-9_]+_v[0-9]+)\b`)

// spanName is the function that a query calls, or else its first word.
func spanName(event *bun.QueryEvent) string {
	if event.IQuery != nil {
		return event.Operation()
	}
	if match := functionName.FindStringSubmatch(event.Query); match != nil {
		return match[1]
	}
	return event.Operation()
}
