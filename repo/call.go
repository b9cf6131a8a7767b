package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"
)

const (
	// timeoutText ends in blanks that withTimeout overwrites: the timeout differs from attempt to attempt, the rest does not.
	timeoutText   = "SET LOCAL statement_timeout =" + timeoutBlanks + "; "
	timeoutBlanks = "          "

	// maxPooledCall keeps the odd batch of a thousand events from being held on to.
	maxPooledCall = 32 << 10
)

// sqlText is a text that may be NULL.
type sqlText struct {
	text string
	null bool
}

// call is one call of a SQL function, written as text: pgdriver cannot prepare safely, and with a driver that prepares
// it would leave a statement behind a transaction pooler. Each argument is written once, as a literal.
//
// Calls are pooled, and each is sent by one conn.run, which takes it back.
type call struct {
	dialect schema.Dialect
	sql     []byte // begins with timeoutText
	args    int
	event   int   // where in sql the id of its event stands; 0 if it writes none
	route   route // of that id

	answer string
	dest   [1]any // &answer
}

var calls = sync.Pool{New: func() any {
	c := &call{sql: make([]byte, 0, 2048)}
	c.dest[0] = &c.answer
	return c
}}

// newCall begins "SELECT public.function(". The function stands in the select list and not after FROM, where PostgreSQL
// would store its row once more before it reads it, and is answered as one text, which costs the client one value to
// scan instead of ten.
func newCall(d schema.Dialect, function string) *call {
	c := calls.Get().(*call)
	c.dialect = d
	c.args = 0
	c.event = 0
	c.sql = append(c.sql[:0], timeoutText+"SELECT public."...)
	c.sql = append(c.sql, function...)
	c.sql = append(c.sql, '(')
	return c
}

func (c *call) next() {
	if c.args++; c.args > 1 {
		c.sql = append(c.sql, ", "...)
	}
}

func (c *call) null() *call {
	c.next()
	c.sql = dialect.AppendNull(c.sql)
	return c
}

func (c *call) text(s string) *call {
	c.next()
	c.sql = appendText(c.sql, c.dialect, s)
	return c
}

func (c *call) nullable(s sqlText) *call {
	if s.null {
		return c.null()
	}
	return c.text(s.text)
}

// optional writes an empty text as NULL.
func (c *call) optional(s string) *call {
	return c.nullable(optional(s))
}

// digest writes what the database keeps of a secret, as the function digest does.
func (c *call) digest(secret string) *call {
	c.next()
	var buffer [2 * secretTextLen]byte // on the stack
	sum := sha256.Sum256(append(buffer[:0], secret...))
	c.sql = append(c.sql, '\'')
	c.sql = hex.AppendEncode(c.sql, sum[:])
	c.sql = append(c.sql, '\'')
	return c
}

func (c *call) id(id uuid.UUID) *call {
	c.next()
	c.sql = append(c.sql, '\'')
	c.sql = hex.AppendEncode(c.sql, id[:]) // PostgreSQL reads it without hyphens too
	c.sql = append(c.sql, '\'')
	return c
}

// eventID draws the id of the event that the call writes.
func (c *call) eventID(r route) *call {
	c.id(newID(r))
	c.event = len(c.sql) - len("'") - hex.EncodedLen(len(uuid.UUID{}))
	c.route = r
	return c
}

// redrawEvent gives the event another id, or says that there is no event.
func (c *call) redrawEvent() bool {
	if c.event == 0 {
		return false
	}
	id := newID(c.route)
	hex.Encode(c.sql[c.event:], id[:])
	return true
}

// optionalID writes the zero id as NULL.
func (c *call) optionalID(id uuid.UUID) *call {
	if id == uuid.Nil {
		return c.null()
	}
	return c.id(id)
}

func (c *call) bool(b bool) *call {
	c.next()
	c.sql = dialect.AppendBool(c.sql, b)
	return c
}

// bytes writes nil as NULL.
func (c *call) bytes(b []byte) *call {
	if b == nil {
		return c.null()
	}
	c.next()
	c.sql = append(c.sql, `E'\\x`...)
	c.sql = hex.AppendEncode(c.sql, b)
	c.sql = append(c.sql, '\'')
	return c
}

// micros writes a duration with the database's own precision, a microsecond.
func (c *call) micros(d time.Duration) *call {
	c.next()
	c.sql = strconv.AppendInt(c.sql, d.Microseconds(), 10)
	return c
}

// close ends the statement. The cast, to no one's temporary type, makes every driver give the answer as text, whatever it
// would make of a record. The name is short because pgdriver reads that of the function, which is not used, with two
// allocations more.
func (c *call) close() {
	c.sql = append(c.sql, ")::pg_catalog.text AS a"...)
}

// query is the statement of a closed call. It is a copy, because query hooks may keep it.
func (c *call) query() string {
	return string(c.sql[len(timeoutText):])
}

// queryWithTimeout has PostgreSQL stop the call, and nothing after it, when the timeout is over.
func (c *call) queryWithTimeout(timeout time.Duration) string {
	const end = len(timeoutText) - len("; ")
	const start = end - len(timeoutBlanks)
	copy(c.sql[start:end], timeoutBlanks)
	var digits [20]byte
	millis := strconv.AppendInt(digits[:0], max(timeout.Milliseconds(), 1), 10) // 0 would mean no timeout
	copy(c.sql[end-len(millis):end], millis)
	return string(c.sql)
}

// free gives the call back to the pool and returns its answer.
func (c *call) free() string {
	answer := c.answer
	c.answer = ""
	if cap(c.sql) <= maxPooledCall {
		calls.Put(c)
	}
	return answer
}

// literal is a text of the host or the remote party in a query of Bun's builder.
type literal string

// AppendQuery implements schema.QueryAppender.
func (l literal) AppendQuery(gen schema.QueryGen, b []byte) ([]byte, error) {
	return appendText(b, gen.Dialect(), string(l)), nil
}

func literals(texts []string) []literal {
	list := make([]literal, len(texts))
	for i, text := range texts {
		list[i] = literal(text)
	}
	return list
}

// appendText writes a literal that means s whether standard_conforming_strings is on or off. Where it is off, a plain
// literal ends elsewhere than Bun thinks: at \' for one. pgdriver refuses to connect then, but does not see it change, and
// behind a transaction pooler another client may change it.
func appendText(b []byte, d schema.Dialect, s string) []byte {
	if strings.Contains(s, `\`) {
		b = append(b, 'E')
		s = strings.ReplaceAll(s, `\`, `\\`)
	}
	return d.AppendString(b, s)
}
