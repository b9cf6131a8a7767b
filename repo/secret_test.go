package repo

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestSecret(t *testing.T) {
	t.Parallel()

	t.Run("TextParsesBack", func(t *testing.T) {
		t.Parallel()
		for _, prefix := range []string{codePrefix, tokenPrefix} {
			s := newSecret(prefix, routeOf("user_1"))
			parsed, ok := parseSecret(prefix, s.text())
			require.True(t, ok)
			require.Equal(t, s, parsed)
			require.Len(t, s.text(), 57)
		}
	})

	t.Run("FormatIsFrozen", func(t *testing.T) {
		t.Parallel()
		s := secret{prefix: tokenPrefix, route: routeOf("user_1")}
		for i := range s.key {
			s.key[i] = byte(i)
		}
		require.Equal(t, "gptr_"+"AXmwAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9HLMpu", s.text())
		sum := sha256.Sum256([]byte(s.text()))
		require.Equal(t, hex.EncodeToString(sum[:]), digest(s.text()), "lower-case hex SHA-256 of the whole text")
	})

	t.Run("AnyChangedCharacterIsMalformed", func(t *testing.T) {
		t.Parallel()
		text := newSecret(tokenPrefix, route{1, 2}).text()
		for i := range text {
			for _, c := range []byte("A_-b\n\r=+/ \x00\xff") {
				if text[i] == c {
					continue
				}
				changed := text[:i] + string([]byte{c}) + text[i+1:]
				_, ok := parseSecret(tokenPrefix, changed)
				require.False(t, ok, "byte %d", i)
			}
		}
	})

	t.Run("OtherLengthsAndPrefixesAreMalformed", func(t *testing.T) {
		t.Parallel()
		text := newSecret(tokenPrefix, route{}).text()
		for _, wrong := range []string{"", "gptr_", text[:56], text + "A", text + "\n", "\n" + text, text[:30] + "\n" + text[30:], strings.ToUpper(text)} {
			_, ok := parseSecret(tokenPrefix, wrong)
			require.False(t, ok)
		}
		_, ok := parseSecret(codePrefix, text)
		require.False(t, ok, "a token is no code")
		_, ok = parseSecret(codePrefix, codePrefix+text[len(tokenPrefix):])
		require.False(t, ok, "the checksum covers the prefix")
	})

	t.Run("IsNotShown", func(t *testing.T) {
		t.Parallel()
		text := newSecret(tokenPrefix, route{}).text()
		result := RotateResult{Grant: Grant{RefreshToken: Secret(text)}}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("rotated", "result", result, "token", result.RefreshToken)
		slog.New(slog.NewTextHandler(&log, nil)).Info("rotated", "result", result, "token", result.RefreshToken)
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} { // the last is the wrong verb
			fmt.Fprintf(&log, format+format, result, result.RefreshToken)
		}
		printed := log.String()
		require.NotContains(t, printed, text[len(tokenPrefix):len(tokenPrefix)+8])
		require.Contains(t, printed, "gptr_…")
	})
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	token := newSecret(tokenPrefix, routeOf("user_1"))
	nonce := newNonce()

	first := token.successor(nonce)
	require.Equal(t, first, token.successor(nonce), "the same token and nonce give the same successor")
	require.Equal(t, token.route, token.successor(nonce).route)
	require.NotEqual(t, token.successor(nonce).key, token.successor(newNonce()).key)
	require.NotEqual(t, token.successor(nonce).key, newSecret(tokenPrefix, token.route).successor(nonce).key)

	t.Run("IsFrozen", func(t *testing.T) {
		t.Parallel()
		var fixed secret
		fixed.prefix = tokenPrefix
		next := fixed.successor(bytes.Repeat([]byte{7}, nonceSize))
		// python3: hmac.new(bytes(32), b"gptr-successor-v1" + bytes([7]) * 32, "sha256").hexdigest()
		require.Equal(t, "76067bc6bfe2e854e030961d0cda9884c9e1742dd1a127dc0a2439d4494cd35c", hex.EncodeToString(next.key[:]))
	})
}

// FuzzHMAC compares the HMAC with that of the standard library.
func FuzzHMAC(f *testing.F) {
	f.Add([]byte("key"), successorLabel, []byte("nonce"))
	f.Add([]byte{}, "", make([]byte, 300))
	f.Fuzz(func(t *testing.T, k []byte, label string, nonce []byte) {
		var key [keySize]byte
		copy(key[:], k)
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte(label))
		mac.Write(nonce)
		sum := hmacSHA256(key, label, nonce)
		require.Equal(t, mac.Sum(nil), sum[:])
	})
}

func TestNewID(t *testing.T) {
	t.Parallel()
	r := routeOf("user_1")
	require.Equal(t, route{0x79, 0xb0}, r, "frozen: the first two bytes of SHA-256")
	id := newID(r)
	require.Equal(t, uuid.Version(7), id.Version())
	require.Equal(t, uuid.RFC4122, id.Variant())
	require.Equal(t, r, routeOfID(id))

	for range 10_000 {
		next := newID(r)
		require.Negative(t, bytes.Compare(id[:], next[:]), "a family is listed in the order of its ids")
		id = next
	}
	require.WithinDuration(t, time.Now(), time.Unix(id.Time().UnixTime()), 2*time.Second)
}
