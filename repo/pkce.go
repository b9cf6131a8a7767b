package repo

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// The code challenge methods of RFC 7636 4.2.
const (
	S256  = "S256"
	Plain = "plain"
)

const (
	minVerifierLen = 43 // RFC 7636 4.1
	maxVerifierLen = 128
	s256Len        = 43 // base64url of 32 bytes, without padding

	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" // RFC 3986 2.3
)

const challengeField = "IssueParams.CodeChallenge"

// noChallenge is what a code without PKCE has for a challenge. No verifier hashes to it.
const noChallenge = ""

// s256 is BASE64URL(SHA256(verifier)), RFC 7636 4.2.
func s256(verifier string) string {
	var buffer [maxVerifierLen]byte // on the stack
	sum := sha256.Sum256(append(buffer[:0], verifier...))
	var text [s256Len]byte
	base64.RawURLEncoding.Encode(text[:], sum[:])
	return string(text[:])
}

// isVerifier says whether s has the form of a code verifier (RFC 7636 4.1), which is that of a plain challenge too.
func isVerifier(s string) bool {
	return len(s) >= minVerifierLen && len(s) <= maxVerifierLen && strings.Trim(s, unreserved) == ""
}

// isS256 says whether s can be an S256 challenge: the canonical base64url of 32 bytes.
func isS256(s string) bool {
	if len(s) != s256Len || strings.Trim(s, base64URL) != "" {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil
}

// storedChallenge checks the challenge of an authorization request and returns what is stored of it. A plain challenge
// is the verifier itself, so that its S256 form is stored: no verifier is ever in SQL, and both methods compare alike.
func (p IssueParams) storedChallenge(allowPlain bool) (string, error) {
	if p.WithoutPKCE {
		if p.CodeChallenge != "" || p.CodeChallengeMethod != "" {
			return "", &InputError{challengeField, "must be empty with WithoutPKCE"}
		}
		return noChallenge, nil
	}
	if p.CodeChallenge == "" {
		return "", &InputError{challengeField, "must not be empty, unless WithoutPKCE says so"}
	}

	switch p.CodeChallengeMethod {
	case S256:
		if !isS256(p.CodeChallenge) {
			return "", &InputError{challengeField, "must be the base64url of 32 bytes without padding (RFC 7636 4.2)"}
		}
		return p.CodeChallenge, nil
	case Plain, "": // an absent method means plain (RFC 7636 4.3)
		if !allowPlain {
			return "", &InputError{"IssueParams.CodeChallengeMethod", "must be S256: absent it means plain (RFC 7636 4.3), which Config.AllowPlain does not allow"}
		}
		if !isVerifier(p.CodeChallenge) {
			return "", &InputError{challengeField, "must be 43 to 128 unreserved characters (RFC 7636 4.1)"}
		}
		return s256(p.CodeChallenge), nil
	default:
		return "", &InputError{"IssueParams.CodeChallengeMethod", "must be S256 or plain"}
	}
}

// presentedChallenge is what is sent to the database for a verifier: its S256 form; NULL if none was presented; and for a
// malformed one a text that no challenge equals, so that the answer is Mismatch if the code is known and Unknown if not.
func presentedChallenge(verifier string) sqlText {
	switch {
	case verifier == "":
		return sqlText{null: true}
	case !isVerifier(verifier):
		return sqlText{text: "malformed"}
	default:
		return sqlText{text: s256(verifier)}
	}
}
