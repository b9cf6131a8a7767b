package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const webhookKey = "0123456789abcdef0123456789abcdef"

var webhookSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(webhookKey))

// receiver is a webhook that checks signatures and answers with the statuses given, the last one ever after.
type receiver struct {
	*httptest.Server

	got chan webhookPayload
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{got: make(chan webhookPayload, 100)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte(webhookKey))
		mac.Write([]byte(request.Header.Get("Webhook-Id") + "." + request.Header.Get("Webhook-Timestamp") + "." + string(body)))
		if request.Header.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			t.Error("the signature is wrong")
		}
		at, err := strconv.ParseInt(request.Header.Get("Webhook-Timestamp"), 10, 64)
		if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
			t.Error("the timestamp is wrong")
		}
		status := statuses[0]
		if len(statuses) > 1 {
			statuses = statuses[1:]
		}
		if status == http.StatusOK {
			var payload webhookPayload
			if err := json.Unmarshal(body, &payload); err != nil || payload.Data.ID.String() != request.Header.Get("Webhook-Id") {
				t.Error("the payload is wrong:", err)
			}
			r.got <- payload
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

// forward runs the program until stop, which returns what it left.
func forward(t *testing.T, databaseURL string, args ...string) (stop func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan outcome, 1)
	env := map[string]string{databaseVariable: databaseURL, secretVariable: webhookSecret}
	args = append([]string{programName, "events", "forward", "--interval", "10ms"}, args...)
	go func() {
		var stdout, stderr bytes.Buffer
		code := run(ctx, args, strings.NewReader(""), &stdout, &stderr, func(name string) string { return env[name] })
		ended <- outcome{code, stdout.String(), stderr.String()}
	}()
	return func() outcome {
		cancel()
		return <-ended
	}
}

func reuse(t *testing.T, store *repo.Store) repotest.Session {
	t.Helper()
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	result, err := store.RefreshTokens.Rotate(t.Context(), session.Request(0))
	require.NoError(t, err)
	require.Equal(t, repo.Reused, result.Outcome)
	return session
}

func TestForwardGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	store := testStore(t, databaseURL)
	reuse(t, store) // before the cursor began
	r := newReceiver(t, http.StatusOK)
	cursor := filepath.Join(t.TempDir(), "cursor.json")
	args := []string{"--webhook", r.URL, "--cursor", cursor}

	stop := forward(t, databaseURL, args...)
	require.Eventually(t, func() bool { found, _ := loadCursor(cursor, &repo.FollowCursor{}); return found }, time.Minute, 5*time.Millisecond)
	first := reuse(t, store)
	payload := <-r.got
	require.Equal(t, repo.EventTokenReuse, payload.Type)
	require.Equal(t, first.SessionID, payload.Data.SessionID)
	require.Equal(t, first.ClerkUserID, payload.Data.ClerkUserID)
	o := stop()
	require.Equal(t, exitDone, o.code, o.stderr)

	second, third := reuse(t, store), reuse(t, store) // while it is down
	stop = forward(t, databaseURL, args...)
	require.Equal(t, second.SessionID, (<-r.got).Data.SessionID)
	require.Equal(t, third.SessionID, (<-r.got).Data.SessionID)
	o = stop()
	require.Regexp(t, `^(\S+ \S+  token_reuse  \S+  posted\n){2}$`, o.stdout)
	require.Empty(t, r.got)
}

func testForwarder(t *testing.T, r *receiver) (*forwarder, *bytes.Buffer) {
	t.Helper()
	hook, err := newWebhook(r.URL, webhookSecret)
	require.NoError(t, err)
	var stderr bytes.Buffer
	return &forwarder{
		app: &app{stdout: io.Discard, stderr: &stderr}, hook: hook, metrics: newForwardMetrics([]string{"code_replay", "token_reuse"}), retry: time.Millisecond,
	}, &stderr
}

func TestForwardTriesUntilTheReceiverTakesIt(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, http.StatusInternalServerError, http.StatusFound, http.StatusTooManyRequests, http.StatusOK)
	f, stderr := testForwarder(t, r)
	event := trailEvent{ID: uuid.New(), Type: "token_reuse", CreatedAt: time.Now().UTC()}
	require.NoError(t, f.deliver(t.Context(), event))
	require.Equal(t, event.ID, (<-r.got).Data.ID)
	require.Regexp(t, `500 Internal Server Error; trying again in .*\n.*302 Found.*\n.*429 Too Many Requests.*\n$`, stderr.String())
	require.NotContains(t, stderr.String(), r.URL, "a URL may hold a secret")
	require.Regexp(t, `(?s)forwarded_total\{type="code_replay"\} 0\n.*\{type="token_reuse"\} 1\n.*failures_total 3\n.*retrying 0\n.*seconds [1-9]\d+\.\d{3}\n$`, f.metrics.text())

	gone := newReceiver(t, http.StatusGone)
	f, _ = testForwarder(t, gone)
	require.ErrorIs(t, f.deliver(t.Context(), event), errGone)

	gone.Close()
	f, stderr = testForwarder(t, gone)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.Error(t, f.deliver(ctx, event))
	require.Contains(t, stderr.String(), "connection refused")
	require.NotContains(t, stderr.String(), gone.URL+"/")
	require.Contains(t, f.metrics.text(), "gptoauth_webhook_retrying 1\n")
}

func TestForwardMetricsAreServed(t *testing.T) {
	t.Parallel()
	m := newForwardMetrics([]string{"token_reuse"})
	_, err := m.serve(t.Context(), "256.0.0.1:0")
	require.Error(t, err)
	server := httptest.NewUnstartedServer(nil)
	address := server.Listener.Addr().String()
	require.NoError(t, server.Listener.Close())
	stop, err := m.serve(t.Context(), address)
	require.NoError(t, err)
	defer stop()
	response, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, m.text(), string(text))
}

func TestForwardUsage(t *testing.T) {
	t.Parallel()
	for stderr, test := range map[string]struct{ url, secret string }{
		"--webhook must be an https URL":     {"http://alerts.example.com/", webhookSecret},
		"--webhook is not a URL":             {"alerts", webhookSecret},
		"the secret must be whsec_":          {"https://alerts.example.com/", "hunter2"},
		"the base64 of 24 to 64 random byte": {"https://alerts.example.com/", "whsec_c2hvcnQ="},
	} {
		env := map[string]string{secretVariable: test.secret}
		o := runWith(t.Context(), t, env, strings.NewReader(""), "events", "forward", "--webhook", test.url, "--cursor", "c")
		require.Equal(t, exitUsage, o.code)
		require.Contains(t, o.stderr, stderr)
		require.NotContains(t, o.stderr, "hunter2")
		require.NotContains(t, o.stderr, "alerts.example.com")
	}
}

// The example of the specification's own libraries.
func TestWebhookSignature(t *testing.T) {
	t.Parallel()
	hook, err := newWebhook("https://example.com", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		hook.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)))
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-1": 0, "120": 2 * time.Minute, "Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(header, now), header)
	}
}
