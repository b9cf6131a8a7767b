package server

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

type mcpauthRemoteKeys = mcpauth.RemoteKeys

func writeKey(t *testing.T, key any) string {
	t.Helper()
	var block *pem.Block
	if private, ok := key.(crypto.Signer); ok {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		require.NoError(t, err)
		block = &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	} else {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(t, err)
		block = &pem.Block{Type: "PUBLIC KEY", Bytes: der}
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return file
}

func newKeyPairs(t *testing.T) (ed ed25519.PrivateKey, ec *ecdsa.PrivateKey, rs *rsa.PrivateKey) {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	rs, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return ed, ec, rs
}

func TestKeysOfEachKindSign(t *testing.T) {
	t.Parallel()
	ed, ec, rs := newKeyPairs(t)
	h := newHarness(t)
	for _, c := range []struct {
		key       any
		algorithm string
	}{{ed, "EdDSA"}, {ec, "ES256"}, {rs, "RS256"}} {
		read, err := readKeys([]string{writeKey(t, c.key)})
		require.NoError(t, err)
		require.Equal(t, c.algorithm, read.public.Keys[0].Algorithm)
		again, err := newKeys([]any{c.key})
		require.NoError(t, err)
		require.Equal(t, read.formKey, again.formKey, "each replica accepts the other's forms")
		token := ownAccessToken(t, &harness{Server: &Server{config: h.config, keys: read}})
		verifier := mcpauth.Verifier{Issuer: h.url, Keys: read.public}
		_, err = verifier.Parse(t.Context(), token)
		require.NoError(t, err)
	}
}

// TestKeysRotate: the old key goes on to count while its tokens live, as a public key too.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	old, next, _ := newKeyPairs(t)
	before := newHarness(t, func(p *Params) { p.Config.Keys = []string{writeKey(t, old)} })
	token := ownAccessToken(t, before)

	after := newHarness(t, func(p *Params) { p.Config.Keys = []string{writeKey(t, next), writeKey(t, old.Public())} })
	after.verifier.Issuer = before.url
	require.NotEmpty(t, after.claims(token).ID)
	var published jose.JSONWebKeySet
	answer := after.browser().get(after.url + jwksPath)
	require.NoError(t, json.Unmarshal([]byte(answer.body), &published))
	require.Len(t, published.Keys, 2)
	for _, key := range published.Keys {
		require.True(t, key.IsPublic())
	}

	gone := newHarness(t, func(p *Params) { p.Config.Keys = []string{writeKey(t, next)} })
	gone.verifier.Issuer = before.url
	_, err := gone.verifier.Parse(t.Context(), token)
	require.Error(t, err)
}

func TestKeysThatCannotBeUsedAreRefusedWithoutShowingThem(t *testing.T) {
	t.Parallel()
	ed, _, _ := newKeyPairs(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	require.NoError(t, os.WriteFile(garbage, []byte("-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n"), 0o600))
	for want, file := range map[string]string{
		"must be Ed25519, ECDSA P-256":       writeKey(t, p384),
		"the first key must be a private":    writeKey(t, ed.Public()),
		"there is a key that cannot be read": garbage,
		"no such file":                       "testdata/missing.pem",
	} {
		_, err := readKeys([]string{file})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestJWKSMayBeCached(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	answer := h.browser().get(h.url + jwksPath)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "public, max-age=3600", answer.Header.Get("Cache-Control"))
}
