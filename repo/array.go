package repo

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// array writes an array of n elements, each by one call of element, as one literal: ARRAY['a', 'b', ..] is a literal an
// element to the server's parser and planner, and a thousand events cost it a sixth more CPU that way.
//
// Whatever standard_conforming_strings is, E'..' means the same. Two rules of quoting are one inside the other: that of
// arrays, then that of literals.
func (c *call) array(sqlType string, n int, element func(b []byte, i int) []byte) *call {
	c.next()
	c.sql = append(c.sql, "E'{"...)
	for i := range n {
		if i > 0 {
			c.sql = append(c.sql, ',')
		}
		c.sql = element(c.sql, i)
	}
	c.sql = append(c.sql, "}'::pg_catalog."...) // a temporary type of this name would come first
	c.sql = append(c.sql, sqlType...)
	return c
}

// appendElement writes an element of an array. Quoted, NULL is a text like any other.
func appendElement(b []byte, s sqlText) []byte {
	if s.null {
		return append(b, "NULL"...)
	}
	b = append(b, '"')
	for _, char := range []byte(s.text) {
		switch char {
		case '"':
			b = append(b, `\\"`...)
		case '\\':
			b = append(b, `\\\\`...)
		case '\'':
			b = append(b, "''"...)
		default:
			b = append(b, char)
		}
	}
	return append(b, '"')
}

func appendID(b []byte, id uuid.UUID) []byte {
	return hex.AppendEncode(b, id[:])
}

// appendOptionalID writes the zero id as NULL.
func appendOptionalID(b []byte, id uuid.UUID) []byte {
	if id == uuid.Nil {
		return append(b, "NULL"...)
	}
	return appendID(b, id)
}

// optional is an empty text as NULL.
func optional(s string) sqlText {
	return sqlText{text: s, null: s == ""}
}
