// Package server is an OAuth 2.1 authorization server over package repo, for Custom GPTs, MCP clients and whoever else
// speaks OAuth. It owns HTTP: what a request looks like, who the client is, who the person is. Every decision about codes,
// tokens and sessions is the store's, which leaves one file an endpoint:
//
//	authorize.go, consent.go   the authorization endpoint and the question to the person
//	token.go                   the token endpoint: exchange and refresh
//	revoke.go, introspect.go   RFC 7009 and RFC 7662
//	metadata.go, jwks.go       what clients discover
//	apps.go                    where people see and end what they have allowed
//	mcp.go, mcp_tools.go       an example of a protected resource
//	clerk.go, webhook.go       people, as Clerk knows them; dev.go replaces it on a developer's machine
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	svix "github.com/svix/svix-webhooks/go"
	"github.com/uptrace/bun"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderLen      = 32 << 10 // Clerk's cookies are long
	shutdownTimeout   = 25 * time.Second
)

// Params are what a server is made of.
type Params struct {
	Store  *repo.Store
	Ready  func(ctx context.Context) error // whether the database can be used; for /readyz
	Config Config
	Log    *slog.Logger

	// Dev replaces Clerk by a page on which one picks a name, and answers to loopback hosts only.
	Dev bool

	// TracerProvider traces requests; nil: no traces.
	TracerProvider trace.TracerProvider
}

// Server answers HTTP. Make it with New.
type Server struct {
	store  *repo.Store
	ready  func(ctx context.Context) error
	config Config
	log    *slog.Logger
	tracer trace.TracerProvider

	clients  map[string]*Client
	keys     *keys
	verifier *mcpauth.Verifier // of our own access tokens, for any audience
	forms    *forms
	people   people
	webhook  *svix.Webhook // nil: none
	dev      *devFlow      // nil: not --dev
	hsts     bool

	sameOrigin *http.CrossOriginProtection // for what only our own pages may send

	addressLimiter, clientLimiter *limiter
	metrics                       *metrics
	draining                      atomic.Bool
}

// New checks the configuration and reads the keys. It listens nowhere.
func New(p Params) (*Server, error) {
	config, err := p.Config.withDefaults(p.Dev)
	if err != nil {
		return nil, err
	}
	keys, err := readKeys(config.Keys)
	if err != nil {
		return nil, err
	}
	webhook, err := newWebhook(config.Clerk.WebhookSecret)
	if err != nil {
		return nil, err
	}
	secure := strings.HasPrefix(config.Issuer, "https:")
	s := &Server{
		store: p.Store, ready: p.Ready, config: config, log: p.Log, tracer: p.TracerProvider,
		clients: make(map[string]*Client, len(config.Clients)),
		keys:    keys,
		verifier: &mcpauth.Verifier{
			Issuer: config.Issuer, Keys: keys.public, Sessions: p.Store.Sessions, ClockSkew: time.Nanosecond, // our own clock
		},
		forms:          &forms{key: keys.formKey, secure: secure},
		webhook:        webhook,
		hsts:           secure,
		addressLimiter: newLimiter(config.Limits.PerAddress),
		clientLimiter:  newLimiter(config.Limits.PerClient),
	}
	s.sameOrigin = http.NewCrossOriginProtection()
	if err := s.sameOrigin.AddTrustedOrigin(config.Issuer); err != nil { // for old browsers without Sec-Fetch-Site, as a proxy may rewrite Host
		return nil, fmt.Errorf("config: issuer: %w", err)
	}
	for i := range config.Clients {
		client := &config.Clients[i]
		if s.clients[client.ID] != nil {
			return nil, fmt.Errorf("config: client %q is listed twice", client.ID)
		}
		s.clients[client.ID] = client
	}
	if p.Dev {
		flow := newDevFlow(config.Issuer)
		s.dev = &flow
		s.people = &devPeople{forms: s.forms, issuer: config.Issuer}
	} else {
		s.people = newClerkPeople(config.Clerk)
	}
	s.metrics = newMetrics(nil)
	if db, ok := p.Store.DB().(*bun.DB); ok {
		s.metrics = newMetrics(db.DB)
	}
	return s, nil
}

func (s *Server) isDev() bool { return s.dev != nil }

// Handler is the whole server as a handler.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	public := func(path string, handler http.HandlerFunc) {
		mux.Handle("GET "+path, allowOrigins(handler))
		mux.Handle("OPTIONS "+path, allowOrigins(nil))
	}
	public("/.well-known/oauth-authorization-server", s.metadata)
	public("/.well-known/openid-configuration", s.metadata)
	public(jwksPath, s.jwks)

	endpoint := func(path string, handler http.HandlerFunc) {
		mux.Handle("POST "+path, allowOrigins(s.limitAddress(handler)))
		mux.Handle("OPTIONS "+path, allowOrigins(nil))
	}
	endpoint(tokenPath, s.token)
	endpoint(revokePath, s.revoke)
	endpoint(introspectPath, s.introspect)

	// Clients may send the authorization request as a form (RFC 6749 3.1), so that this one may come from anywhere.
	mux.HandleFunc("GET "+authorizePath, s.limitAddress(s.authorize))
	mux.HandleFunc("POST "+authorizePath, s.limitAddress(s.authorize))

	form := func(path string, handler http.HandlerFunc) {
		mux.Handle("POST "+path, s.sameOrigin.Handler(s.limitAddress(handler)))
	}
	form(consentPath, s.decideConsent)
	mux.HandleFunc("GET "+appsPath, s.limitAddress(s.apps))
	form(appsEndPath, s.endApps)
	mux.HandleFunc("GET "+stylePath, s.style)
	mux.Handle("GET /{$}", http.RedirectHandler(appsPath, http.StatusSeeOther))

	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.limitAddress(s.readyz)) // it asks the database
	mux.Handle("GET /metrics", s.metrics.handler())

	mux.Handle(mcpPath, s.mcpHandler())
	mux.Handle(resourceMetaPath, s.resourceMetadata())
	mux.Handle(resourceMetaPath+mcpPath, s.resourceMetadata())

	if s.webhook != nil {
		mux.HandleFunc("POST "+webhookPath, s.clerkWebhook)
	}
	if !s.isDev() {
		return s.traced(s.logged(uncached(mux)))
	}
	mux.HandleFunc("GET "+devSignInPath, s.devSignInPage)
	form(devSignInPath, s.devSignIn)
	mux.HandleFunc("GET "+devCallbackPath, s.devCallback)
	return s.traced(s.logged(uncached(onlyLoopback(mux))))
}

// uncached keeps every answer out of caches, also those that no handler of ours writes, unless one says otherwise.
func uncached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// allowOrigins lets scripts of other sites, such as MCP clients in a browser, discover the server and call what asks for
// a client's credentials or a code, and never cookies. The pages are not among it (RFC 9700 2.6). A nil handler answers
// the preflight.
func allowOrigins(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, X-Request-ID")
		if next != nil {
			next(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version")
		w.Header().Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) traced(next http.Handler) http.Handler {
	if s.tracer == nil {
		return next
	}
	return otelhttp.NewHandler(next, "http", otelhttp.WithTracerProvider(s.tracer))
}

// Serve answers on listener until ctx ends. Then it takes no new requests and finishes those in flight.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderLen,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("shutting down: requests in flight are finished")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		return fmt.Errorf("serve: shut down: %w", err)
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
