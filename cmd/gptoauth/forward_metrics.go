package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const metricsTimeout = 5 * time.Second

// forwardMetrics are what Prometheus reads of a forwarder.
type forwardMetrics struct {
	mu       sync.Mutex
	posted   map[string]int // by type of event
	failed   int            // attempts
	retrying bool           // an event waits for the receiver
	last     time.Time      // when the receiver took one
}

// newForwardMetrics begins each counter that is known at zero: what is not there before it grows has not grown to Prometheus.
func newForwardMetrics(types []string) *forwardMetrics {
	m := &forwardMetrics{posted: make(map[string]int)}
	for _, eventType := range types {
		m.posted[eventType] = 0
	}
	return m
}

func (m *forwardMetrics) attempted(eventType string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retrying = err != nil
	if err != nil {
		m.failed++
		return
	}
	m.posted[eventType]++
	m.last = time.Now()
}

// text is in Prometheus' text format, version 0.0.4. Types of events have no characters that need a backslash.
func (m *forwardMetrics) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	b.WriteString("# HELP gptoauth_events_forwarded_total Events that the receiver has taken.\n# TYPE gptoauth_events_forwarded_total counter\n")
	for _, eventType := range slices.Sorted(maps.Keys(m.posted)) {
		fmt.Fprintf(&b, "gptoauth_events_forwarded_total{type=%q} %d\n", eventType, m.posted[eventType])
	}
	retrying, last := 0, 0.0
	if m.retrying {
		retrying = 1
	}
	if !m.last.IsZero() {
		last = float64(m.last.UnixMilli()) / 1000
	}
	fmt.Fprintf(&b, "# HELP gptoauth_webhook_failures_total Attempts that failed.\n# TYPE gptoauth_webhook_failures_total counter\n"+
		"gptoauth_webhook_failures_total %d\n"+
		"# HELP gptoauth_webhook_retrying Whether an event waits for the receiver.\n# TYPE gptoauth_webhook_retrying gauge\n"+
		"gptoauth_webhook_retrying %d\n"+
		"# HELP gptoauth_webhook_last_success_timestamp_seconds When the receiver last took an event.\n"+
		"# TYPE gptoauth_webhook_last_success_timestamp_seconds gauge\n"+
		"gptoauth_webhook_last_success_timestamp_seconds %.3f\n", m.failed, retrying, last)
	return b.String()
}

// serve answers GET /metrics until stop is called.
func (m *forwardMetrics) serve(ctx context.Context, address string) (stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write([]byte(m.text())) // the reader is gone otherwise
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: metricsTimeout}
	go server.Serve(listener) //nolint:errcheck // it ends when it is closed
	return func() { _ = server.Close() }, nil
}
