package server

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/go-jose/go-jose/v4"

	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

const minRSABits = 2048 // RFC 7518 3.3

// keys sign access tokens, and check those that a former key has signed.
//
// To rotate: put the new key behind the old one in the list and restart every replica; put it in front and restart again;
// take the old one out when its last access token has expired.
type keys struct {
	signingKey jose.JSONWebKey
	signer     jose.Signer
	public     mcpauth.StaticKeys // the signing key first
	formKey    []byte             // for the forms of the pages; the same on every replica
}

// readKeys reads PEM files: private keys as PKCS #8, and public ones of keys that no longer sign. The first key must be
// private. No files: a new key, which dies with the process.
func readKeys(files []string) (*keys, error) {
	if len(files) == 0 {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return newKeys([]any{private})
	}
	var all []any
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return nil, fmt.Errorf("signing keys: %w", err)
		}
		found, err := parseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("signing keys: %s: %w", file, err)
		}
		all = append(all, found...)
	}
	return newKeys(all)
}

// parseKeys never repeats what it cannot read.
func parseKeys(text []byte) ([]any, error) {
	var found []any
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		default:
			return nil, fmt.Errorf("there is a PEM block %q: want PRIVATE KEY (PKCS #8) or PUBLIC KEY", block.Type)
		}
		if err != nil {
			return nil, errors.New("there is a key that cannot be read")
		}
		found = append(found, key)
	}
	if len(found) == 0 {
		return nil, errors.New("there is no PEM block")
	}
	return found, nil
}

func newKeys(all []any) (*keys, error) {
	k := &keys{}
	for _, key := range all {
		public := key
		if private, ok := key.(crypto.Signer); ok {
			public = private.Public()
		}
		algorithm, err := algorithmOf(public)
		if err != nil {
			return nil, err
		}
		jwk := jose.JSONWebKey{Key: public, Algorithm: string(algorithm), Use: "sig"}
		thumbprint, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("signing keys: %w", err)
		}
		jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint) // RFC 7638
		k.public.Keys = append(k.public.Keys, jwk)
	}
	return k, k.signWith(all[0])
}

func (k *keys) signWith(key any) error {
	if _, ok := key.(crypto.Signer); !ok {
		return errors.New("signing keys: the first key must be a private one")
	}
	first := k.public.Keys[0]
	k.signingKey = jose.JSONWebKey{Key: key, KeyID: first.KeyID}
	signing := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(first.Algorithm), Key: k.signingKey}
	options := (&jose.SignerOptions{}).WithType("at+jwt") // RFC 9068 2.1
	var err error
	if k.signer, err = jose.NewSigner(signing, options); err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	k.formKey, err = hkdf.Key(sha256.New, der, nil, "gptoauth forms v1", sha256.Size)
	return err
}

func algorithmOf(public any) (jose.SignatureAlgorithm, error) {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return jose.EdDSA, nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return jose.ES256, nil
		}
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSABits {
			return jose.RS256, nil
		}
	}
	return "", errors.New("signing keys: a key must be Ed25519, ECDSA P-256, or RSA with 2,048 bits or more")
}
