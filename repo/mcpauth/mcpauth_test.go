package mcpauth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

const (
	issuer   = "https://auth.example.com"
	audience = "https://mcp.example.com/mcp"
)

// signer is an authorization server with one key.
type signer struct {
	key jose.JSONWebKey
}

func newSigner(t *testing.T, id string) signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return signer{jose.JSONWebKey{Key: private, KeyID: id, Algorithm: "EdDSA"}}
}

func (s signer) public() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key.Public()}}
}

func (s signer) token(t *testing.T, session uuid.UUID, scope string) string {
	t.Helper()
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: s.key}, (&jose.SignerOptions{}).WithType("at+jwt"))
	require.NoError(t, err)
	token, err := jwt.Signed(made).Claims(mcpauth.Claims{
		Issuer: issuer, Subject: "user_1", Audience: jwt.Audience{audience}, ClientID: "client_1", Scope: scope, SessionID: session,
		ID: "1", IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).Serialize()
	require.NoError(t, err)
	return token
}

// sessions are a store that knows who is alive.
type sessions struct {
	alive uuid.UUID
	err   error
}

func (s sessions) Active(_ context.Context, id uuid.UUID) (bool, error) { return id == s.alive, s.err }

func protect(t *testing.T, v *mcpauth.Verifier, token string) *httptest.ResponseRecorder {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "bearer "+token)
	}
	return protectWith(t, v, mcpauth.ProtectOptions{MetadataURL: "https://mcp.example.com/meta", Scopes: []string{"jobs:read"}}, header)
}

func protectWith(t *testing.T, v *mcpauth.Verifier, options mcpauth.ProtectOptions, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	handler := v.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := auth.TokenInfoFromContext(r.Context())
		_ = json.NewEncoder(w).Encode(map[string]string{
			"user": info.UserID, "client": mcpauth.ClientID(info), "session": mcpauth.SessionID(info).String(),
		})
	}), options)
	r := httptest.NewRequest(http.MethodPost, audience, nil)
	r.Header = header
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	return recorder
}

func TestProtect(t *testing.T) {
	t.Parallel()
	s, session := newSigner(t, "1"), uuid.New()
	verifier := &mcpauth.Verifier{Issuer: issuer, Audience: audience, Keys: mcpauth.StaticKeys(s.public()), Sessions: sessions{alive: session}}

	t.Run("GoodTokenPassesAndIsDescribed", func(t *testing.T) {
		t.Parallel()
		answer := protect(t, verifier, s.token(t, session, "jobs:read other"))
		require.Equal(t, http.StatusOK, answer.Code)
		require.JSONEq(t, `{"user": "user_1", "client": "client_1", "session": "`+session.String()+`"}`, answer.Body.String())
	})
	t.Run("EndedSessionIsInvalidToken", func(t *testing.T) {
		t.Parallel()
		answer := protect(t, verifier, s.token(t, uuid.New(), "jobs:read"))
		require.Equal(t, http.StatusUnauthorized, answer.Code)
		require.Equal(t, `Bearer error="invalid_token", resource_metadata="https://mcp.example.com/meta", scope="jobs:read"`, answer.Header().Get("WWW-Authenticate"))
	})
	t.Run("MissingScopeIsInsufficientScope", func(t *testing.T) {
		t.Parallel()
		answer := protect(t, verifier, s.token(t, session, "other"))
		require.Equal(t, http.StatusForbidden, answer.Code)
		require.Contains(t, answer.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`)
	})
	t.Run("NoTokenIsAChallengeWithoutError", func(t *testing.T) {
		t.Parallel()
		answer := protect(t, verifier, "")
		require.Equal(t, http.StatusUnauthorized, answer.Code)
		require.NotContains(t, answer.Header().Get("WWW-Authenticate"), "error")
	})
	t.Run("MalformedHeaderIsInvalidRequest", func(t *testing.T) {
		t.Parallel()
		good := "Bearer " + s.token(t, session, "jobs:read")
		for _, values := range [][]string{{"Bearer"}, {"Bearer a b"}, {good, good}, {good, "Basic eA=="}} {
			answer := protectWith(t, verifier, mcpauth.ProtectOptions{}, http.Header{"Authorization": values})
			require.Equal(t, http.StatusBadRequest, answer.Code, values)
			require.Equal(t, `Bearer error="invalid_request"`, answer.Header().Get("WWW-Authenticate"))
		}
		answer := protectWith(t, verifier, mcpauth.ProtectOptions{}, http.Header{"Authorization": {"Basic eA=="}})
		require.Equal(t, http.StatusUnauthorized, answer.Code, "another scheme is no token")
	})
	t.Run("ChallengeHasAnAttributeAndNamesWhatToAskFor", func(t *testing.T) {
		t.Parallel()
		answer := protectWith(t, verifier, mcpauth.ProtectOptions{}, http.Header{})
		require.Equal(t, `Bearer realm="mcp"`, answer.Header().Get("WWW-Authenticate"))
		options := mcpauth.ProtectOptions{Scopes: []string{"a"}, Challenge: []string{"a", "b"}}
		require.Equal(t, `Bearer scope="a b"`, protectWith(t, verifier, options, http.Header{}).Header().Get("WWW-Authenticate"))
		header := http.Header{"Authorization": {"Bearer " + s.token(t, session, "other")}}
		require.Equal(t, `Bearer error="insufficient_scope", scope="a"`, protectWith(t, verifier, options, header).Header().Get("WWW-Authenticate"))
	})
	t.Run("StoreThatCannotAnswerIsNoVerdict", func(t *testing.T) {
		t.Parallel()
		broken := *verifier
		broken.Sessions = sessions{err: errors.New("down")}
		require.Equal(t, http.StatusServiceUnavailable, protect(t, &broken, s.token(t, session, "jobs:read")).Code)
	})
	t.Run("AnotherIssuersKeyIsInvalidToken", func(t *testing.T) {
		t.Parallel()
		_, err := verifier.Verify(t.Context(), newSigner(t, "1").token(t, session, "jobs:read"), nil)
		require.ErrorIs(t, err, auth.ErrInvalidToken)
		_, err = verifier.Verify(t.Context(), newSigner(t, "2").token(t, session, "jobs:read"), nil)
		require.ErrorIs(t, err, auth.ErrInvalidToken)
	})
}

// keyServer serves a set of keys and counts how often it is asked.
type keyServer struct {
	*httptest.Server

	set   atomic.Pointer[jose.JSONWebKeySet]
	asked atomic.Int32
	down  atomic.Bool
}

func newKeyServer(t *testing.T, s signer) *keyServer {
	t.Helper()
	k := &keyServer{}
	k.serve(s)
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.asked.Add(1)
		if k.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(k.set.Load())
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) serve(s signer) {
	set := s.public()
	k.set.Store(&set)
}

func TestRemoteKeys(t *testing.T) {
	t.Parallel()

	t.Run("ManyAtOnceFetchOnce", func(t *testing.T) {
		t.Parallel()
		server := newKeyServer(t, newSigner(t, "1"))
		keys := &mcpauth.RemoteKeys{URL: server.URL}
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				if _, err := keys.Key(context.WithoutCancel(t.Context()), "1"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 1, server.asked.Load())
	})
	t.Run("UnknownKeyIsLookedForButNotWithEachToken", func(t *testing.T) {
		t.Parallel()
		server := newKeyServer(t, newSigner(t, "1"))
		keys := &mcpauth.RemoteKeys{URL: server.URL, MinInterval: time.Hour}
		for range 10 {
			_, err := keys.Key(t.Context(), "2")
			require.ErrorIs(t, err, mcpauth.ErrUnknownKey)
		}
		require.EqualValues(t, 1, server.asked.Load())
	})
	t.Run("RotationIsFollowed", func(t *testing.T) {
		t.Parallel()
		server := newKeyServer(t, newSigner(t, "1"))
		keys := &mcpauth.RemoteKeys{URL: server.URL, MinInterval: time.Nanosecond}
		_, err := keys.Key(t.Context(), "1")
		require.NoError(t, err)
		server.serve(newSigner(t, "2"))
		_, err = keys.Key(t.Context(), "2")
		require.NoError(t, err)
		_, err = keys.Key(t.Context(), "1")
		require.ErrorIs(t, err, mcpauth.ErrUnknownKey)
	})
	t.Run("KnownKeysCountWhileTheIssuerIsDown", func(t *testing.T) {
		t.Parallel()
		server := newKeyServer(t, newSigner(t, "1"))
		keys := &mcpauth.RemoteKeys{URL: server.URL, MinInterval: time.Nanosecond, MaxAge: time.Nanosecond}
		_, err := keys.Key(t.Context(), "1")
		require.NoError(t, err)
		server.down.Store(true)
		for range 3 {
			_, err = keys.Key(t.Context(), "1")
			require.NoError(t, err)
		}
		_, err = keys.Key(t.Context(), "2")
		require.Error(t, err)
		require.NotErrorIs(t, err, mcpauth.ErrUnknownKey, "it cannot be known")
	})
}
