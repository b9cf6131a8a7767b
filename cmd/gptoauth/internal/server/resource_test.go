package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// consentFor signs someone in and allows a request for some resources.
func (h *harness) consentFor(resources []string) grantee {
	h.t.Helper()
	g := grantee{h: h, id: publicID, redirect: appRedirect, verifier: repotest.NewVerifier()}
	var b *browser
	b, g.user = h.newPerson()
	form := request(publicID, appRedirect, g.verifier)
	form["resource"] = resources
	g.code = b.decide(h.url+authorizePath+"?"+form.Encode(), "allow").Query().Get("code")
	return g
}

func withResources(form url.Values, resources []string) url.Values {
	form["resource"] = resources
	return form
}

// TestResourcesZeroOneOrMany at the authorization endpoint, at the exchange and at a refresh (RFC 8707 2.1 and 2.2), on a
// server that has one and on one that has two: a token is for what is named, of what was granted, and naming anything else
// spends nothing.
func TestResourcesZeroOneOrMany(t *testing.T) {
	t.Parallel()
	one := newHarness(t, func(p *Params) { p.Config.Resources, p.Config.Clients = p.Config.Resources[:1], p.Config.Clients[:4] })
	for _, h := range []*harness{one, newHarness(t)} {
		first, all := h.config.Resources[0], h.config.Resources
		lists := [][]string{nil, {first}, all, slices.Concat(all, all)}
		if len(all) > 1 {
			lists = append(lists, all[1:])
		}
		for _, consented := range lists {
			granted := []string{first}
			if consented != nil {
				granted = slices.Compact(slices.Sorted(slices.Values(consented)))
			}
			for _, named := range lists {
				h.requireAudience(h.consentFor(consented), granted, named)
			}
		}
	}
}

func (h *harness) requireAudience(g grantee, granted, named []string) {
	h.t.Helper()
	want := granted
	if named != nil {
		want = slices.Compact(slices.Sorted(slices.Values(named)))
	}
	allowed := isSubset(want, granted)

	answer := h.post(tokenPath, withResources(g.exchangeForm(), named))
	if !allowed {
		answer.requireError(h.t, http.StatusBadRequest, "invalid_target")
		answer = h.post(tokenPath, g.exchangeForm()) // the code is not spent
	}
	got := h.requireTokens(answer)
	if allowed {
		require.ElementsMatch(h.t, want, h.claims(got.Access).Audience)
	}

	answer = h.post(tokenPath, withResources(g.refreshForm(got.Refresh), named))
	if !allowed {
		answer.requireError(h.t, http.StatusBadRequest, "invalid_target")
		require.Empty(h.t, h.eventsOf(g.user, repo.EventTokenRefresh))
		return
	}
	got = h.requireTokens(answer)
	require.ElementsMatch(h.t, want, h.claims(got.Access).Audience)
	got = h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
	require.ElementsMatch(h.t, granted, h.claims(got.Access).Audience, "the refresh token keeps the whole grant")
}

// TestResourceThatIsAnotherThanItWas: the operator of a server with one resource has renamed it since the grant.
func TestResourceThatIsAnotherThanItWas(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(p *Params) {
		p.Config.Resources, p.Config.Clients = []string{"https://new.example.com"}, p.Config.Clients[:4]
	})
	old := repo.IssueParams{ClientID: publicID, RedirectURI: appRedirect, Resource: "https://old.example.com"}

	code := repotest.NewCode(t, h.store, old)
	g := grantee{h: h, id: publicID, redirect: appRedirect, code: string(code.Code), verifier: code.Verifier}
	h.post(tokenPath, g.exchangeForm("resource", "https://new.example.com")).requireError(t, http.StatusBadRequest, "invalid_target")
	page, err := h.store.Sessions.List(t.Context(), repo.SessionListParams{ClerkUserID: code.Issued.ClerkUserID})
	require.NoError(t, err)
	require.Len(t, page.Sessions, 1)
	require.False(t, page.Sessions[0].Alive, "no session lives whose tokens no one was given")
	require.Equal(t, reasonAbandoned, page.Sessions[0].EndReason)

	session := repotest.NewSession(t, h.store, old, 0)
	refresh := grantee{h: h, id: publicID}.refreshForm(session.Tokens[0], "resource", "https://new.example.com")
	h.post(tokenPath, refresh).requireError(t, http.StatusBadRequest, "invalid_target")
	require.Empty(t, h.eventsOf(session.ClerkUserID, repo.EventTokenRefresh), "nor is a refresh token spent")
}

func TestResourceOfAGrantThatNamesNoneIsTheDefault(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	session := repotest.NewSession(t, h.store, repo.IssueParams{ClientID: gptID}, 0)
	g := grantee{h: h, id: gptID}
	got := h.requireTokens(h.post(tokenPath, g.refreshForm(session.Tokens[0], "resource", h.url+mcpPath)))
	require.Equal(t, []string{h.url + mcpPath}, []string(h.claims(got.Access).Audience))
	got = h.requireTokens(h.post(tokenPath, g.refreshForm(got.Refresh)))
	require.Equal(t, []string{h.url + mcpPath}, []string(h.claims(got.Access).Audience))
	h.post(tokenPath, g.refreshForm(got.Refresh, "resource", apiResource)).requireError(t, http.StatusBadRequest, "invalid_target")
}

func TestResourceIsComparedWithoutRegardToTheCaseOfItsHostOrASlashForNoPath(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, same := range []string{"HTTPS://API.example.COM", apiResource + "/"} {
		got := h.consent(publicID, "resource", same).exchange("resource", same)
		require.Equal(t, []string{apiResource}, []string(h.claims(got.Access).Audience))
	}
	for _, other := range []string{apiResource + "//", apiResource + "/?", h.url + mcpPath + "/", apiResource + "/MCP", strings.ToUpper(h.url + mcpPath), "https://u@API.example.com"} {
		h.refusedTo(appRequest("resource", other), "invalid_target")
	}
	require.Equal(t, "https://a.example.com:8443/Path?Q#F", canonical("HTTPS://A.example.com:8443/Path?Q#F"))
	require.Equal(t, "https://a.example.com/?Q", canonical("https://a.example.com?Q"))
	require.Equal(t, "urn:Example:A", canonical("urn:Example:A"))
}
