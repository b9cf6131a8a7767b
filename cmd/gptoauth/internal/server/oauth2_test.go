package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

type mcpClaims = mcpauth.Claims

// These tests drive the server with a client that no one here has written: golang.org/x/oauth2.

func (h *harness) oauth2Config(id, redirect string, style oauth2.AuthStyle) *oauth2.Config {
	config := &oauth2.Config{
		ClientID:    id,
		RedirectURL: redirect,
		Scopes:      []string{"jobs:read"},
		Endpoint:    oauth2.Endpoint{AuthURL: h.url + authorizePath, TokenURL: h.url + tokenPath, AuthStyle: style},
	}
	if id != publicID {
		config.ClientSecret = secret
	}
	return config
}

// oauth2Code signs someone in and gets a code for config.
func (h *harness) oauth2Code(config *oauth2.Config, options ...oauth2.AuthCodeOption) string {
	h.t.Helper()
	b, _ := h.newPerson()
	back := b.decide(config.AuthCodeURL("state-1", options...), "allow")
	require.Equal(h.t, "state-1", back.Query().Get("state"))
	return back.Query().Get("code")
}

func requireInvalidGrant(t *testing.T, err error) {
	t.Helper()
	failure, ok := errors.AsType[*oauth2.RetrieveError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "invalid_grant", failure.ErrorCode)
	require.Equal(t, http.StatusBadRequest, failure.Response.StatusCode)
	require.Empty(t, failure.ErrorDescription)
}

func TestOAuth2PublicClientSignsInWithPKCEAndRefreshes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	config := h.oauth2Config(publicID, "http://127.0.0.1:5151/callback", oauth2.AuthStyleInParams)
	verifier := oauth2.GenerateVerifier()
	code := h.oauth2Code(config, oauth2.S256ChallengeOption(verifier))
	token, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(10*time.Minute), token.Expiry, 5*time.Second)
	require.Equal(t, "jobs:read", token.Extra("scope"))

	token.Expiry = time.Now().Add(-time.Minute) // so that the client refreshes
	renewed, err := config.TokenSource(t.Context(), token).Token()
	require.NoError(t, err)
	require.NotEqual(t, token.RefreshToken, renewed.RefreshToken)
	require.NotEqual(t, token.AccessToken, renewed.AccessToken)
	require.Equal(t, h.claims(token.AccessToken).SessionID, h.claims(renewed.AccessToken).SessionID)
}

func TestOAuth2ConfidentialClientSignsInWithEitherAuthentication(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
		config := h.oauth2Config(gptID, gptRedirect, style)
		token, err := config.Exchange(t.Context(), h.oauth2Code(config))
		require.NoError(t, err)
		require.Equal(t, gptID, h.claims(token.AccessToken).ClientID)
	}
}

func TestOAuth2WrongVerifierIsRefusedAndBurnsNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	config := h.oauth2Config(publicID, "http://127.0.0.1:5151/callback", oauth2.AuthStyleInParams)
	verifier := oauth2.GenerateVerifier()
	code := h.oauth2Code(config, oauth2.S256ChallengeOption(verifier))
	_, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
	requireInvalidGrant(t, err)
	_, err = config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	require.NoError(t, err)
}

func TestOAuth2CodeReplayEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	config := h.oauth2Config(publicID, "http://127.0.0.1:5151/callback", oauth2.AuthStyleInParams)
	verifier := oauth2.GenerateVerifier()
	code := h.oauth2Code(config, oauth2.S256ChallengeOption(verifier))
	token, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	require.True(t, h.alive(token.AccessToken))

	_, err = config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	requireInvalidGrant(t, err)
	require.False(t, h.alive(token.AccessToken))
	token.Expiry = time.Now().Add(-time.Minute)
	_, err = config.TokenSource(t.Context(), token).Token()
	requireInvalidGrant(t, err)
	require.Contains(t, h.log.String(), "outcome="+string(repo.Replayed))
}

func TestOAuth2TwentyParallelRefreshesGetTheSameSuccessor(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	config := h.oauth2Config(publicID, "http://127.0.0.1:5151/callback", oauth2.AuthStyleInParams)
	verifier := oauth2.GenerateVerifier()
	first, err := config.Exchange(t.Context(), h.oauth2Code(config, oauth2.S256ChallengeOption(verifier)), oauth2.VerifierOption(verifier))
	require.NoError(t, err)

	var group sync.WaitGroup
	var mu sync.Mutex
	successors := map[string]int{}
	for range 20 {
		group.Go(func() {
			expired := &oauth2.Token{RefreshToken: first.RefreshToken, Expiry: time.Now().Add(-time.Hour)}
			token, err := config.TokenSource(context.WithoutCancel(t.Context()), expired).Token()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			successors[token.RefreshToken]++
		})
	}
	group.Wait()
	require.Len(t, successors, 1)
	for _, n := range successors {
		require.Equal(t, 20, n)
	}
	require.True(t, h.alive(first.AccessToken))
}
