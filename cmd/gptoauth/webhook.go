package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	webhookTimeout   = 15 * time.Second
	minSecretSize    = 24
	maxSecretSize    = 64
	maxResponseBytes = 1 << 20 // read so that the connection can be used again
)

// errGone: the receiver wants no more (410).
var errGone = errors.New("the receiver answers 410 Gone: it wants no more events")

// webhook posts events as Standard Webhooks (standardwebhooks.com): signed, and with the event's id, by which a receiver
// knows a repeated one.
type webhook struct {
	url    string
	key    []byte
	client *http.Client
}

// webhookPayload is the body that is posted.
type webhookPayload struct {
	Type      string     `json:"type"`
	Timestamp time.Time  `json:"timestamp"`
	Data      trailEvent `json:"data"`
}

// refusal is an answer other than a success.
type refusal struct {
	status     int
	retryAfter time.Duration // that the receiver asked for; zero if it did not
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the receiver answers %d %s", r.status, http.StatusText(r.status))
}

// newWebhook wants https, or http to this machine, and the secret as "whsec_" and base64.
func newWebhook(address, secret string) (*webhook, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, usageErrorf("--webhook is not a URL") // err would show it
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, usageErrorf("--webhook must be an https URL: the events tell of people")
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(secret), "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < minSecretSize || len(key) > maxSecretSize {
		return nil, usageErrorf("the secret must be whsec_ and the base64 of 24 to 64 random bytes: set %s or --secret-file", secretVariable)
	}
	return &webhook{url: address, key: key, client: &http.Client{
		Timeout:       webhookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it could lead anywhere
	}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// post makes one attempt. The error is errGone, a *refusal, or that of the network, and never shows the URL.
func (w *webhook) post(ctx context.Context, event trailEvent, now time.Time) error {
	body, err := json.Marshal(webhookPayload{Type: event.Type, Timestamp: event.CreatedAt, Data: event})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("--webhook is not a URL")
	}
	id, at := event.ID.String(), strconv.FormatInt(now.Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", programName+"/"+version())
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", at)
	request.Header.Set("Webhook-Signature", w.sign(id, at, body))
	response, err := w.client.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return err
	}
	defer response.Body.Close()                                                 //nolint:errcheck // read to the end or given up
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxResponseBytes)) // the status says it all
	switch {
	case response.StatusCode >= 200 && response.StatusCode < 300:
		return nil
	case response.StatusCode == http.StatusGone:
		return errGone
	default:
		return &refusal{response.StatusCode, retryAfter(response.Header.Get("Retry-After"), now)}
	}
}

// sign is the signature of Standard Webhooks, version 1.
func (w *webhook) sign(id, at string, body []byte) string {
	mac := hmac.New(sha256.New, w.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body) //nolint:errcheck // a hash takes all
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// retryAfter reads the header in both its forms (RFC 9110 10.2.3).
func retryAfter(header string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
