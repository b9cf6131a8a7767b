package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/gobuffalo/pop/v6"
	"github.com/ory/fosite"
	foauth2 "github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/hydra/v2/client"
	"github.com/ory/hydra/v2/driver"
	"github.com/ory/hydra/v2/driver/config"
	"github.com/ory/hydra/v2/oauth2"
	"github.com/ory/x/configx"
	"github.com/ory/x/contextx"
	"github.com/ory/x/logrusx"
)

// The scope without which Hydra gives no refresh token.
const hydraScope = "offline"

// hydraStore is Hydra's own registry over its persister, and of the handlers of its token endpoint those that a code with PKCE
// and a refresh token need. They are called as NewAccessRequest and NewAccessResponse of fosite do it, the second of them in
// the transaction that the endpoint of Hydra opens around it:
//
//   - exchange: GetAuthorizeCodeSession; GetPKCERequestSession, DeletePKCERequestSession; GetAuthorizeCodeSession again; then
//     InvalidateAuthorizeCodeSession, CreateAccessTokenSession, CreateRefreshTokenSession;
//   - rotate: GetRefreshTokenSession; then RotateRefreshToken, CreateAccessTokenSession, CreateRefreshTokenSession.
//
// Each session that the persister reads is followed by its client. Access tokens are opaque, sessions are encrypted, and
// rotation is strict, without a grace period: Hydra's defaults. Left out are HTTP, the authentication of the client (which is
// public, and whose row would be read once more), hooks, and OpenID Connect with its ID token.
type hydraStore struct {
	registry   driver.Registry
	connection *pop.Connection // the pool
	client     *client.Client
	handlers   []fosite.TokenEndpointHandler
}

func newHydraStore(ctx context.Context, dsn string, migrate bool) (*hydraStore, error) {
	logger := logrusx.New("Ory Hydra", config.Version)
	conf, err := config.New(ctx, logger, configx.SkipValidation(), configx.DisableEnvLoading(), configx.WithValues(map[string]any{
		config.KeyDSN:             dsn,
		config.KeyGetSystemSecret: []string{"a secret that keeps nothing secret"},
		config.KeyIssuerURL:       "http://127.0.0.1:4444",
		config.KeyLogLevel:        "error",
	}))
	if err != nil {
		return nil, err
	}
	registry, err := driver.NewRegistryFromDSN(ctx, conf, logger, false, migrate, &contextx.Default{})
	if err != nil {
		return nil, err
	}
	driver.CallRegistry(ctx, registry) // as Hydra does at its start: what it makes when first asked for, it makes unguarded
	return &hydraStore{registry: registry, connection: registry.Persister().Connection(ctx)}, nil
}

func migrateHydra(ctx context.Context, dsn string) error {
	s, err := newHydraStore(ctx, dsn, true)
	if err != nil {
		return err
	}
	return errors.Join(s.registry.ClientManager().CreateClient(ctx, &client.Client{
		ID: clientID, Scope: hydraScope, RedirectURIs: []string{redirectURI}, TokenEndpointAuthMethod: "none",
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
	}), s.close())
}

func openHydra(ctx context.Context, dsn string, clients int) (store, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("max_conns", strconv.Itoa(clients))
	query.Set("max_idle_conns", strconv.Itoa(clients))
	u.RawQuery = query.Encode()
	s, err := newHydraStore(ctx, u.String(), false)
	if err != nil {
		return nil, err
	}
	if s.client, err = s.registry.ClientManager().GetConcreteClient(ctx, clientID); err != nil {
		return nil, errors.Join(err, s.close())
	}
	for _, handler := range s.registry.OAuth2ProviderConfig().GetTokenEndpointHandlers(ctx) {
		switch handler.(type) {
		case *foauth2.AuthorizeExplicitGrantHandler, *foauth2.RefreshTokenGrantHandler, *pkce.Handler:
			s.handlers = append(s.handlers, handler)
		}
	}
	if len(s.handlers) != 3 {
		return nil, errors.Join(fmt.Errorf("hydra has %d of the three handlers", len(s.handlers)), s.close())
	}
	return s, nil
}

func (s *hydraStore) close() error { return s.connection.Close() }

type hydraGrant struct {
	store        *hydraStore
	code         string
	verifier     string
	refreshToken string
}

// issue stores what the authorization endpoint does.
func (s *hydraStore) issue(ctx context.Context, _ int) (grant, error) {
	verifier, challenge := newVerifier()
	session := s.newSession(ctx, "user_"+rand.Text())
	session.SetExpiresAt(fosite.AuthorizeCode, time.Now().UTC().Add(codeLifetime))
	request := fosite.NewRequest()
	request.Client = s.client
	request.Session = session
	request.SetRequestedScopes(fosite.Arguments{hydraScope})
	request.GrantScope(hydraScope)
	request.Form = url.Values{
		"redirect_uri": {redirectURI}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	code, signature, err := s.registry.OAuth2HMACStrategy().GenerateAuthorizeCode(ctx, request)
	if err != nil {
		return nil, err
	}
	persister := s.registry.Persister()
	if err := persister.CreateAuthorizeCodeSession(ctx, signature, request.Sanitize([]string{"redirect_uri"})); err != nil {
		return nil, err
	}
	err = persister.CreatePKCERequestSession(ctx, signature, request.Sanitize([]string{"code_challenge", "code_challenge_method"}))
	return &hydraGrant{store: s, code: code, verifier: verifier}, err
}

func (s *hydraStore) newSession(ctx context.Context, subject string) *oauth2.Session {
	return oauth2.NewSessionWithCustomClaims(ctx, s.registry.Config(), subject)
}

func (g *hydraGrant) exchange(ctx context.Context) error {
	return g.take(g.store.token(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {g.code}, "redirect_uri": {redirectURI},
		"code_verifier": {g.verifier}, "client_id": {clientID},
	}))
}

func (g *hydraGrant) rotate(ctx context.Context) error {
	return g.take(g.store.token(ctx, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {g.refreshToken}, "client_id": {clientID},
	}))
}

func (g *hydraGrant) take(response fosite.AccessResponder, err error) error {
	if errors.Is(err, fosite.ErrSerializationFailure) {
		return errRefused
	}
	if err != nil {
		return fmt.Errorf("%s", fosite.ErrorToRFC6749Error(err).WithExposeDebug(true).GetDescription())
	}
	before := g.refreshToken
	g.refreshToken, _ = response.GetExtra("refresh_token").(string)
	if response.GetAccessToken() == "" {
		return errors.New("there is no access token")
	}
	return changed(before, g.refreshToken)
}

// token is the token endpoint.
func (s *hydraStore) token(ctx context.Context, form url.Values) (fosite.AccessResponder, error) {
	request := fosite.NewAccessRequest(s.newSession(ctx, ""))
	request.Form = form
	request.GrantTypes = fosite.Arguments{form.Get("grant_type")}
	request.Client = s.client
	var handlers []fosite.TokenEndpointHandler
	for _, handler := range s.handlers {
		if !handler.CanHandleTokenEndpointRequest(ctx, request) {
			continue
		}
		if err := handler.HandleTokenEndpointRequest(ctx, request); err != nil {
			return nil, err
		}
		handlers = append(handlers, handler)
	}
	response := fosite.NewAccessResponse()
	err := s.registry.Persister().Transaction(ctx, func(ctx context.Context, _ *pop.Connection) error {
		for _, handler := range handlers {
			if err := handler.PopulateTokenEndpointResponse(ctx, request, response); err != nil {
				return err
			}
		}
		return nil
	})
	return response, err
}
