package faulttest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

// TestOutage lasts longer than requests may take, so that the store gives up and it is the clients who ask again.
func TestOutage(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	direct := openDirect(t, databaseOf(server))
	const shortRequest = 600 * time.Millisecond
	proxy, dsn := poison(t, databaseOf(server))
	hole := network{toxic: `"timeout", "attributes": {"timeout": 0}`, lasts: 3 * time.Second}
	for name, inflict := range map[string]func(t *testing.T){
		"ServerDown": func(t *testing.T) {
			require.NoError(t, server.StopImmediate(t.Context()))
			<-time.After(3 * shortRequest)
			require.NoError(t, server.StartAgain(t.Context()))
		},
		"BlackHole": hole.inflict(proxy, dsn),
	} {
		t.Run(name, func(t *testing.T) {
			emptyTables(t, direct)
			crowd := newCrowd(t, openStore(t, dsn, repo.Config{StatementTimeout: shortRequest / 2, Grace: grace}), crowdSize)
			for _, client := range crowd.clients {
				client.timeout = shortRequest
			}
			crowd.suffer(t, direct, inflict)
			require.NotZero(t, crowd.failures(), "no call was given up: the test shows nothing")
		})
	}
}
