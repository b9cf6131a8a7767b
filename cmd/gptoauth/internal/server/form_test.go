package server

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestFormIsGoodOnlyInTheBrowserThatWasShownIt, even if the same person is signed in at the other one and has seen the same
// pages there: nothing but the browser's cookie differs.
func TestFormIsGoodOnlyInTheBrowserThatWasShownIt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	mine, user := h.newPerson()
	other := h.browser()
	other.signIn(user)
	session := repotest.NewSession(t, h.store, repo.IssueParams{ClerkUserID: user, ClientID: publicID}, 0)
	form, apps := mine.consentForm(gptStart(h)), hidden(mine.get(h.url+appsPath).body)
	apps.Set("session", session.SessionID.String())
	other.consentForm(gptStart(h))
	other.get(h.url + appsPath)
	require.NotEqual(t, mine.cookie(h.forms.cookieName()), other.cookie(h.forms.cookieName()))

	deny := url.Values{"request": form["request"], "token": form["token"], "decision": {"deny"}}
	for _, planted := range []url.Values{form, deny} {
		require.Equal(t, http.StatusForbidden, other.post(h.url+consentPath, planted).StatusCode)
	}
	require.Equal(t, http.StatusForbidden, other.post(h.url+appsEndPath, apps).StatusCode)
	require.Empty(t, h.eventsOf(user, repo.EventSessionEnd))

	require.NotEmpty(t, mine.location(mine.post(h.url+consentPath, form)).Query().Get("code"))
	require.Equal(t, http.StatusSeeOther, mine.post(h.url+appsEndPath, apps).StatusCode)
	require.False(t, h.aliveSession(session))
}

// TestFormIsGoodOnlyForWhatItWasMadeFor, in its own browser, for its own person, with the same content.
func TestFormIsGoodOnlyForWhatItWasMadeFor(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b, user := h.newPerson()
	form := b.consentForm(gptStart(h))
	b.set(h.allowedCookie(), form.Get("token"))
	b.consentForm(gptStart(h)) // which expects the page: to be shown it is not to have allowed

	apps := url.Values{"token": {hidden(b.get(h.url + appsPath).body).Get("token")}, "request": {""}, "decision": {"allow"}}
	require.Equal(t, http.StatusForbidden, b.post(h.url+consentPath, apps).StatusCode)

	devSession := b.cookie(devCookie)
	b.set(devCookie, "")
	requireSignIn(t, b.post(h.url+consentPath, form), "return_to")
	b.set(devCookie, devSession)
	allowed := with(form, "token", b.cookie(h.allowedCookie()))
	require.Equal(t, http.StatusForbidden, b.post(h.url+consentPath, allowed).StatusCode)
	require.Empty(t, h.eventsOf(user, repo.EventAuthorize))
}
