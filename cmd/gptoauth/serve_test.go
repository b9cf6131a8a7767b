package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/server"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// serving is the program while it serves.
type serving struct {
	development server.Development
	stop        func() int // interrupts it and returns its exit code
	stderr      *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startServe runs gptoauth --json serve --dev until stop is called.
func startServe(t *testing.T, databaseURL string, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	read, write := io.Pipe()
	s := &serving{stderr: &safeBuffer{}}
	code := make(chan int, 1)
	go func() {
		all := append([]string{programName, "--json", "serve", "--dev", "--listen", "127.0.0.1:0"}, args...)
		got := run(ctx, all, strings.NewReader(""), write, s.stderr, func(name string) string {
			return map[string]string{databaseVariable: databaseURL}[name]
		})
		_ = write.CloseWithError(io.EOF)
		code <- got
	}()
	var once sync.Once
	var got int
	s.stop = func() int {
		once.Do(func() { cancel(); got = <-code })
		return got
	}
	t.Cleanup(func() { s.stop() })
	var printed json.RawMessage
	require.NoError(t, json.NewDecoder(read).Decode(&printed), s.stderr)
	requireDocumented(t, "serve", printed)
	require.NoError(t, json.Unmarshal(printed, &s.development))
	return s
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func TestServeDevStartsWithoutAnything(t *testing.T) {
	t.Parallel()
	s := startServe(t, "")
	require.Contains(t, s.stderr.String(), "starting a private PostgreSQL")
	status, body := get(t, s.development.Issuer+"/readyz")
	require.Equal(t, http.StatusOK, status, body)
	status, body = get(t, s.development.MetadataURL)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, s.development.CustomGPT.TokenURL)
	status, body = get(t, s.development.AuthorizeURL) // follows to the sign-in page
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "Who are you?")
	require.Contains(t, s.development.Text(), s.development.CustomGPT.ClientSecret)
	require.NotContains(t, s.stderr.String(), s.development.CustomGPT.ClientSecret)

	require.Equal(t, exitDone, s.stop())
	require.Contains(t, s.stderr.String(), "shutting down")
}

func TestServeDevMigratesTheDatabaseItIsGiven(t *testing.T) {
	t.Parallel()
	databaseURL := emptyURL(t)
	s := startServe(t, databaseURL)
	status, _ := get(t, s.development.Issuer+"/readyz")
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, migrations.Check(t.Context(), openTest(t, databaseURL)))
	execIn(t, databaseURL, `DROP TABLE public.gpt_migrations`)
	status, _ = get(t, s.development.Issuer+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _ = get(t, s.development.Issuer+"/healthz")
	require.Equal(t, http.StatusOK, status)
}

func TestServeRefusesWhatIsConfiguredWrongly(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	file := filepath.Join(t.TempDir(), "gptoauth.yaml")
	require.NoError(t, os.WriteFile(file, []byte("issuer: https://auth.example.com\nclients: [{id: a, secert: SECRET}]\n"), 0o600))
	for _, c := range []struct {
		want string
		args []string
	}{
		{"--dev lets anyone be anyone", []string{"serve", "--dev", "--listen", "0.0.0.0:0"}},
		{"--dev lets anyone be anyone", []string{"serve", "--dev", "--listen", ":0"}},
		{"--dev lets anyone be anyone", []string{"serve", "--dev", "--listen", "example.com:0"}},
		{"--listen must be host:port", []string{"serve", "--listen", "8080"}},
		{"issuer must be a URL", []string{"serve", "--listen", "127.0.0.1:0"}},
		{"field secert not found", []string{"serve", "--listen", "127.0.0.1:0", "--config", file}},
	} {
		got := gptoauth(t, databaseURL, c.args...)
		require.Equal(t, exitUsage, got.code, got.stderr)
		require.Contains(t, got.stderr, c.want)
		require.NotContains(t, got.stderr, "SECRET")
	}
	require.Equal(t, exitUsage, gptoauth(t, "", "serve", "--listen", "127.0.0.1:0").code, "no database")
}

// TestTracesShowTheFunctionsAndNoSecret: the query below the call below the request; digests, nonces and texts stay out.
func TestTracesShowTheFunctionsAndNoSecret(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	store, err := newTracedStore(repotest.DB(t), tracer)
	require.NoError(t, err)
	session := repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: "user_traced"}, 1)
	ctx, request := tracer.Tracer("test").Start(t.Context(), "request")
	_, err = store.RefreshTokens.Lookup(ctx, session.Tokens[1])
	require.NoError(t, err)
	_, err = store.RefreshTokens.Rotate(ctx, session.Request(1))
	require.NoError(t, err)

	var names []string
	parents := make(map[trace.SpanID]trace.SpanID)
	for _, span := range recorder.Ended() {
		names = append(names, span.Name())
		parents[span.SpanContext().SpanID()] = span.Parent().SpanID()
		for _, attribute := range span.Attributes() {
			for _, text := range []string{"user_traced", "gptr_", "gptc_", session.Code.Verifier, repotest.Challenge(session.Code.Verifier)} {
				require.NotContains(t, attribute.Value.String(), text, attribute.Key)
			}
			require.NotRegexp(t, `[0-9a-f]{64}`, attribute.Value.String(), "a digest")
		}
	}
	require.Equal(t, []string{
		"gpt_issue_code_v1", "AuthCodes.Issue", "gpt_exchange_code_v1", "AuthCodes.Exchange", "gpt_rotate_refresh_token_v1", "RefreshTokens.Rotate",
		"SELECT", "RefreshTokens.Lookup", "gpt_rotate_refresh_token_v1", "RefreshTokens.Rotate",
	}, names)
	for _, query := range recorder.Ended()[6:] {
		if !strings.Contains(query.Name(), ".") {
			require.Equal(t, request.SpanContext().SpanID(), parents[query.Parent().SpanID()])
		}
	}
}
