package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/gptoauth/gptoauth/repo"
)

// mcpClient is the client of the official Go SDK. It finds the authorization server by itself, from the 401 of /mcp.
type mcpClient struct {
	session *mcp.ClientSession
	user    string
	source  *expiring
	signIns int
}

// expiring hands out the tokens of the SDK's own source, and can make it believe that the last one has expired.
type expiring struct {
	ctx    context.Context //nolint:containedctx // as in x/oauth2, it carries the HTTP client
	config *oauth2.Config
	last   *oauth2.Token
	source oauth2.TokenSource
}

func (e *expiring) Token() (*oauth2.Token, error) {
	token, err := e.source.Token()
	if err == nil {
		e.last = token
	}
	return token, err
}

func (e *expiring) expire() {
	old := *e.last
	old.Expiry = time.Now().Add(-time.Hour)
	e.source = e.config.TokenSource(e.ctx, &old)
}

// connectMCP signs someone in when the SDK asks for it.
func (h *harness) connectMCP() *mcpClient {
	h.t.Helper()
	client := &mcpClient{}
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		PreregisteredClient: &oauthex.ClientCredentials{ClientID: publicID},
		RedirectURL:         "http://127.0.0.1:6161/callback",
		RequestRefreshToken: true,
		AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			client.signIns++
			b, user := h.newPerson()
			client.user = user
			back := b.decide(args.URL, "allow").Query()
			return &auth.AuthorizationResult{Code: back.Get("code"), State: back.Get("state"), Iss: back.Get("iss")}, nil
		},
		NewTokenSource: func(ctx context.Context, config *oauth2.Config, token *oauth2.Token) (oauth2.TokenSource, error) {
			client.source = &expiring{ctx: ctx, config: config, last: token, source: config.TokenSource(ctx, token)}
			return client.source, nil
		},
	})
	require.NoError(h.t, err)
	client.session, err = mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(h.t.Context(),
		&mcp.StreamableClientTransport{Endpoint: h.url + mcpPath, OAuthHandler: handler, DisableStandaloneSSE: true}, nil)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = client.session.Close() })
	return client
}

func (c *mcpClient) call(t *testing.T, tool string, arguments map[string]any) (*mcp.CallToolResult, error) {
	t.Helper()
	return c.session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
}

func (h *harness) eventsOf(user, eventType string) []repo.Event {
	h.t.Helper()
	page, err := h.store.Events.List(h.t.Context(), repo.EventListParams{ClerkUserID: user, Type: eventType})
	require.NoError(h.t, err)
	return page.Events
}

func TestMCPClientDiscoversSignsInCallsToolsAndRefreshes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	client := h.connectMCP()
	require.Equal(t, 1, client.signIns)

	result, err := client.call(t, "job_search", map[string]any{"query": "go", "location": "Berlin"})
	require.NoError(t, err)
	require.False(t, result.IsError, result.Content)
	text, err := json.Marshal(result.StructuredContent)
	require.NoError(t, err)
	require.Contains(t, string(text), "Backend engineer (Go)")
	result, err = client.call(t, "resume_analyze", map[string]any{"text": "Ten years of Go, PostgreSQL and CSS. SECRET-RESUME"})
	require.NoError(t, err)
	require.False(t, result.IsError, result.Content)

	events := h.eventsOf(client.user, eventJobSearch)
	require.Len(t, events, 1)
	require.Equal(t, publicID, events[0].ClientID)
	require.Equal(t, h.claims(client.source.last.AccessToken).SessionID, events[0].SessionID)
	require.JSONEq(t, `{"results": 1}`, string(events[0].Metadata))
	events = h.eventsOf(client.user, eventResumeAnalyze)
	require.Len(t, events, 1)
	require.NotContains(t, string(events[0].Metadata), "SECRET")

	before := client.source.last
	client.source.expire()
	_, err = client.call(t, "job_search", map[string]any{"query": ""})
	require.NoError(t, err)
	require.NotEqual(t, before.RefreshToken, client.source.last.RefreshToken)
	require.Equal(t, 1, client.signIns)
	require.Len(t, h.eventsOf(client.user, repo.EventTokenRefresh), 1)
}

func TestMCPToolTouchesTheSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	client := h.connectMCP()
	id := h.claims(client.source.last.AccessToken).SessionID
	_, err := h.store.DB().ExecContext(t.Context(), "UPDATE public.gpt_sessions SET last_active = last_active - interval '1 hour'")
	require.NoError(t, err)
	_, err = client.call(t, "job_search", map[string]any{"query": "go"})
	require.NoError(t, err)
	session, err := h.store.Sessions.Get(t.Context(), id)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), session.LastActiveAt, 10*time.Second)
}

func TestMCPRefusesATokenAtOnceWhenItsSessionEnds(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	g := h.consent(publicID, "resource", h.url+mcpPath)
	got := g.exchange()
	require.Equal(t, http.StatusOK, h.initialize(got.Access).StatusCode)

	_, err := h.store.Sessions.End(t.Context(), repo.EndParams{SessionID: h.claims(got.Access).SessionID, Reason: "test"})
	require.NoError(t, err)
	refused := h.initialize(got.Access)
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	require.Contains(t, refused.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
}

func TestMCPRefusesATokenForAnotherAudience(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	got := h.consent(publicID, "resource", "https://api.example.com").exchange()
	require.Equal(t, http.StatusUnauthorized, h.initialize(got.Access).StatusCode)
}

func TestMCPAnswers503WhenTheStoreCannotAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	got := h.consent(publicID, "resource", h.url+mcpPath).exchange()
	h.breakDatabase()
	answer := h.initialize(got.Access)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
}

const initializeBody = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},` +
	`"clientInfo":{"name":"t","version":"1"}}}`

// initialize is a request to /mcp, with a token if there is one.
func (h *harness) initialize(token string, pairs ...string) answer {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+mcpPath+"?"+with(url.Values{}, pairs...).Encode(),
		strings.NewReader(initializeBody))
	require.NoError(h.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return h.browser().do(request)
}
