package server

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	consentPath = "/oauth/consent"

	// consentAge is how long a person may look at the consent page.
	consentAge = 10 * time.Minute

	// allowedAge is how long signing in again may take before the person is asked once more: enough to be sent to and
	// fro, and too little to have forgotten what was allowed.
	allowedAge = time.Minute
)

// consentPage is what the template shows.
type consentPage struct {
	Client  string
	Person  person
	Scopes  []string // in words
	Host    string   // where the answer goes
	Request string   // the authorization request again, as a query
	Token   string   // of the form
	Switch  string   // where to sign in as someone else; may be empty
	Ends    string   // when the connection ends by itself (RFC 6749 10.2)
}

func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, request authorizeRequest, person person) {
	sent := request.query()
	page := consentPage{
		Client:  request.client.Name,
		Person:  person,
		Host:    displayHost(request.redirectURI),
		Request: sent,
		Token:   s.forms.issue(w, r, formConsent, person, sent),
		Switch:  s.people.switchURL(s.config.Issuer + authorizePath + "?" + sent),
		Ends:    "when " + request.client.Name + " has not used it for 30 days, and after a year", // as the store does by default
	}
	if request.client.NoRefresh {
		page.Ends = "within " + plural(int(s.config.AccessTokenTTL.Minutes()), "minute")
	}
	for _, scope := range fields(request.scope) {
		page.Scopes = append(page.Scopes, s.config.Scopes[scope])
	}
	s.show(w, r, http.StatusOK, "consent", page, formTargets(request.client)...)
}

// decideConsent takes the person's answer. The form's token says that this browser was shown this request, for this
// person, a moment ago. That is enough to refuse. To allow, the same person must be signed in still: someone who has signed
// out since, or whom Clerk has deleted, allows nothing. Whatever the answer is, it replaces an earlier one.
func (s *Server) decideConsent(w http.ResponseWriter, r *http.Request) {
	s.forgetAllowed(w, r)
	form, failure := bodyParams(w, r)
	if failure != nil {
		s.showError(w, r, failure.status, "This form cannot be read", failure.description)
		return
	}
	person, ok := s.forms.check(r, formConsent, form.get("token"), form.get("request"), consentAge)
	sent, err := url.ParseQuery(form.get("request"))
	if !ok || err != nil {
		s.showError(w, r, http.StatusForbidden, "This page is too old", "Go back to the app and begin again.")
		return
	}
	request, ok := s.checkClient(w, r, params(sent))
	if !ok || !s.checkRequest(w, r, &request) {
		return
	}
	if form.get("decision") != "allow" {
		s.observe(r, "issue", "denied")
		s.redirectError(w, r, request, badRequest("access_denied", ""))
		return
	}
	now, ok, err := s.people.signedIn(r)
	switch {
	case err != nil:
		s.peopleFailed(w, r, err)
	case !ok:
		s.signInAgain(w, r, request, person)
	case now.ID != person.ID:
		s.showError(w, r, http.StatusForbidden, "You are signed in as someone else now", "Go back to the app and begin again.")
	default:
		s.issue(w, r, request, now)
	}
}

// againPage says why one is sent to sign in again.
type againPage struct {
	Client string
	To     string
}

// signInAgain sends someone who has pressed Allow through sign-in and back to the same request. Clerk's tokens live for a
// minute and nothing on these pages renews them, so an honest person who reads for longer comes this way: where they sign
// in, their session is renewed and they are sent straight back. A cookie remembers that they have pressed already.
//
// This is a page and no redirect, because browsers hold redirects after a form to the page's form-action, and where
// sign-in leads is not ours to know.
func (s *Server) signInAgain(w http.ResponseWriter, r *http.Request, request authorizeRequest, person person) {
	token := s.forms.issue(w, r, cookieAllowed, person, request.query())
	w.Header().Del("Set-Cookie") // an earlier answer's, which this one replaces: no name may come twice (RFC 6265 4.1.1)
	http.SetCookie(w, s.forms.cookie(s.allowedCookie(), token))
	page := againPage{Client: request.client.Name, To: s.signInURL(request)}
	w.Header().Set("Refresh", "0; url="+page.To)
	s.show(w, r, http.StatusOK, "again", page)
}

// hasAllowed says whether this person has pressed Allow on this very request, in this browser, a moment ago, and comes
// back from signing in again. It is good once. Who takes longer is asked again.
func (s *Server) hasAllowed(w http.ResponseWriter, r *http.Request, request authorizeRequest, now person) bool {
	cookie, err := r.Cookie(s.allowedCookie())
	s.forgetAllowed(w, r)
	if err != nil || r.Method != http.MethodGet {
		return false
	}
	person, ok := s.forms.check(r, cookieAllowed, cookie.Value, request.query(), allowedAge)
	return ok && person.ID == now.ID
}

// forgetAllowed takes the cookie of signInAgain away. Whoever sees the page once more, or presses another button on it, has
// thought again: what they allowed before must not answer for them.
func (s *Server) forgetAllowed(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(s.allowedCookie()); err == nil {
		http.SetCookie(w, s.forms.spent(s.allowedCookie()))
	}
}

func (s *Server) allowedCookie() string { return s.forms.cookieName() + "-allowed" }

// formTargets are the origins to which the answer of the consent form may redirect: browsers hold the redirects after a
// form to the policy's form-action. All of the client's, because ChatGPT's older host redirects to its newer one.
func formTargets(client *Client) []string {
	var targets []string
	for _, uri := range client.RedirectURIs {
		u, err := url.Parse(uri)
		switch {
		case err != nil:
		case u.Scheme != "http" && u.Scheme != "https":
			targets = append(targets, u.Scheme+":")
		case isLoopback(u.Hostname()) && u.Port() == "":
			targets = append(targets, u.Scheme+"://"+u.Host+":*")
		default:
			targets = append(targets, u.Scheme+"://"+u.Host)
		}
	}
	return targets
}

// displayHost is what a person can judge of a redirect URI.
func displayHost(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		scheme, _, _ := strings.Cut(uri, ":")
		return "an app on this device (" + scheme + ")"
	}
	if isLoopback(u.Hostname()) {
		return "an app on this device (" + u.Hostname() + ")"
	}
	return u.Host
}
