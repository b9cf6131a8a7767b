package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const loadSessions = 64

// BenchmarkRefresh measures one refresh of the token endpoint, over HTTP on the loopback interface with connections kept
// alive, beside the bare call of the store on the same pool of 8 connections. Each worker has sessions of its own, as
// clients do.
//
//	go test -run '^$' -bench Refresh -benchtime 5000x ./cmd/gptoauth/internal/server
func BenchmarkRefresh(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		store, sessions := loadStore(b)
		measure(b, store, sessions, func(b *testing.B, token string) string {
			result, err := store.RefreshTokens.Rotate(b.Context(), repo.RotateParams{RefreshToken: token, ClientID: publicID})
			if err != nil || result.Err() != nil {
				b.Error(err, result.Outcome)
			}
			return string(result.RefreshToken)
		})
	})
	b.Run("http", func(b *testing.B) {
		store, sessions := loadStore(b)
		config := testConfig("http://127.0.0.1")
		config.Limits = LimitConfig{PerAddress: 1e6, PerClient: 1e6}
		server, err := New(Params{Store: store, Config: config, Log: slog.New(slog.NewJSONHandler(discard{}, nil)), Dev: true})
		require.NoError(b, err)
		listening := httptest.NewServer(server.Handler())
		b.Cleanup(listening.Close)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loadSessions}}
		measure(b, store, sessions, func(b *testing.B, token string) string {
			return refreshOnce(b, client, listening.URL, token)
		})
	})
}

// discard is io.Discard for a logger that does all the work but the writing.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func loadStore(b *testing.B) (*repo.Store, []string) {
	b.Helper()
	store := repotest.CommittingStore(b, repo.Config{}, 8)
	tokens := make([]string, loadSessions)
	for i := range tokens {
		tokens[i] = repotest.NewSession(b, store, repo.IssueParams{ClientID: publicID, Scope: "jobs:read"}, 0).Tokens[0]
	}
	return store, tokens
}

func refreshOnce(b *testing.B, client *http.Client, address, token string) string {
	form := grantee{id: publicID}.refreshForm(token)
	response, err := client.Post(address+tokenPath, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		b.Error(err)
		return token
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Error(response.Status, string(body), err)
		return token
	}
	_, rest, _ := strings.Cut(string(body), `"refresh_token":"`)
	next, _, _ := strings.Cut(rest, `"`)
	return next
}

// processorTime is what this process has used of the processors, client and server together, and what the backends of the
// store have. Unlike the rates it means something on a machine that is busy with other things.
func processorTime(b *testing.B, store *repo.Store) (ours, backends time.Duration) {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	ours = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())

	var pids []int
	require.NoError(b, store.DB().NewRaw("SELECT pid FROM pg_stat_activity WHERE datname = current_database()").Scan(b.Context(), &pids))
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(b, err, "the server of this benchmark runs on this machine")
		_, rest, _ := strings.Cut(string(text), ") ")
		for _, field := range strings.Fields(rest)[11:13] { // utime and stime, in ticks of 10 ms (proc(5))
			ticks, err := strconv.Atoi(field)
			require.NoError(b, err)
			backends += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return ours, backends
}

// measure runs refresh in 4 workers a processor and reports the rate and the slow end of the latencies.
func measure(b *testing.B, store *repo.Store, tokens []string, refresh func(b *testing.B, token string) string) {
	b.Helper()
	const perProcessor = 4
	workers := perProcessor * runtime.GOMAXPROCS(0)
	b.SetParallelism(perProcessor)
	var worker atomic.Int64
	took := make([][]time.Duration, loadSessions)
	ours, backends := processorTime(b, store)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		own := int(worker.Add(1)-1) % loadSessions
		for i := own; pb.Next(); i = (i + workers) % loadSessions {
			begin := time.Now()
			tokens[i] = refresh(b, tokens[i])
			took[own] = append(took[own], time.Since(begin))
		}
	})
	all := slices.Concat(took...)
	slices.Sort(all)
	oursAfter, backendsAfter := processorTime(b, store)
	b.ReportMetric(float64((oursAfter-ours).Microseconds())/float64(b.N), "us-go")
	b.ReportMetric(float64((backendsAfter-backends).Microseconds())/float64(b.N), "us-postgres")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "refreshes/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms-p99")
}
