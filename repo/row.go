package repo

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun/driver/pgdriver"
)

// sqlTrue is how PostgreSQL writes a boolean cast to text.
const sqlTrue = "true"

// errAnswer says that a function answered what it never does: another release of it, or a session whose DateStyle is not
// ISO.
var errAnswer = errors.New("the answer of the function is not understood")

// row reads the fields of a composite value, one after the other, from the text that PostgreSQL writes for it ("Composite
// Type Input and Output Syntax"): in parentheses, separated by commas, NULL as nothing at all, and in double quotes what
// would be mistaken otherwise. The first field that is not as asked for spoils the row, which end reports.
type row struct {
	rest string
	more bool // a field begins at rest; it may be empty
	bad  bool
}

func newRow(answer string) row {
	if len(answer) < 2 || answer[0] != '(' || answer[len(answer)-1] != ')' {
		return row{bad: true}
	}
	return row{rest: answer[1 : len(answer)-1], more: true}
}

// end says whether each field was read and was as expected.
func (r *row) end() error {
	if r.bad || r.more {
		return errAnswer
	}
	return nil
}

// field reads the next field.
func (r *row) field() sqlText {
	if r.bad || !r.more {
		r.bad = true
		return sqlText{null: true}
	}
	if strings.HasPrefix(r.rest, `"`) {
		return r.quoted()
	}
	var text string
	text, r.rest, r.more = strings.Cut(r.rest, ",")
	return sqlText{text: text, null: text == ""}
}

// quoted reads a field in double quotes, in which a quote and a backslash are doubled.
func (r *row) quoted() sqlText {
	end, escapes := 1, 0
	for ; end < len(r.rest); end++ {
		c := r.rest[end]
		if c != '"' && c != '\\' {
			continue
		}
		if end+1 < len(r.rest) && r.rest[end+1] == c {
			escapes++
			end++
			continue
		}
		break
	}
	if end >= len(r.rest) || r.rest[end] != '"' {
		r.bad = true
		return sqlText{null: true}
	}
	text := r.rest[1:end]
	r.rest = r.rest[end+1:]
	r.more = strings.HasPrefix(r.rest, ",")
	if r.more {
		r.rest = r.rest[1:]
	} else if r.rest != "" {
		r.bad = true
	}
	if escapes > 0 {
		text = undouble(text, escapes)
	}
	return sqlText{text: text}
}

func undouble(text string, escapes int) string {
	var b strings.Builder
	b.Grow(len(text) - escapes)
	for i := 0; i < len(text); i++ {
		b.WriteByte(text[i])
		if text[i] == '"' || text[i] == '\\' {
			i++
		}
	}
	return b.String()
}

// text reads a text, NULL as the empty one.
func (r *row) text() string { return r.field().text }

// id reads a UUID, NULL as the zero one.
func (r *row) id() uuid.UUID {
	field := r.field()
	if field.null {
		return uuid.Nil
	}
	id, err := uuid.Parse(field.text)
	r.bad = r.bad || err != nil
	return id
}

// time reads a point in time, NULL as the zero one.
func (r *row) time() time.Time {
	field := r.field()
	if field.null {
		return time.Time{}
	}
	t, err := parseTime(field.text)
	r.bad = r.bad || err != nil
	return t
}

// json reads a JSON value, NULL as nil.
func (r *row) json() json.RawMessage {
	field := r.field()
	if field.null {
		return nil
	}
	return json.RawMessage(field.text)
}

// bytes reads a bytea, NULL as nil.
func (r *row) bytes() []byte {
	field := r.field()
	if field.null {
		return nil
	}
	if digits, ok := strings.CutPrefix(field.text, `\x`); ok {
		b, err := hex.DecodeString(digits)
		r.bad = r.bad || err != nil
		return b
	}
	b, ok := unescape(field.text)
	r.bad = r.bad || !ok
	return b
}

// unescape reads what PostgreSQL writes with bytea_output = escape, which a role or a database may have: a backslash is
// doubled, and what is not printable ASCII is a backslash and three octal digits.
func unescape(text string) ([]byte, bool) {
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b = append(b, text[i])
			continue
		}
		if strings.HasPrefix(text[i+1:], `\`) {
			b = append(b, '\\')
			i++
			continue
		}
		if i+4 > len(text) {
			return nil, false
		}
		value, err := strconv.ParseUint(text[i+1:i+4], 8, 8)
		if err != nil {
			return nil, false
		}
		b = append(b, byte(value))
		i += 3
	}
	return b, true
}

// int reads a number that is never NULL.
func (r *row) int() int {
	n, err := strconv.Atoi(r.field().text)
	r.bad = r.bad || err != nil
	return n
}

func parseTime(text string) (time.Time, error) {
	if len(text) < len("2006-01-02 15:04:05+00") {
		return time.Time{}, errAnswer
	}
	return pgdriver.ParseTime(text)
}

// parseIDs reads an array of UUIDs.
func parseIDs(text string) ([]uuid.UUID, error) {
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return nil, errAnswer
	}
	elements := text[1 : len(text)-1]
	if elements == "" {
		return nil, nil
	}
	ids := make([]uuid.UUID, 0, 1+strings.Count(elements, ","))
	for element := range strings.SplitSeq(elements, ",") {
		id, err := uuid.Parse(element)
		if err != nil {
			return nil, errAnswer
		}
		ids = append(ids, id)
	}
	return ids, nil
}
