package repo

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

const (
	maxJSONLen   = 16 << 10
	maxJSONDepth = 64
	maxExponent  = 308 // what a float64 holds (RFC 8259 6)
)

// checkJSON wants nothing, or one JSON object that PostgreSQL's jsonb can hold: it has no NUL, no lone surrogates and no
// endless numbers.
func checkJSON(field string, data json.RawMessage) error {
	if len(data) == 0 {
		return nil
	}
	switch trimmed := bytes.TrimLeft(data, " \t\r\n"); {
	case len(data) > maxJSONLen:
		return &InputError{field, "must be at most 16 KB"}
	case !utf8.Valid(data):
		return &InputError{field, "must be valid UTF-8"}
	case len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(data):
		return &InputError{field, "must be a JSON object"}
	}
	return scanJSON(field, data)
}

// scanJSON walks over valid JSON and looks at what is valid there but not in jsonb.
func scanJSON(field string, data []byte) error {
	depth := 0
	for i := 0; i < len(data); {
		switch data[i] {
		case '"':
			end, ok := scanJSONString(data, i+1)
			if !ok {
				return &InputError{field, `must not contain \u0000 or half a surrogate pair`}
			}
			i = end
			continue
		case '{', '[':
			if depth++; depth > maxJSONDepth {
				return &InputError{field, "must not be nested deeper than 64 levels"}
			}
		case '}', ']':
			depth--
		case 'e', 'E': // of a number: the e of true and false cannot be followed by a digit
			exponent, end := scanExponent(data, i+1)
			if exponent > maxExponent {
				return &InputError{field, "must not contain numbers beyond the range of a float64"}
			}
			i = end
			continue
		}
		i++
	}
	return nil
}

// scanJSONString returns the index after the closing quote of the string that begins at i.
func scanJSONString(data []byte, i int) (end int, ok bool) {
	for data[i] != '"' {
		if data[i] != '\\' {
			i++
			continue
		}
		if data[i+1] != 'u' {
			i += 2
			continue
		}
		unit := hex4(data[i+2:])
		i += 6
		switch {
		case unit == 0, unit >= 0xDC00 && unit <= 0xDFFF:
			return 0, false
		case unit >= 0xD800 && unit <= 0xDBFF:
			if data[i] != '\\' || data[i+1] != 'u' {
				return 0, false
			}
			if low := hex4(data[i+2:]); low < 0xDC00 || low > 0xDFFF {
				return 0, false
			}
			i += 6
		}
	}
	return i + 1, true
}

func hex4(data []byte) uint64 {
	n, _ := strconv.ParseUint(string(data[:4]), 16, 32) // json.Valid has seen four hex digits
	return n
}

// scanExponent reads the absolute value of an exponent, and returns where it ends; i if there is none.
func scanExponent(data []byte, i int) (exponent, end int) {
	end = i
	if data[end] == '+' || data[end] == '-' {
		end++
	}
	for ; data[end] >= '0' && data[end] <= '9'; end++ {
		exponent = min(exponent*10+int(data[end]-'0'), maxExponent+1)
	}
	return exponent, end
}
