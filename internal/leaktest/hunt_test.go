package leaktest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wellFormed is what secret scanners look for: the text of any code or token, known to the test or not.
var wellFormed = regexp.MustCompile(`gpt[cr]_[A-Za-z0-9_-]{52}`)

// hunt knows each secret in all the forms in which it could be written down.
type hunt struct {
	forms map[string]string // what to look for, and what it is
}

func newHunt() *hunt { return &hunt{map[string]string{}} }

// secret adds a text that no one else may know.
func (h *hunt) secret(what, text string) {
	h.forms[text] = what
	h.forms[url.QueryEscape(text)] = what + ", URL-encoded"
	if quoted, err := json.Marshal(text); err == nil {
		h.forms[strings.Trim(string(quoted), `"`)] = what + ", in JSON"
	}
	h.bytes(what, []byte(text))
}

// grant adds a code or token with what is encoded in it: the 32 bytes from which successors are derived.
func (h *hunt) grant(t testing.TB, what, text string) {
	t.Helper()
	require.Regexp(t, wellFormed, text)
	h.secret(what, text)
	raw, err := base64.RawURLEncoding.DecodeString(text[len("gptr_"):])
	require.NoError(t, err)
	h.bytes(what+", decoded", raw)
	h.bytes("the key of "+what, raw[3:35])
}

func (h *hunt) bytes(what string, raw []byte) {
	h.forms[string(raw)] = what + ", as bytes"
	h.forms[hex.EncodeToString(raw)] = what + ", in hex"
	h.forms[strings.ToUpper(hex.EncodeToString(raw))] = what + ", in hex"
	h.forms[base64.RawStdEncoding.EncodeToString(raw)] = what + ", in base64"
	h.forms[base64.RawURLEncoding.EncodeToString(raw)] = what + ", in base64url"
	h.forms[fmt.Sprintf("%d", raw)] = what + ", as a list of numbers"
}

// in lists what is found in a text, by its name.
func (h *hunt) in(text string) (found []string) {
	for form, what := range h.forms {
		if strings.Contains(text, form) {
			found = append(found, what)
		}
	}
	if wellFormed.MatchString(text) {
		found = append(found, "something of the form of a code or token")
	}
	return found
}

// TestTheHuntFindsEveryForm is the negative control.
func TestTheHuntFindsEveryForm(t *testing.T) {
	t.Parallel()
	const token = "gptr_AXaEbm90IGEgc2VjcmV0IGJ1dCBhcyBsb25nIGFzIG9uZSEhIUFCQ0Q"
	raw, err := base64.RawURLEncoding.DecodeString(token[5:])
	require.NoError(t, err)
	h := newHunt()
	h.grant(t, "token", token)
	for _, text := range []string{
		token, hex.EncodeToString([]byte(token)), base64.StdEncoding.EncodeToString([]byte(token)),
		string(raw[3:35]), fmt.Sprintf(`\x%x`, raw[3:35]), base64.URLEncoding.EncodeToString(raw[3:35]), fmt.Sprintf("%v", raw[3:35]),
	} {
		require.NotEmpty(t, h.in("LOG:  statement: SELECT '"+text+"'"), text)
	}
	require.Empty(t, h.in("LOG:  statement: SELECT 'gptr_…'"))
}
