package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestShutdownFinishesRequestsInFlight: a refresh whose session is locked is in flight when the server is told to stop.
func TestShutdownFinishesRequestsInFlight(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	issuer := "http://" + listener.Addr().String()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	server, err := New(Params{
		Store: store, Ready: func(context.Context) error { return nil }, Config: testConfig(issuer), Dev: true,
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()

	session := repotest.NewSession(t, store, repo.IssueParams{ClientID: publicID}, 0)
	lock, err := store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = lock.ExecContext(t.Context(), "SELECT FROM public.gpt_sessions WHERE id = ? FOR UPDATE", session.SessionID)
	require.NoError(t, err)

	answered := make(chan *http.Response, 1)
	go func() {
		form := grantee{id: publicID}.refreshForm(session.Tokens[0])
		response, err := http.Post(issuer+tokenPath, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
		if err != nil {
			t.Error(err)
		}
		answered <- response
	}()
	require.Eventually(t, func() bool {
		var waiting bool
		err := store.DB().QueryRowContext(t.Context(),
			"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waiting)
		return err == nil && waiting
	}, 10*time.Second, 10*time.Millisecond)

	interrupt()
	require.Eventually(t, func() bool { return server.draining.Load() }, 10*time.Second, time.Millisecond)
	select {
	case err := <-served:
		require.Fail(t, "it did not wait", err)
	default:
	}
	require.NoError(t, lock.Rollback())
	response := <-answered
	require.NotNil(t, response)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	require.NoError(t, <-served)
	_, err = net.Dial("tcp", listener.Addr().String())
	require.Error(t, err, "it listens no more")
}

func TestReadyIsNotWhileShuttingDown(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	require.Equal(t, http.StatusOK, h.browser().get(h.url+"/readyz").StatusCode)
	h.draining.Store(true)
	require.Equal(t, http.StatusServiceUnavailable, h.browser().get(h.url+"/readyz").StatusCode)
	require.Equal(t, http.StatusOK, h.browser().get(h.url+"/healthz").StatusCode)
}
