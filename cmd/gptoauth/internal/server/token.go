package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

// tokenAnswer is RFC 6749 5.1.
type tokenAnswer struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type"`
	ExpiresIn    int64       `json:"expires_in"` // seconds
	RefreshToken repo.Secret `json:"refresh_token,omitempty"`
	Scope        string      `json:"scope,omitempty"`
}

// tokenRequest is what both grants have in common.
type tokenRequest struct {
	form     params
	client   *Client
	scope    string   // empty: as granted
	resource []string // empty: as granted
}

// token answers RFC 6749 3.2: the two grants authorization_code and refresh_token.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	form, failure := bodyParams(w, r)
	if failure != nil {
		failure.write(w)
		return
	}
	request := tokenRequest{form: form, scope: form.get("scope")}
	if request.client, failure = s.authenticate(w, r, form); failure != nil {
		failure.write(w)
		return
	}
	answer, failure := s.grant(r, request)
	if failure != nil {
		failure.write(w)
		return
	}
	noStore(w)
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) grant(r *http.Request, request tokenRequest) (tokenAnswer, *oauthError) {
	var ok bool
	if request.resource, ok = s.resources(request.form); !ok {
		return tokenAnswer{}, badRequest("invalid_target", "")
	}
	switch request.form.get("grant_type") {
	case "authorization_code":
		return s.exchange(r, request)
	case "refresh_token":
		if request.client.NoRefresh {
			return tokenAnswer{}, badRequest("unauthorized_client", "")
		}
		return s.refresh(r, request)
	case "":
		return tokenAnswer{}, badRequest("invalid_request", "grant_type is missing")
	default:
		return tokenAnswer{}, badRequest("unsupported_grant_type", "")
	}
}

// exchange spends a code (RFC 6749 4.1.3). The scope was decided with the code, so that the parameter is ignored here.
func (s *Server) exchange(r *http.Request, request tokenRequest) (tokenAnswer, *oauthError) {
	if request.form.get("code") == "" {
		return tokenAnswer{}, badRequest("invalid_request", "code is missing")
	}
	params := repo.ExchangeParams{
		Code:                request.form.get("code"),
		ClientID:            request.client.ID,
		RedirectURI:         request.form.get("redirect_uri"),
		CodeVerifier:        request.form.get("code_verifier"),
		ClientAuthenticated: request.client.isConfidential(),
		IPAddress:           s.addressOf(r),
		UserAgent:           userAgent(r),
	}
	result, err := s.exchangeFor(r.Context(), params, request.resource)
	if errors.Is(err, errTarget) {
		return tokenAnswer{}, badRequest("invalid_target", "")
	}
	if err != nil {
		return tokenAnswer{}, s.storeFailed(r, err)
	}
	s.observe(r, "exchange", result.Outcome)
	if result.Err() != nil {
		return tokenAnswer{}, invalidGrant()
	}
	request.scope = ""
	answer, failure := s.answer(r, request, result.Grant)
	if failure != nil {
		s.abandon(r, result.Grant)
	}
	return answer, failure
}

// abandon ends a session whose tokens were given to no one, also if the client has gone meanwhile.
func (s *Server) abandon(r *http.Request, grant repo.Grant) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), abandonTimeout)
	defer cancel()
	params := repo.EndParams{SessionID: grant.SessionID, Reason: reasonAbandoned, IPAddress: s.addressOf(r)}
	if _, err := s.store.Sessions.End(ctx, params); err != nil {
		s.log.ErrorContext(ctx, "cannot end a session that no one was given", "error", err)
	}
}

const (
	reasonAbandoned = "no_token_given"
	abandonTimeout  = 5 * time.Second
)

// errTarget says that the client names a resource that was not consented to.
var errTarget = errors.New("the resource was not granted")

// exchangeFor exchanges, unless the code turns out not to be for the resources named: then the transaction is undone, so
// that a client's mistake costs it no code. Where there is one resource none can be mistaken, unless it is another than it
// was when the code was issued; the bare call is better there, because the store repeats it when a connection is lost.
func (s *Server) exchangeFor(ctx context.Context, params repo.ExchangeParams, resource []string) (repo.ExchangeResult, error) {
	if len(resource) == 0 || len(s.config.Resources) == 1 {
		return s.store.AuthCodes.Exchange(ctx, params)
	}
	var result repo.ExchangeResult
	err := s.store.InTx(ctx, func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		var err error
		result, err = store.AuthCodes.Exchange(ctx, params)
		if err == nil && result.Err() == nil && !isSubset(resource, s.audience(result.Resource)) {
			return errTarget
		}
		return err
	})
	return result, err
}

// refresh rotates a refresh token (RFC 6749 6). What the client asks for is compared with what was granted before the
// token is spent: the grant of a session never changes.
func (s *Server) refresh(r *http.Request, request tokenRequest) (tokenAnswer, *oauthError) {
	token := request.form.get("refresh_token")
	if token == "" {
		return tokenAnswer{}, badRequest("invalid_request", "refresh_token is missing")
	}
	if failure := s.exceeds(r, request, token); failure != nil {
		return tokenAnswer{}, failure
	}
	result, err := s.store.RefreshTokens.Rotate(r.Context(), repo.RotateParams{
		RefreshToken: token,
		ClientID:     request.client.ID,
		IPAddress:    s.addressOf(r),
	})
	if err != nil {
		return tokenAnswer{}, s.storeFailed(r, err)
	}
	s.observe(r, "rotate", result.Outcome)
	if result.Err() != nil {
		return tokenAnswer{}, invalidGrant()
	}
	return s.answer(r, request, result.Grant)
}

// exceeds refuses a scope or resource that was not granted. What is to be said of a token that is not the client's, or
// not good, is for Rotate to say.
func (s *Server) exceeds(r *http.Request, request tokenRequest, token string) *oauthError {
	if request.scope == "" && len(request.resource) == 0 {
		return nil
	}
	found, err := s.store.RefreshTokens.Lookup(r.Context(), token)
	if err != nil {
		return s.storeFailed(r, err)
	}
	switch session := found.Session; {
	case session.ClientID != request.client.ID || !session.Alive:
		return nil
	case !isSubset(fields(request.scope), fields(session.Scope)):
		return badRequest("invalid_scope", "the scope exceeds what was granted (RFC 6749 6)")
	case !isSubset(request.resource, s.audience(session.Resource)):
		return badRequest("invalid_target", "")
	default:
		return nil
	}
}

func (s *Server) answer(r *http.Request, request tokenRequest, grant repo.Grant) (tokenAnswer, *oauthError) {
	note(r).session = grant.SessionID
	scope, audience := grant.Scope, s.audience(grant.Resource)
	if !isSubset(fields(request.scope), fields(scope)) {
		return tokenAnswer{}, badRequest("invalid_scope", "")
	}
	if !isSubset(request.resource, audience) {
		return tokenAnswer{}, badRequest("invalid_target", "")
	}
	if request.scope != "" {
		scope = request.scope
	}
	if len(request.resource) > 0 {
		audience = request.resource
	}
	if request.client.NoRefresh {
		grant.RefreshToken = ""
	}
	token, ttl, err := s.newAccessToken(request.client.ID, grant, scope, audience)
	if err != nil {
		s.log.ErrorContext(r.Context(), "no access token", "error", err)
		return tokenAnswer{}, serverError()
	}
	return tokenAnswer{
		AccessToken:  token,
		TokenType:    "Bearer",
		ExpiresIn:    max(int64(ttl.Seconds()), 1),
		RefreshToken: grant.RefreshToken,
		Scope:        scope,
	}, nil
}

// storeFailed is for errors, which are never about what the client sent. An InputError is: of the user agent, the one
// thing that is passed on beside codes and tokens, and that was cut to fit.
func (s *Server) storeFailed(r *http.Request, err error) *oauthError {
	if _, ok := errors.AsType[*repo.InputError](err); ok {
		s.log.ErrorContext(r.Context(), "the store refuses our input", "error", err)
		return serverError()
	}
	s.log.ErrorContext(r.Context(), "the store cannot answer", "error", err)
	s.metrics.storeErrors.Inc()
	return unavailable()
}

// userAgent is what the store takes of it.
func userAgent(r *http.Request) string {
	agent := strings.ToValidUTF8(strings.ReplaceAll(r.UserAgent(), "\x00", ""), "")
	return agent[:min(len(agent), maxUserAgentLen)]
}

const maxUserAgentLen = 512
