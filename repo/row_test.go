package repo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestRow(t *testing.T) {
	t.Parallel()

	t.Run("ReadsEachType", func(t *testing.T) {
		t.Parallel()
		r := newRow(`(rotated,01900000-0000-7000-8000-0000000079b0,"a ""b"" \\ (c), d","{""k"": ""v\\\\""}","2026-03-01 12:00:00.5+00","\\x00ff",-7,"")`)
		require.Equal(t, "rotated", r.text())
		require.Equal(t, uuid.MustParse("01900000-0000-7000-8000-0000000079b0"), r.id())
		require.Equal(t, `a "b" \ (c), d`, r.text())
		require.JSONEq(t, `{"k": "v\\"}`, string(r.json()))
		require.Equal(t, time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC), r.time())
		require.Equal(t, []byte{0, 255}, r.bytes())
		require.Equal(t, -7, r.int())
		require.Equal(t, sqlText{}, r.field(), "an empty text is not NULL")
		require.NoError(t, r.end())
	})

	t.Run("ReadsBytesInEitherForm", func(t *testing.T) {
		t.Parallel()
		r := newRow(`("\\x00ff5c61","\\000\\377\\\\a",a)`)
		require.Equal(t, []byte("\x00\xff\\a"), r.bytes())
		require.Equal(t, []byte("\x00\xff\\a"), r.bytes())
		require.Equal(t, []byte("a"), r.bytes())
		require.NoError(t, r.end())
	})

	t.Run("NULLIsZero", func(t *testing.T) {
		t.Parallel()
		r := newRow("(,,,,)")
		require.Empty(t, r.text())
		require.Equal(t, uuid.Nil, r.id())
		require.Nil(t, r.json())
		require.True(t, r.time().IsZero())
		require.Nil(t, r.bytes())
		require.NoError(t, r.end())
	})

	t.Run("AnythingElseIsAnError", func(t *testing.T) {
		t.Parallel()
		for text, read := range map[string]func(r *row){
			"":               func(*row) {},
			"(":              func(*row) {},
			"a":              func(r *row) { r.text() },
			"(a,b)":          func(r *row) { r.text() },
			"(a)":            func(r *row) { r.text(); r.text() },
			`("a)`:           func(r *row) { r.text() },
			`("a"b)`:         func(r *row) { r.text() },
			`("a\b")`:        func(r *row) { r.text() },
			"(x)":            func(r *row) { r.id() },
			"(1 March 2026)": func(r *row) { r.time() },
			`("\\xf")`:       func(r *row) { r.bytes() },
			`("\\400")`:      func(r *row) { r.bytes() },
			`("\\1")`:        func(r *row) { r.bytes() },
			"()":             func(r *row) { r.int() },
		} {
			r := newRow(text)
			read(&r)
			require.ErrorIs(t, r.end(), errAnswer, text)
		}
	})
}

func TestParseIDs(t *testing.T) {
	t.Parallel()
	one := uuid.MustParse("01900000-0000-7000-8000-0000000079b0")
	for text, want := range map[string][]uuid.UUID{
		"{}":                     nil,
		"{" + one.String() + "}": {one},
		"{" + one.String() + "," + one.String() + "}": {one, one},
	} {
		ids, err := parseIDs(text)
		require.NoError(t, err)
		require.Equal(t, want, ids)
	}
	for _, text := range []string{"", "{", "}", "{,}", "{x}", one.String()} {
		_, err := parseIDs(text)
		require.ErrorIs(t, err, errAnswer, text)
	}
}

// FuzzRow writes texts as PostgreSQL does and reads them again, and reads any text without a panic.
func FuzzRow(f *testing.F) {
	f.Add("", "a,b")
	f.Add(`"`, `\`)
	f.Add(`\"`, "(x)")
	f.Fuzz(func(t *testing.T, a, b string) {
		r := newRow("(" + quoteField(a) + ",," + quoteField(b) + ")")
		require.Equal(t, sqlText{text: a}, r.field())
		require.Equal(t, sqlText{null: true}, r.field())
		require.Equal(t, sqlText{text: b}, r.field())
		require.NoError(t, r.end())

		other := newRow(a)
		for other.more && !other.bad {
			other.text()
		}
	})
}

// quoteField is record_out of PostgreSQL.
func quoteField(s string) string {
	if s != "" && !strings.ContainsAny(s, "\"\\(), \t\n\r\v\f") {
		return s
	}
	return `"` + strings.NewReplacer(`"`, `""`, `\`, `\\`).Replace(s) + `"`
}
