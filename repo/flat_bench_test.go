package repo_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/bulk"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// grown is a store over tables of one size, and what the benchmark finds there.
type grown struct {
	tokens    int
	store     *repo.Store
	session   repotest.Session
	latencies []time.Duration
}

// BenchmarkFlat compares tables of several sizes: each iteration makes the same call once on each of them, so that
// whatever else the machine does hits all alike. It reports the medians, and the largest over the smallest.
// GPTOAUTH_FLAT_TOKENS are the sizes; they default to 10000,100000.
func BenchmarkFlat(b *testing.B) {
	var sizes []*grown
	for text := range strings.SplitSeq(cmp.Or(os.Getenv("GPTOAUTH_FLAT_TOKENS"), "10000,100000"), ",") {
		tokens, err := strconv.Atoi(text)
		require.NoError(b, err)
		db, err := repo.Open(b.Context(), repotest.URL(b), repo.PoolConfig{MaxConns: 1, ReadTimeout: -1})
		require.NoError(b, err)
		b.Cleanup(func() { _ = db.Close() })
		require.NoError(b, bulk.Fill(b.Context(), db, tokens))
		store, err := repo.New(db, repo.Config{})
		require.NoError(b, err)
		sizes = append(sizes, &grown{tokens: tokens, store: store, session: repotest.NewSession(b, store, repo.IssueParams{}, 0)})
	}
	for name, call := range flatCalls() {
		b.Run(name, func(b *testing.B) {
			for _, g := range sizes {
				g.latencies = g.latencies[:0]
			}
			for i := 0; b.Loop(); i++ {
				for j := range sizes { // another one comes first each time
					g := sizes[(i+j)%len(sizes)]
					g.latencies = append(g.latencies, call(b, g))
				}
			}
			medians := make([]float64, len(sizes))
			for i, g := range sizes {
				slices.Sort(g.latencies)
				medians[i] = float64(g.latencies[len(g.latencies)/2].Microseconds())
				b.ReportMetric(medians[i], fmt.Sprintf("p50-us/%d", g.tokens))
			}
			b.ReportMetric(medians[len(medians)-1]/medians[0], "ratio")
		})
	}
}

// flatCalls each return how long the call took that is measured.
func flatCalls() map[string]func(b *testing.B, g *grown) time.Duration {
	timed := func(b *testing.B, call func() (ok bool, err error)) time.Duration {
		begin := time.Now()
		ok, err := call()
		took := time.Since(begin)
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
		return took
	}
	return map[string]func(b *testing.B, g *grown) time.Duration{
		"Exchange": func(b *testing.B, g *grown) time.Duration {
			request := repotest.NewCode(b, g.store, repo.IssueParams{}).Request()
			return timed(b, func() (bool, error) {
				r, err := g.store.AuthCodes.Exchange(b.Context(), request)
				return r.Outcome == repo.Exchanged, err
			})
		},
		"Rotate": func(b *testing.B, g *grown) time.Duration {
			request := repo.RotateParams{RefreshToken: string(g.session.RefreshToken), ClientID: "client_1"}
			return timed(b, func() (bool, error) {
				r, err := g.store.RefreshTokens.Rotate(b.Context(), request)
				g.session.Grant = r.Grant
				return r.Outcome == repo.Rotated, err
			})
		},
		"Lookup": func(b *testing.B, g *grown) time.Duration {
			return timed(b, func() (bool, error) {
				r, err := g.store.RefreshTokens.Lookup(b.Context(), string(g.session.RefreshToken))
				return r.Active, err
			})
		},
		"List": func(b *testing.B, g *grown) time.Duration {
			return timed(b, func() (bool, error) {
				page, err := g.store.Sessions.List(b.Context(), repo.SessionListParams{ClerkUserID: heavyUser, Limit: 20})
				return len(page.Sessions) == 20, err
			})
		},
	}
}
