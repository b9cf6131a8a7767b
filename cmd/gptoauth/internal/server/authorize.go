package server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gptoauth/gptoauth/repo"
)

// authorizeRequest is an authorization request that may be shown to a person (RFC 6749 4.1.1).
type authorizeRequest struct {
	params      params
	client      *Client
	redirectURI string
	scope       string
	resource    string
}

// query is the request again, always written in the same way.
func (a authorizeRequest) query() string { return url.Values(a.params).Encode() }

// authorize answers RFC 6749 3.1: it asks the person to sign in, and then for consent. Nothing is stored before that, and
// until it is known who they are no one is sent on, not even with an error (RFC 9700 4.11.2).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	sent, failure := authorizeParams(w, r)
	if failure != nil {
		s.showError(w, r, http.StatusBadRequest, "This request cannot be read", failure.description)
		return
	}
	request, ok := s.checkClient(w, r, sent)
	if !ok {
		return
	}
	person, ok, err := s.people.signedIn(r)
	switch {
	case err != nil:
		s.peopleFailed(w, r, err)
	case !ok:
		s.redirect(w, r, s.signInURL(request))
	case !s.checkRequest(w, r, &request):
	case s.hasAllowed(w, r, request, person):
		s.issue(w, r, request, person)
	default:
		s.showConsent(w, r, request, person)
	}
}

// signInURL leads through sign-in and back to the request.
func (s *Server) signInURL(request authorizeRequest) string {
	return s.people.signInURL(s.config.Issuer + authorizePath + "?" + request.query())
}

func authorizeParams(w http.ResponseWriter, r *http.Request) (params, *oauthError) {
	if r.Method == http.MethodPost {
		return bodyParams(w, r)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("invalid_request", "the query is malformed")
	}
	return params(values), nil
}

// checkClient finds the client, and where it may be answered. Until that is sure, the person is told what is wrong and no
// one else (RFC 6749 3.1.2.4).
func (s *Server) checkClient(w http.ResponseWriter, r *http.Request, sent params) (authorizeRequest, bool) {
	request := authorizeRequest{params: sent}
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(sent[name]) > 1 {
			s.showError(w, r, http.StatusBadRequest, "This request cannot be answered", "The parameter "+name+" comes twice.")
			return request, false
		}
	}
	if request.client = s.clients[sent.get("client_id")]; request.client == nil {
		s.showError(w, r, http.StatusBadRequest, "Unknown app", "The app that sent you here is not registered with this server.")
		return request, false
	}
	note(r).client = request.client.ID
	var ok bool
	if request.redirectURI, ok = redirectURI(request.client, sent); !ok {
		s.showError(w, r, http.StatusBadRequest, "Unknown address",
			request.client.Name+" asks to send you on to an address that is not registered for it. Nothing was sent there.")
		return request, false
	}
	return request, true
}

// checkRequest tells the client what is wrong with the rest.
func (s *Server) checkRequest(w http.ResponseWriter, r *http.Request, request *authorizeRequest) bool {
	failure := s.checkGrant(request)
	if failure != nil {
		s.redirectError(w, r, *request, failure)
	}
	return failure == nil
}

// redirectURI may be left out if there is only one (RFC 6749 3.1.2.3) and PKCE ties the code to the client instead.
func redirectURI(client *Client, sent params) (string, bool) {
	if uri := sent.get("redirect_uri"); uri != "" {
		return uri, client.redirects(uri)
	}
	if len(client.RedirectURIs) == 1 && sent.get("code_challenge") != "" {
		return client.RedirectURIs[0], true
	}
	return "", false
}

// checkGrant checks what is asked for, before a person is bothered with it. The store checks the syntax once more.
func (s *Server) checkGrant(request *authorizeRequest) *oauthError {
	sent, client := request.params, request.client
	if sent.repeats() {
		return badRequest("invalid_request", "a parameter comes twice")
	}
	switch sent.get("response_type") {
	case "code":
	case "":
		return badRequest("invalid_request", "response_type is missing")
	default:
		return badRequest("unsupported_response_type", "")
	}
	if mode := sent.get("response_mode"); mode != "" && mode != "query" {
		return badRequest("invalid_request", "response_mode must be query")
	}
	if challenge, method := sent.get("code_challenge"), sent.get("code_challenge_method"); challenge == "" {
		if client.PKCE != pkceOptional || method != "" {
			return badRequest("invalid_request", "code challenge required") // the words of RFC 7636 4.4.1
		}
	} else if method != repo.S256 {
		return badRequest("invalid_request", "transform algorithm not supported")
	}

	var ok bool
	if request.scope, ok = client.grants(sent.get("scope")); !ok {
		return badRequest("invalid_scope", "")
	}
	resources, ok := s.resources(sent)
	if !ok {
		return badRequest("invalid_target", "")
	}
	request.resource = strings.Join(resources, " ")
	if len(resources) == 0 {
		request.resource = s.defaultResource()
	}
	return nil
}

// issue writes the code and sends the person back with it (RFC 6749 4.1.2).
func (s *Server) issue(w http.ResponseWriter, r *http.Request, request authorizeRequest, person person) {
	sent := request.params
	result, err := s.store.AuthCodes.Issue(r.Context(), repo.IssueParams{
		ClerkUserID:         person.ID,
		ClientID:            request.client.ID,
		RedirectURI:         request.redirectURI,
		CodeChallenge:       sent.get("code_challenge"),
		CodeChallengeMethod: sent.get("code_challenge_method"),
		WithoutPKCE:         sent.get("code_challenge") == "",
		Scope:               request.scope,
		Resource:            request.resource,
		IPAddress:           s.addressOf(r),
	})
	if err != nil {
		s.redirectError(w, r, request, s.issueFailed(r, err))
		return
	}
	s.observe(r, "issue", outcomeIssued)
	s.redirectBack(w, r, request, url.Values{"code": {string(result.Code)}})
}

// outcomeIssued is of this server's counters only: Issue has no outcomes, it succeeds or fails.
const outcomeIssued repo.Outcome = "issued"

// issueFailed: what breaks a rule of the store was sent by the client, except who the person is.
func (s *Server) issueFailed(r *http.Request, err error) *oauthError {
	input, ok := errors.AsType[*repo.InputError](err)
	if !ok {
		return s.storeFailed(r, err)
	}
	switch strings.TrimPrefix(input.Field, "IssueParams.") {
	case "Scope":
		return badRequest("invalid_scope", input.Rule)
	case "Resource":
		return badRequest("invalid_target", input.Rule)
	case "ClerkUserID":
		return s.storeFailed(r, err)
	default:
		return badRequest("invalid_request", strings.TrimPrefix(input.Field, "IssueParams.")+" "+input.Rule)
	}
}

// redirectError answers the client by way of the browser (RFC 6749 4.1.2.1).
func (s *Server) redirectError(w http.ResponseWriter, r *http.Request, request authorizeRequest, failure *oauthError) {
	answer := url.Values{"error": {failure.code}}
	if failure.description != "" {
		answer.Set("error_description", failure.description)
	}
	s.redirectBack(w, r, request, answer)
}

// redirectBack adds state, exactly as it came, and iss (RFC 9207 2), and keeps a query that the URI has (RFC 6749 3.1.2).
func (s *Server) redirectBack(w http.ResponseWriter, r *http.Request, request authorizeRequest, answer url.Values) {
	answer.Set("iss", s.config.Issuer)
	if state := request.params.get("state"); state != "" {
		answer.Set("state", state)
	}
	separator := "?"
	if strings.Contains(request.redirectURI, "?") {
		separator = "&"
	}
	s.redirect(w, r, request.redirectURI+separator+answer.Encode())
}

// redirect is 303, after which no browser repeats a POST (RFC 9700 4.12). http.Redirect would rewrite what a native app
// has for a URI, and write a page that shows it.
func (s *Server) redirect(w http.ResponseWriter, _ *http.Request, to string) {
	noStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
