package conformance_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"sync/atomic"
)

// lossyConnector makes connections that can lose an answer: the statement has been executed and, outside a transaction,
// committed, but what comes back is that the connection has gone.
type lossyConnector struct {
	driver.Connector
}

// loss is what one call loses.
type loss struct {
	done atomic.Bool
	then func() // what happens before the call is made again; may be nil
}

// take says whether the loss is still to come, and lets happen what follows it.
func (l *loss) take() bool {
	if l.done.Swap(true) {
		return false
	}
	if l.then != nil {
		l.then()
	}
	return true
}

type lossKey struct{}

// lose makes a context for one call, whose first answer gets lost.
func lose(ctx context.Context) context.Context {
	return context.WithValue(ctx, lossKey{}, &loss{})
}

// Connect implements driver.Connector.
func (c *lossyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &lossyConn{fullConn: conn.(fullConn)}, nil
}

// fullConn is what both drivers' connections can do, and database/sql asks for.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.QueryerContext
	driver.ExecerContext
	driver.SessionResetter
	driver.Pinger
}

type lossyConn struct {
	fullConn

	inTx bool
}

// QueryContext implements driver.QueryerContext.
func (c *lossyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.fullConn.QueryContext(ctx, query, args)
	lossOfCall, ok := ctx.Value(lossKey{}).(*loss)
	if err != nil || c.inTx || !ok || lossOfCall.done.Load() {
		return rows, err
	}
	// To its end, which says that it was committed.
	row := make([]driver.Value, len(rows.Columns()))
	for err == nil {
		err = rows.Next(row)
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	lossOfCall.take()
	return nil, io.ErrUnexpectedEOF
}

// BeginTx implements driver.ConnBeginTx.
func (c *lossyConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.fullConn.BeginTx(ctx, options)
	c.inTx = err == nil
	return &lossyTx{tx, c, ctx}, err
}

type lossyTx struct {
	driver.Tx

	conn *lossyConn
	ctx  context.Context //nolint:containedctx // Commit has none, and it is its answer that gets lost
}

func (t *lossyTx) Commit() error {
	t.conn.inTx = false
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	if lossOfCall, ok := t.ctx.Value(lossKey{}).(*loss); ok && lossOfCall.take() {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (t *lossyTx) Rollback() error {
	t.conn.inTx = false
	return t.Tx.Rollback()
}

// loseAndThen is lose, with something that happens before the call is repeated.
func loseAndThen(ctx context.Context, then func()) context.Context {
	return context.WithValue(ctx, lossKey{}, &loss{then: then})
}
