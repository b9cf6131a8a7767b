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
}

func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, request authorizeRequest, person person) {
	sent := url.Values(request.params).Encode()
	page := consentPage{
		Client:  request.client.Name,
		Person:  person,
		Host:    displayHost(request.redirectURI),
		Request: sent,
		Token:   s.forms.issue(w, r, formConsent, person, sent),
		Switch:  s.people.switchURL(s.config.Issuer + authorizePath + "?" + sent),
	}
	for _, scope := range fields(request.scope) {
		page.Scopes = append(page.Scopes, s.config.Scopes[scope])
	}
	s.show(w, r, http.StatusOK, "consent", page, formTargets(request.client)...)
}

// decideConsent takes the person's answer. The form's token says that this browser was shown this request, for this
// person, a moment ago. That is enough to go on when Clerk's own token, which lives a minute, has expired meanwhile; if it
// has not, it must be the same person's.
func (s *Server) decideConsent(w http.ResponseWriter, r *http.Request) {
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
	if now, ok, err := s.people.signedIn(r); err != nil || ok && now.ID != person.ID {
		s.showError(w, r, http.StatusForbidden, "You are signed in as someone else now", "Go back to the app and begin again.")
		return
	}
	request, ok := s.checkAuthorize(w, r, params(sent))
	if !ok {
		return
	}
	if form.get("decision") != "allow" {
		s.observe(r, "issue", "denied")
		s.redirectError(w, r, request, badRequest("access_denied", ""))
		return
	}
	s.issue(w, r, request, person)
}

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
		return "an app on this device"
	}
	return u.Host
}
