package server

import (
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are for Prometheus, in a registry of their own.
type metrics struct {
	registry    *prometheus.Registry
	outcomes    *prometheus.CounterVec
	storeErrors prometheus.Counter
	requests    *prometheus.HistogramVec
}

// newMetrics counts, and reports the pool of db if there is one.
func newMetrics(db *sql.DB) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gptoauth_outcomes_total", Help: "What the store decided. Replayed and reused are worth an alarm.",
		}, []string{"operation", "outcome"}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gptoauth_store_errors_total", Help: "Requests that the store could not answer.",
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gptoauth_http_request_duration_seconds", Help: "HTTP requests by route and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"route", "status"}),
	}
	m.registry.MustRegister(m.outcomes, m.storeErrors, m.requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if db != nil {
		m.registry.MustRegister(collectors.NewDBStatsCollector(db, "gptoauth"))
	}
	return m
}

func (m *metrics) observeRequest(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
