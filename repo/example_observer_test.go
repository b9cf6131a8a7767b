package repo_test

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// promObserver is for those who have Prometheus and no OpenTelemetry.
type promObserver struct {
	seconds *prometheus.HistogramVec
	purged  *prometheus.CounterVec
}

func newPromObserver(registry *prometheus.Registry) *promObserver {
	o := &promObserver{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gptoauth_call_duration_seconds", Help: "Calls of the store, by outcome.",
		}, []string{"op", "result"}),
		purged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gptoauth_purged_rows_total", Help: "Rows that the janitor has deleted.",
		}, []string{"step"}),
	}
	registry.MustRegister(o.seconds, o.purged)
	return o
}

func (o *promObserver) Begin(ctx context.Context, op string) (context.Context, func(repo.Observation)) {
	began := time.Now()
	return ctx, func(seen repo.Observation) {
		result := string(seen.Outcome)
		if seen.Err != nil {
			result = "error"
		}
		o.seconds.WithLabelValues(op, result).Observe(time.Since(began).Seconds())
		if seen.Step != "" {
			o.purged.WithLabelValues(seen.Step).Add(float64(seen.Purged.Total()))
		}
	}
}

// An observer of one's own has one method. Package repootel has one for OpenTelemetry.
func ExampleObserver() {
	t := &exampleT{}
	defer t.done()
	registry := prometheus.NewRegistry()
	observer := newPromObserver(registry)
	store := repotest.CommittingStore(t, repo.Config{Observer: observer}, 2)
	janitor, err := repo.NewJanitor(store.DB().(*bun.DB), repo.JanitorConfig{Observer: observer})
	if err != nil {
		panic(err)
	}

	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	if _, err := store.RefreshTokens.Rotate(ctx, session.Request(0)); err != nil { // stolen
		panic(err)
	}
	repotest.Age(t, store, 31*day) // later
	if _, err := janitor.Purge(ctx); err != nil {
		panic(err)
	}

	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			switch labels := metric.GetLabel(); family.GetName() {
			case "gptoauth_purged_rows_total":
				if rows := metric.GetCounter().GetValue(); rows > 0 {
					fmt.Println("purged", labels[0].GetValue(), rows)
				}
			default:
				if result := labels[1].GetValue(); result != "" {
					fmt.Println(labels[0].GetValue(), result, metric.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	// Output:
	// AuthCodes.Exchange exchanged 1
	// RefreshTokens.Rotate reused 1
	// RefreshTokens.Rotate rotated 2
	// purged codes 1
	// purged ended sessions 4
}
