package repo

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// Secret is an authorization code or a refresh token, to be shown to the client once. Convert it with string(s); printed
// or logged it shows its kind only.
type Secret string

// String returns the prefix of the secret and an ellipsis.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return string(s[:min(len(s), len(codePrefix))]) + "…"
}

// Format implements fmt.Formatter with String, for every verb: with a wrong one, such as %d, package fmt would otherwise print
// the value as it is.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'q' || (verb == 'v' && f.Flag('#')) {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}

// LogValue implements slog.LogValuer with String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// A secret in text is a prefix and the base64url of 39 bytes: a version, the route, 256 random bits and a checksum.
// Prefix and checksum let secret scanners recognize it, and the checksum lets us turn garbage away without a query.
// base64url of 39 bytes has no padding and no unused bits, so that no two texts mean the same secret.
const (
	codePrefix    = "gptc_"
	tokenPrefix   = "gptr_"
	secretVersion = 1
	keySize       = 32
	nonceSize     = 32
	secretSize    = 1 + len(route{}) + keySize + crc32.Size
	secretTextLen = len(codePrefix) + secretSize/3*4

	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

	// successorLabel separates this use of the key from any later one.
	successorLabel = "gptr-successor-v1"
)

// route tells where a person's rows are, should they ever be spread over many nodes: the first two bytes of
// SHA-256(clerk_user_id), frozen for ever. Every code, token and id carries it.
type route [2]byte

func routeOf(clerkUserID string) route {
	sum := sha256.Sum256([]byte(clerkUserID))
	return route(sum[:2])
}

// secret is a code or a refresh token, taken apart.
type secret struct {
	prefix string
	route  route
	key    [keySize]byte
}

func newSecret(prefix string, r route) secret {
	s := secret{prefix: prefix, route: r}
	_, _ = rand.Read(s.key[:]) // never fails: it crashes the program rather than return an error
	return s
}

// text returns the secret as the client sees it.
func (s secret) text() string {
	var raw [secretSize]byte
	raw[0] = secretVersion
	copy(raw[1:], s.route[:])
	copy(raw[1+len(s.route):], s.key[:])
	body := raw[:secretSize-crc32.Size]
	binary.BigEndian.PutUint32(raw[len(body):], checksum(s.prefix, body))

	var text [secretTextLen]byte
	n := copy(text[:], s.prefix)
	base64.RawURLEncoding.Encode(text[n:], raw[:])
	return string(text[:])
}

// parseSecret takes a text apart, or says that it was never one of ours. Length and alphabet are checked before
// decoding, because the decoder passes over line breaks.
func parseSecret(prefix, text string) (secret, bool) {
	if len(text) != secretTextLen || !strings.HasPrefix(text, prefix) {
		return secret{}, false
	}
	encoded := text[len(prefix):]
	if strings.Trim(encoded, base64URL) != "" {
		return secret{}, false
	}
	var raw [secretSize]byte
	var buffer [secretTextLen]byte // on the stack
	if n, err := base64.RawURLEncoding.Decode(raw[:], append(buffer[:0], encoded...)); err != nil || n != secretSize {
		return secret{}, false
	}
	body := raw[:secretSize-crc32.Size]
	if raw[0] != secretVersion || binary.BigEndian.Uint32(raw[len(body):]) != checksum(prefix, body) {
		return secret{}, false
	}

	s := secret{prefix: prefix}
	copy(s.route[:], body[1:])
	copy(s.key[:], body[1+len(s.route):])
	return s, true
}

// checksum is the CRC-32 of prefix and body. crc32.Update would have them on the heap, for forty bytes.
func checksum(prefix string, body []byte) uint32 {
	sum := ^uint32(0)
	for i := range len(prefix) {
		sum = crc32.IEEETable[byte(sum)^prefix[i]] ^ sum>>8
	}
	for _, b := range body {
		sum = crc32.IEEETable[byte(sum)^b] ^ sum>>8
	}
	return ^sum
}

// digest is what the database keeps of a secret: lower-case hex of the SHA-256 of the text as presented.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// successor derives the refresh token that follows s. Whoever has s can be given the same successor again by keeping
// nothing but the nonce: the nonce alone yields no token, nor does s alone. The HMAC's key is the 32 raw bytes and not
// the text: HMAC hashes a key of more than 64 bytes first, and that hash would be the digest in the database.
func (s secret) successor(nonce []byte) secret {
	next := secret{prefix: s.prefix, route: s.route}
	next.key = hmacSHA256(s.key, successorLabel, nonce)
	return next
}

// hmacSHA256 is RFC 2104 for a key that is shorter than a block: crypto/hmac costs eight allocations, a third of what is
// left of a rotation.
func hmacSHA256(key [keySize]byte, label string, nonce []byte) [sha256.Size]byte {
	var inner, outer [sha256.BlockSize]byte
	copy(inner[:], key[:])
	outer = inner
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	var buffer [sha256.BlockSize + 64]byte // on the stack
	message := append(append(append(buffer[:0], inner[:]...), label...), nonce...)
	sum := sha256.Sum256(message)
	return sha256.Sum256(append(append(buffer[:0], outer[:]...), sum[:]...))
}

func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce)
	return nonce
}
