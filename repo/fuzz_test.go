package repo

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/dialect/pgdialect"
)

// The corpora in testdata/fuzz run with every go test. To look for more:
//
//	go test ./repo -run '^$' -fuzz '^FuzzSecret$' -fuzztime 1m

// FuzzSecret: what is taken apart is a secret of ours and puts together again, to the letter.
func FuzzSecret(f *testing.F) {
	f.Add(newSecret(codePrefix, routeOf("user_1")).text())
	f.Add(newSecret(tokenPrefix, routeOf("user_1")).text())
	f.Fuzz(func(t *testing.T, text string) {
		for _, prefix := range []string{codePrefix, tokenPrefix} {
			parsed, ok := parseSecret(prefix, text)
			require.Equal(t, ok && strings.HasPrefix(text, prefix), ok)
			if !ok {
				require.Zero(t, parsed)
				continue
			}
			require.Equal(t, text, parsed.text())
			require.NotContains(t, Secret(text).String(), text[len(prefix):])
			require.NotEqual(t, parsed, parsed.successor(make([]byte, nonceSize)))
		}
	})
}

// FuzzPKCE: what is stored of a challenge is its S256 form, which the right verifier, and no other text, leads to.
func FuzzPKCE(f *testing.F) {
	f.Fuzz(func(t *testing.T, challenge, method, verifier string, withoutPKCE bool) {
		params := IssueParams{CodeChallenge: challenge, CodeChallengeMethod: method, WithoutPKCE: withoutPKCE}
		_, strictErr := params.storedChallenge(false)
		stored, err := params.storedChallenge(true)
		if err != nil {
			var input *InputError
			require.ErrorAs(t, err, &input)
			require.Error(t, strictErr)
			return
		}
		require.Equal(t, withoutPKCE, stored == noChallenge)
		require.Equal(t, !withoutPKCE, isS256(stored))
		require.Equal(t, method == S256 || withoutPKCE, strictErr == nil, "plain is allowed only if it is said")

		presented := presentedChallenge(verifier)
		require.Equal(t, verifier == "", presented.null)
		if presented.null {
			return
		}
		want := method == S256 && isVerifier(verifier) && s256(verifier) == challenge ||
			method != S256 && verifier == challenge
		require.Equal(t, want && !withoutPKCE, presented.text == stored)
		if isVerifier(verifier) {
			require.Len(t, presented.text, s256Len)
			require.NotContains(t, presented.text, verifier, "no verifier is ever in SQL")
		}
	})
}

// FuzzScope: what is accepted is RFC 6749 3.3's grammar, and nothing is lost in taking it apart.
func FuzzScope(f *testing.F) {
	f.Fuzz(func(t *testing.T, scope string) {
		if checkScope("Scope", scope) != nil {
			return
		}
		require.LessOrEqual(t, len(scope), maxScopeLen)
		for i := range len(scope) {
			c := scope[i]
			require.True(t, c == ' ' || c == 0x21 || c >= 0x23 && c <= 0x5b || c >= 0x5d && c <= 0x7e, "%q", c)
		}
		require.Equal(t, scope, strings.Join(strings.Fields(scope), " "))
	})
}

// FuzzURI: what is accepted as a redirect URI or resource is absolute and has no fragment (RFC 6749 3.1.2, RFC 8707 2), for
// another parser too.
func FuzzURI(f *testing.F) {
	f.Fuzz(func(t *testing.T, uri string) {
		accepted := checkRedirectURI("RedirectURI", uri) == nil
		if accepted {
			require.NotContains(t, uri, "#")
			require.True(t, utf8.ValidString(uri))
			require.False(t, strings.ContainsFunc(uri, func(r rune) bool { return r < 0x20 || r == 0x7f }), "a line break would split the Location header")
			scheme, _, ok := strings.Cut(uri, ":")
			require.True(t, ok && scheme != "" && strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+-.") == "")
			parsed, err := url.Parse(uri)
			require.NoError(t, err)
			require.True(t, parsed.IsAbs())
			require.Equal(t, sqlText{text: uri}, presentedRedirectURI(uri), "what was accepted is compared as it is")
		}
		if accepted && !strings.Contains(uri, " ") {
			require.NoError(t, checkResource("Resource", uri))
		}
	})
}

// FuzzJSON: what is accepted is one object, which is text as PostgreSQL has it all through.
func FuzzJSON(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkJSON("Data", data) != nil || len(data) == 0 {
			return
		}
		var object map[string]any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&object))
		require.NotNil(t, object)
		require.LessOrEqual(t, len(data), maxJSONLen)
		requireStorable(t, object, 1)
	})
}

func requireStorable(t *testing.T, value any, depth int) {
	t.Helper()
	switch v := value.(type) {
	case string:
		require.NoError(t, checkText("", v, len(v)))
	case json.Number: // numeric has 131,072 digits before the point and 16,383 after it
		if _, exponent, ok := strings.Cut(strings.ToLower(v.String()), "e"); ok {
			n, err := strconv.Atoi(exponent)
			require.NoError(t, err)
			require.True(t, n >= -maxExponent && n <= maxExponent)
		}
	case []any:
		require.LessOrEqual(t, depth, maxJSONDepth)
		for _, element := range v {
			requireStorable(t, element, depth+1)
		}
	case map[string]any:
		require.LessOrEqual(t, depth, maxJSONDepth)
		for key, element := range v {
			requireStorable(t, key, depth)
			requireStorable(t, element, depth+1)
		}
	}
}

// FuzzCursor: a cursor that is accepted means one position, and that position has one cursor.
func FuzzCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, cursor string) {
		parsed, err := parseCursor("Cursor", cursor)
		if err != nil {
			require.EqualError(t, err, "repo: Cursor must be the Next of an earlier page")
			return
		}
		again, err := parseCursor("Cursor", parsed.cursor())
		require.NoError(t, err)
		require.Equal(t, parsed, again)
		require.True(t, parsed.at.Year() >= 1 && parsed.at.Year() <= 9999, "a time that PostgreSQL has")
	})
}

// FuzzLiteral: a literal is one token to PostgreSQL's lexer and means the text, whatever standard_conforming_strings is.
func FuzzLiteral(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		if checkText("", text, len(text)) != nil {
			return
		}
		written := string(appendText(nil, pgdialect.New(), text))
		for _, conforming := range []bool{true, false} {
			read, rest, ok := lexLiteral(written, conforming)
			require.True(t, ok)
			require.Equal(t, text, read)
			require.Empty(t, rest)
		}
		c := newCall(pgdialect.New(), "f").text(text)
		c.close()
		require.Equal(t, "SELECT public.f("+written+")::pg_catalog.text AS a", c.query())
	})
}

// lexLiteral reads a literal as PostgreSQL does (scan.l, states xq and xe), as far as we write them.
func lexLiteral(sql string, conforming bool) (text, rest string, ok bool) {
	escapes := !conforming
	if strings.HasPrefix(sql, "E") {
		escapes, sql = true, sql[1:]
	}
	if !strings.HasPrefix(sql, "'") {
		return "", sql, false
	}
	var b strings.Builder
	for i := 1; i < len(sql); i++ {
		switch c := sql[i]; {
		case c == '\'' && strings.HasPrefix(sql[i+1:], "'"), c == '\\' && escapes && strings.HasPrefix(sql[i+1:], `\`):
			b.WriteByte(c)
			i++
		case c == '\'':
			return b.String(), sql[i+1:], true
		case c == '\\' && escapes: // any other escape is none of ours
			return "", sql, false
		default:
			b.WriteByte(c)
		}
	}
	return "", sql, false
}

// FuzzBytes: a nonce is read back whatever bytea_output is, and any text without a panic.
func FuzzBytes(f *testing.F) {
	f.Fuzz(func(t *testing.T, value []byte, text string) {
		for _, written := range []string{`\x` + hex.EncodeToString(value), string(octal(value))} {
			r := newRow("(" + quoteField(written) + ")")
			require.Equal(t, string(value), string(r.bytes()))
			require.NoError(t, r.end())
		}
		r := newRow("(" + quoteField(text) + ")")
		r.bytes()
	})
}

// octal does what byteaout does with bytea_output = escape.
func octal(b []byte) []byte {
	var out []byte
	for _, c := range b {
		switch {
		case c == '\\':
			out = append(out, `\\`...)
		case c < 0x20 || c > 0x7e:
			out = append(out, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			out = append(out, c)
		}
	}
	return out
}
