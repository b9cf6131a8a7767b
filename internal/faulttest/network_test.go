package faulttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

// TestWithoutFault: what the comparison finds elsewhere comes from the fault, in the naive store too.
func TestWithoutFault(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	direct := openDirect(t, databaseOf(server))
	for name, crowd := range map[string]*crowd{
		"TheStore": newCrowd(t, openStore(t, databaseOf(server), patient), crowdSize),
		"Naive":    naiveCrowd(openStore(t, databaseOf(server), patient)),
	} {
		t.Run(name, func(t *testing.T) {
			emptyTables(t, direct)
			crowd.suffer(t, direct, func(*testing.T) { <-time.After(time.Second) })
		})
	}
}

// hasty gives up an attempt while the network still swallows everything.
var hasty = repo.Config{StatementTimeout: time.Second, Timeout: 2 * time.Minute, Grace: grace}

// network is a fault of the network between the store and the server.
type network struct {
	name  string
	toxic string
	lasts time.Duration
	// loses: an answer can get lost, so that a naive store must be found out.
	loses bool
}

// TestNetwork breaks the network below connections that are in use, and mends it.
func TestNetwork(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	for _, fault := range []network{
		{"Reset", `"reset_peer", "attributes": {"timeout": 0}`, 300 * time.Millisecond, true},
		{"BlackHole", `"timeout", "attributes": {"timeout": 0}`, 4 * time.Second, true},
		{"Latency", `"latency", "attributes": {"latency": 150, "jitter": 100}`, time.Second, false},
	} {
		t.Run(fault.name, func(t *testing.T) { // one after the other: they share a database
			proxy, dsn := poison(t, databaseOf(server))
			direct := openDirect(t, databaseOf(server))
			t.Run("TheStoreLosesNothing", func(t *testing.T) {
				emptyTables(t, direct)
				newCrowd(t, openStore(t, dsn, hasty), crowdSize).suffer(t, direct, fault.inflict(proxy, dsn))
			})
			if fault.loses {
				t.Run("NaiveIsCaught", func(t *testing.T) {
					emptyTables(t, direct)
					naiveCrowd(openStore(t, dsn, patient)).sufferUntilCaught(t, direct, fault.inflict(proxy, dsn))
				})
			}
		})
	}
}

// inflict adds the fault for a while. That it breaks something shows on a probe, which asks once.
func (n network) inflict(proxy *toxiproxy.Proxy, dsn string) func(t *testing.T) {
	return func(t *testing.T) {
		probe := openPool(t, dsn, patient, repo.PoolConfig{MaxConns: 1})
		begin := time.Now()
		for _, stream := range []string{"upstream", "downstream"} {
			_, err := proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": %s, "stream": %q}`, n.toxic, stream)))
			require.NoError(t, err)
		}
		defer proxy.Toxics.ResetToxics(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := probe.DB().ExecContext(ctx, "SELECT 1")
		require.True(t, err != nil || time.Since(begin) > 50*time.Millisecond, "the fault broke nothing")
		<-time.After(n.lasts)
	}
}

// TestHalfDelivered leads the clients over a network that delivers packets in small pieces, and of half of the connections
// nothing beyond some byte. (These toxics are never removed while in use: toxiproxy comes to a standstill then.)
func TestHalfDelivered(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	relay, dsn := startRelay(t, databaseOf(server))
	direct := openDirect(t, databaseOf(server))
	inflict := func(t *testing.T) {
		proxy, _ := poison(t, databaseOf(server))
		for _, stream := range []string{"upstream", "downstream"} {
			for _, toxic := range []string{
				`"slicer", "attributes": {"average_size": 16, "size_variation": 8, "delay": 100}`,
				fmt.Sprintf(`"limit_data", "toxicity": 0.5, "attributes": {"bytes": %d}`, rand.IntN(4000)),
			} {
				_, err := proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(`{"type": %s, "stream": %q}`, toxic, stream)))
				require.NoError(t, err)
			}
		}
		before := relay.connections()
		relay.turnTo(proxy.Listen)
		require.Eventually(t, func() bool { return relay.connections() > before+2*crowdSize }, time.Minute, 10*time.Millisecond, "the fault broke nothing")
		relay.turnTo(hostOf(t, databaseOf(server)))
	}
	t.Run("TheStoreLosesNothing", func(t *testing.T) {
		emptyTables(t, direct)
		newCrowd(t, openStore(t, dsn, patient), crowdSize).suffer(t, direct, inflict)
	})
	t.Run("NaiveIsCaught", func(t *testing.T) {
		emptyTables(t, direct)
		naiveCrowd(openStore(t, dsn, patient)).sufferUntilCaught(t, direct, inflict)
	})
}

var proxies atomic.Int64

// poison starts a proxy before the server, and returns the DSN that goes through it.
func poison(t testing.TB, dsn string) (*toxiproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	name := fmt.Sprintf("proxy %d", proxies.Add(1))
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), name, "127.0.0.1:0", u.Host)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	u.Host = proxy.Listen
	return proxy, u.String()
}
