package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	devSignInPath   = "/dev/sign-in"
	devCallbackPath = "/dev/callback"
	devCookie       = "gptoauth_dev_person"
	devAge          = 24 * time.Hour

	// DevClientID is the public client of --dev, whose redirect URI is a page of this server.
	DevClientID = "dev"
)

// devNames are offered for the picking.
var devNames = []string{"Ada", "Grace", "Linus"}

var devNamePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 -]{0,39}$`)

// devPeople replaces Clerk on a developer's machine: one picks a name.
type devPeople struct {
	forms  *forms
	issuer string
}

func (d *devPeople) signedIn(r *http.Request) (person, bool, error) {
	cookie, err := r.Cookie(devCookie)
	if err != nil {
		return person{}, false, nil //nolint:nilerr // no cookie: no one
	}
	who, ok := d.forms.verify(cookieDev, cookie.Value, "", "", devAge)
	return who, ok, nil
}

func (d *devPeople) signInURL(returnTo string) string {
	return d.issuer + devSignInPath + "?" + url.Values{"return_to": {returnTo}}.Encode()
}

func (d *devPeople) switchURL(returnTo string) string { return d.signInURL(returnTo) }

type signInPage struct {
	Names           []string
	ReturnTo, Token string
}

func (s *Server) devSignInPage(w http.ResponseWriter, r *http.Request) {
	returnTo := s.ownURL(r.URL.Query().Get("return_to"))
	page := signInPage{devNames, returnTo, s.forms.issue(w, r, cookieDev, person{}, returnTo)}
	s.show(w, r, http.StatusOK, "signin", page, s.answerTargets(returnTo)...)
}

// answerTargets: an authorization request may be answered as soon as one is signed in, and then redirects to the client.
func (s *Server) answerTargets(returnTo string) []string {
	to, err := url.Parse(returnTo)
	if err != nil {
		return nil
	}
	client := s.clients[to.Query().Get("client_id")]
	if client == nil {
		return nil
	}
	return formTargets(client)
}

func (s *Server) devSignIn(w http.ResponseWriter, r *http.Request) {
	form, failure := bodyParams(w, r)
	if failure != nil {
		s.showError(w, r, failure.status, "This form cannot be read", failure.description)
		return
	}
	returnTo := s.ownURL(form.get("return_to"))
	name := form.get("person")
	if _, ok := s.forms.check(r, cookieDev, form.get("token"), returnTo, devAge); !ok || !devNamePattern.MatchString(name) {
		s.showError(w, r, http.StatusForbidden, "This cannot be you", "Open the sign-in page again and pick a name of letters.")
		return
	}
	id := "user_" + strings.ReplaceAll(strings.ToLower(name), " ", "_")
	http.SetCookie(w, s.forms.cookie(devCookie, s.forms.sign(cookieDev, person{ID: id, Name: name}, "", "")))
	s.redirect(w, r, returnTo)
}

// ownURL lets no one use the sign-in as an open redirector (RFC 9700 4.11).
func (s *Server) ownURL(to string) string {
	if strings.HasPrefix(to, s.config.Issuer+"/") {
		return to
	}
	return s.config.Issuer + appsPath
}

// onlyLoopback turns away requests for another host: a site that makes its name point here (DNS rebinding), or a tunnel.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !isLoopback(strings.Trim(host, "[]")) {
			http.Error(w, "gptoauth serve --dev answers to this machine only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// devFlow is the app of --dev: a public client with one code verifier for the life of the process.
type devFlow struct {
	issuer, verifier string
}

func newDevFlow(issuer string) devFlow {
	return devFlow{issuer: issuer, verifier: rand.Text() + rand.Text()}
}

// AuthorizeURL is where to begin.
func (d devFlow) authorizeURL() string {
	sum := sha256.Sum256([]byte(d.verifier))
	return d.issuer + authorizePath + "?" + url.Values{
		"response_type":         {"code"},
		"client_id":             {DevClientID},
		"redirect_uri":          {d.redirectURI()},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(sum[:])},
		"code_challenge_method": {"S256"},
		"state":                 {rand.Text()},
	}.Encode()
}

func (d devFlow) redirectURI() string { return d.issuer + devCallbackPath }

func (d devFlow) exchangeCommand(code string) string {
	return fmt.Sprintf(`curl -s %s \
  -d grant_type=authorization_code \
  -d client_id=%s \
  -d redirect_uri=%s \
  -d code_verifier=%s \
  -d code=%s`, d.issuer+tokenPath, DevClientID, d.redirectURI(), d.verifier, code)
}

func (d devFlow) refreshCommand() string {
	return fmt.Sprintf(`curl -s %s \
  -d grant_type=refresh_token \
  -d client_id=%s \
  -d refresh_token="$REFRESH_TOKEN"`, d.issuer+tokenPath, DevClientID)
}

type callbackPage struct {
	Code, Issuer, Exchange, Refresh, Error, Description, Again string
}

func (s *Server) devCallback(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	page := callbackPage{
		Code: query.Get("code"), Issuer: query.Get("iss"), Error: query.Get("error"), Description: query.Get("error_description"),
		Again: s.dev.authorizeURL(), Refresh: s.dev.refreshCommand(),
	}
	if !shellSafe.MatchString(page.Code) {
		page.Code = ""
	}
	page.Exchange = s.dev.exchangeCommand(page.Code)
	s.show(w, r, http.StatusOK, "callback", page)
}

// shellSafe is what may stand in a command that is made for pasting.
var shellSafe = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
