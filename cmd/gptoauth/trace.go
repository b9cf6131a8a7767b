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

// newQueryHook traces queries by bunotel, without what is in them: digests and nonces have no business in a trace.
func newQueryHook(tracer trace.TracerProvider) bun.QueryHook {
	return bunotel.NewQueryHook(
		bunotel.WithTracerProvider(tracer),
		bunotel.WithMeterProvider(metricnoop.NewMeterProvider()), // /metrics has the pool
		bunotel.WithSpanNameQueryGen(spanName),
	)
}

var functionName = regexp.MustCompile(`FROM public\.(gpt_[a-z0-9_]+)\(`)

// spanName is the function that a query calls: the template of all of them is the same.
func spanName(event *bun.QueryEvent) string {
	if match := functionName.FindStringSubmatch(event.Query); match != nil {
		return match[1]
	}
	return event.Operation()
}
