package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// endApp presses a button of Connected apps.
func (b *browser) endApp(which string) answer {
	b.h.t.Helper()
	form := hidden(b.get(b.h.url + appsPath).body)
	form.Set("session", which)
	return b.post(b.h.url+appsEndPath, form)
}

func (h *harness) aliveSession(session repotest.Session) bool {
	h.t.Helper()
	alive, err := h.store.Sessions.Active(h.t.Context(), session.SessionID)
	require.NoError(h.t, err)
	return alive
}

func TestAppsShowsTheLivingSessionsOfThePersonOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b, user := h.newPerson()
	mine := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: gptID, Scope: "jobs:read"}, 1)
	ended := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: publicID}, 0)
	other := repotest.NewSession(t, h.store, repo.IssueParams{ClientID: gptID}, 0)
	_, err := h.store.Sessions.End(t.Context(), repo.EndParams{SessionID: ended.SessionID, Reason: "test"})
	require.NoError(t, err)

	page := b.get(h.url + appsPath).body
	require.Contains(t, page, mine.SessionID.String())
	require.Contains(t, page, "Career Coach")
	require.Contains(t, page, "Search jobs for you")
	require.NotContains(t, page, ended.SessionID.String())
	require.NotContains(t, page, other.SessionID.String())
}

func TestAppsShowsAConnectionWithoutRefreshForAsLongAsItsAccessTokenLives(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(p *Params) { p.Config.Clients[0].NoRefresh = true })
	b, user := h.newPerson()
	short := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: gptID}, 0)
	long := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: publicID}, 0)
	page := b.get(h.url + appsPath).body
	require.Contains(t, page, short.SessionID.String())
	require.Contains(t, page, long.SessionID.String())

	for _, session := range []repotest.Session{short, long} {
		repotest.AgeSession(t, h.store, session.SessionID, h.config.AccessTokenTTL+time.Minute)
	}
	page = b.get(h.url + appsPath).body
	require.NotContains(t, page, short.SessionID.String())
	require.Contains(t, page, long.SessionID.String())
}

func TestAppsEndsOneSessionOrAllAndNoOneElses(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b, user := h.newPerson()
	var mine []repotest.Session
	for range 3 {
		mine = append(mine, repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: gptID}, 0))
	}
	other := repotest.NewSession(t, h.store, repo.IssueParams{ClientID: gptID}, 0)

	for _, which := range []string{other.SessionID.String(), "nonsense", "", "00000000-0000-0000-0000-000000000000"} {
		require.Equal(t, http.StatusSeeOther, b.endApp(which).StatusCode)
	}
	require.True(t, h.aliveSession(other))
	require.True(t, h.aliveSession(mine[0]))

	require.Equal(t, h.url+appsPath+"?ended", b.location(b.endApp(mine[0].SessionID.String())).String())
	require.False(t, h.aliveSession(mine[0]))
	require.True(t, h.aliveSession(mine[1]))
	b.endApp("all")
	require.False(t, h.aliveSession(mine[1]))
	require.False(t, h.aliveSession(mine[2]))
	require.True(t, h.aliveSession(other))
	events := h.eventsOf(user, repo.EventSessionEnd)
	require.Len(t, events, 3)
	require.Contains(t, string(events[0].Metadata), reasonPerson)
	require.Equal(t, "127.0.0.1", events[0].IPAddress)
}

func TestAppsCannotBeEndedByAnotherSite(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b, user := h.newPerson()
	mine := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: gptID}, 0)
	attacker, _ := h.newPerson()
	stolen := hidden(attacker.get(h.url + appsPath).body)
	for _, form := range []url.Values{{}, stolen} {
		form.Set("session", mine.SessionID.String())
		require.Equal(t, http.StatusForbidden, b.post(h.url+appsEndPath, form).StatusCode)
	}
	require.True(t, h.aliveSession(mine))
}

func TestAppsFindsALivingSessionBehindManyThatEnded(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b, user := h.newPerson()
	living := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: gptID}, 0)
	for range maxApps + 1 {
		ended := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: gptID}, 0)
		_, err := h.store.Sessions.End(t.Context(), repo.EndParams{SessionID: ended.SessionID, Reason: "test"})
		require.NoError(t, err)
	}
	require.Contains(t, b.get(h.url+appsPath).body, living.SessionID.String())
}

func TestPagesEscapeWhatPeopleAndClientsAreCalled(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(p *Params) { p.Config.Clients[0].Name = `<script>alert("x")</script>` })
	page := h.ask(gptRequest())
	require.NotContains(t, page.body, "<script")
	require.Contains(t, page.body, "&lt;script&gt;")
}

func TestDevAnswersLoopbackHostsOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for host, want := range map[string]int{
		strings.TrimPrefix(h.url, "http://"): http.StatusOK, "localhost": http.StatusOK, "[::1]:8080": http.StatusOK,
		"rebound.example.com": http.StatusForbidden, "127.0.0.1.example.com": http.StatusForbidden, "": http.StatusForbidden,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+devSignInPath, nil)
		require.NoError(t, err)
		if r.Host = host; host == "" {
			r.Host = "192.0.2.1"
		}
		require.Equal(t, want, h.browser().do(r).StatusCode, host)
	}
}

func TestMetricsCountOutcomesAndShowThePool(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(gptID)
	got := g.exchange()
	h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
	h.post(tokenPath, g.exchangeForm())
	text := h.browser().get(h.url + "/metrics").body
	for operation, outcome := range map[string]string{"issue": "issued", "rotate": "rotated", "exchange": "replayed"} {
		require.Contains(t, text, fmt.Sprintf("gptoauth_outcomes_total{operation=%q,outcome=%q} 1", operation, outcome))
	}
	require.Contains(t, text, `go_sql_max_open_connections{db_name="gptoauth"} 10`)
	require.Contains(t, text, `gptoauth_http_request_duration_seconds_count{route="POST /oauth/token",status="200"} 2`)
}

func TestLogTellsWhatHappenedAndNoSecret(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(publicID)
	got := g.exchange()
	next := h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
	h.post(introspectPath, grantee{id: resourceID}.tokenForm(next.Access))
	h.post(revokePath, g.tokenForm(next.Refresh))
	log := h.log.String()
	require.Contains(t, log, "outcome=rotated")
	require.Contains(t, log, "session_id="+h.claims(got.Access).SessionID.String())
	for _, text := range []string{g.code, g.verifier, got.Refresh, got.Access, next.Refresh, next.Access, secret, "state"} {
		require.NotContains(t, log, text)
	}
	_, mac, _ := strings.Cut(got.Access, ".")
	require.NotContains(t, log, mac)
}
