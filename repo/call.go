package repo

import (
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"
)

// sqlText is a text that may be NULL.
type sqlText struct {
	text string
	null bool
}

// call is one call of a SQL function, written as text: pgdriver cannot prepare safely, and with a driver that prepares
// it would leave a statement behind a transaction pooler. Each argument is written once, as a literal.
type call struct {
	dialect schema.Dialect
	sql     []byte
	args    int
}

// newCall begins "SELECT columns FROM public.function(".
func newCall(d schema.Dialect, columns, function string) *call {
	c := &call{dialect: d, sql: make([]byte, 0, 1024)}
	c.sql = append(c.sql, "SELECT "...)
	c.sql = append(c.sql, columns...)
	c.sql = append(c.sql, " FROM public."...)
	c.sql = append(c.sql, function...)
	c.sql = append(c.sql, '(')
	return c
}

func (c *call) next() {
	if c.args++; c.args > 1 {
		c.sql = append(c.sql, ", "...)
	}
}

func (c *call) text(s string) *call {
	c.next()
	c.sql = c.dialect.AppendString(c.sql, s)
	return c
}

func (c *call) nullable(s sqlText) *call {
	if s.null {
		c.next()
		c.sql = dialect.AppendNull(c.sql)
		return c
	}
	return c.text(s.text)
}

// optional writes an empty text as NULL.
func (c *call) optional(s string) *call {
	return c.nullable(sqlText{text: s, null: s == ""})
}

func (c *call) id(id uuid.UUID) *call {
	c.next()
	c.sql = append(c.sql, '\'')
	c.sql = append(c.sql, id.String()...)
	c.sql = append(c.sql, '\'')
	return c
}

// optionalID writes the zero id as NULL.
func (c *call) optionalID(id uuid.UUID) *call {
	if id == uuid.Nil {
		return c.nullable(sqlText{null: true})
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
	c.next()
	c.sql = c.dialect.AppendBytes(c.sql, b)
	return c
}

// micros writes a duration with the database's own precision, a microsecond.
func (c *call) micros(d time.Duration) *call {
	c.next()
	c.sql = strconv.AppendInt(c.sql, d.Microseconds(), 10)
	return c
}

// array writes an array of n elements, each by one call of element.
func (c *call) array(sqlType string, n int, element func(c *call, i int)) *call {
	c.next()
	args := c.args
	c.sql = append(c.sql, "ARRAY["...)
	c.args = 0
	for i := range n {
		element(c, i)
	}
	c.args = args
	c.sql = append(c.sql, "]::"...)
	c.sql = append(c.sql, sqlType...)
	return c
}

// query closes the call and returns it as an argument that Bun takes as it is: with a query text of its own Bun would
// look for placeholders, and find them in what users wrote.
func (c *call) query() bun.Safe {
	return bun.Safe(append(c.sql, ')'))
}
