package mcpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ErrUnknownKey says that there is no key with the id asked for.
var ErrUnknownKey = errors.New("unknown key")

// KeySource finds the public key with an id; [ErrUnknownKey] if there is none.
type KeySource interface {
	Key(ctx context.Context, id string) (jose.JSONWebKey, error)
}

// StaticKeys are keys that are at hand, in the authorization server itself for one.
type StaticKeys jose.JSONWebKeySet

// Key implements KeySource.
func (s StaticKeys) Key(_ context.Context, id string) (jose.JSONWebKey, error) {
	for _, key := range s.Keys {
		if key.KeyID == id {
			return key, nil
		}
	}
	return jose.JSONWebKey{}, ErrUnknownKey
}

const (
	maxKeysLen         = 1 << 20
	keysTimeout        = 10 * time.Second
	defaultMinInterval = 30 * time.Second
	defaultMaxAge      = time.Hour
)

// RemoteKeys are the keys behind a jwks_uri. They are fetched when first needed, when a token names a key that is not
// among them (so that an issuer can rotate), and when they are old (so that it can retire a key; in the background), but
// not more often than every MinInterval, however many bad tokens come. While the issuer cannot be reached, the keys that
// are known go on to count.
type RemoteKeys struct {
	URL         string
	Client      *http.Client  // defaults to one with a timeout of 10 seconds
	MinInterval time.Duration // defaults to 30 seconds
	MaxAge      time.Duration // defaults to 1 hour

	fetching sync.Mutex // one at a time; the others wait for it
	mu       sync.Mutex // guards what follows
	keys     StaticKeys
	tried    time.Time // when the last fetch began
	fetched  time.Time // when the last good one ended
	err      error     // of the last fetch
}

// Key implements KeySource.
func (r *RemoteKeys) Key(ctx context.Context, id string) (jose.JSONWebKey, error) {
	key, err := r.known(ctx, id)
	if err == nil {
		if r.due(r.isOld()) {
			go r.refresh(context.WithoutCancel(ctx))
		}
		return key, nil
	}
	r.refresh(ctx)
	key, err = r.known(ctx, id)
	if fetchErr := r.lastError(); err != nil && fetchErr != nil {
		return jose.JSONWebKey{}, fetchErr
	}
	return key, err
}

func (r *RemoteKeys) known(ctx context.Context, id string) (jose.JSONWebKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys.Key(ctx, id)
}

func (r *RemoteKeys) isOld() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.fetched) > orDefault(r.MaxAge, defaultMaxAge)
}

// due says whether there is a reason to fetch and the last attempt is long enough ago.
func (r *RemoteKeys) due(reason bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return reason && time.Since(r.tried) > orDefault(r.MinInterval, defaultMinInterval)
}

func (r *RemoteKeys) lastError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// refresh fetches, unless that has just been done.
func (r *RemoteKeys) refresh(ctx context.Context) {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	if !r.due(true) {
		return
	}
	r.mu.Lock()
	r.tried = time.Now()
	r.mu.Unlock()

	keys, err := r.fetch(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err = err; err == nil {
		r.keys, r.fetched = keys, time.Now()
	}
}

func (r *RemoteKeys) fetch(ctx context.Context) (StaticKeys, error) {
	// One caller who hangs up must not spoil the fetch for all who wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil) //nolint:gosec // the host names it
	if err != nil {
		return StaticKeys{}, fmt.Errorf("mcpauth: fetch keys: %w", err)
	}
	client := r.Client
	if client == nil {
		client = &http.Client{Timeout: keysTimeout}
	}
	response, err := client.Do(request) //nolint:gosec // likewise
	if err != nil {
		return StaticKeys{}, fmt.Errorf("mcpauth: fetch keys: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	if response.StatusCode != http.StatusOK {
		return StaticKeys{}, fmt.Errorf("mcpauth: fetch keys: %s answers %s", r.URL, response.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(io.LimitReader(response.Body, maxKeysLen)).Decode(&set); err != nil {
		return StaticKeys{}, fmt.Errorf("mcpauth: fetch keys: %w", err)
	}
	return StaticKeys(set), nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
