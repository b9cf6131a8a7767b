package repo

import (
	"context"
	"database/sql"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"
)

// What a call costs the client: with a server that answers at once, out of memory, so that the figures are the same
// whatever else the machine does. Run with
//
//	go test ./repo -run '^$' -bench Client -count 10

const sessionFields = "01900000-0000-7000-8000-0000000079b0,"

// operations are the calls on the hot path, each with the answer that PostgreSQL gives to it.
func operations() map[string]cannedCall {
	code := newSecret(codePrefix, route{}).text()
	token := newSecret(tokenPrefix, route{}).text()
	request := ExchangeParams{
		Code: code, ClientID: "client_1", RedirectURI: "https://chatgpt.com/aip/g-1/oauth/callback",
		CodeVerifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
	}
	const grant = "user_2abcdefghijklmnopqrstuvw,openid,\"\",,\"2026-03-01 12:00:00.123456+00\",\"2027-03-01 12:00:00.123456+00\""
	return map[string]cannedCall{
		"Exchange": {"(exchanged," + sessionFields + grant + ")", func(ctx context.Context, s *Store) (bool, error) {
			r, err := s.AuthCodes.Exchange(ctx, request)
			return r.Outcome == Exchanged, err
		}},
		"Rotate": {"(rotated," + sessionFields + sessionFields + grant + ",)", func(ctx context.Context, s *Store) (bool, error) {
			r, err := s.RefreshTokens.Rotate(ctx, RotateParams{RefreshToken: token, ClientID: "client_1"})
			return r.Outcome == Rotated, err
		}},
		"Touch": {"true", func(ctx context.Context, s *Store) (bool, error) {
			return s.Sessions.Touch(ctx, newID(route{}))
		}},
		"End": {"true", func(ctx context.Context, s *Store) (bool, error) {
			r, err := s.Sessions.End(ctx, EndParams{SessionID: newID(route{}), Reason: "sign_out"})
			return r.Sessions == 1, err
		}},
	}
}

type cannedCall struct {
	answer string
	do     func(ctx context.Context, store *Store) (ok bool, err error)
}

func BenchmarkClient(b *testing.B) { benchmarkClient(b, nil) }

// BenchmarkClientObserved has what the store does for an observer, without what the observer does.
func BenchmarkClientObserved(b *testing.B) { benchmarkClient(b, idleObserver{}) }

type idleObserver struct{}

func (idleObserver) Begin(ctx context.Context, _ string) (context.Context, func(Observation)) {
	return ctx, func(Observation) {}
}

func benchmarkClient(b *testing.B, observer Observer) {
	b.Helper()
	for name, op := range operations() {
		b.Run(name, func(b *testing.B) {
			store := cannedStore(b, op.answer, observer)
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := op.do(b.Context(), store); err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// TestAllocations holds the client's share, for a context as an HTTP server gives it: it can be cancelled and has no
// deadline. The fewest of many runs count, because the race detector makes pools forget.
func TestAllocations(t *testing.T) {
	for name, op := range operations() {
		t.Run(name, func(t *testing.T) {
			allocations := func(observer Observer) float64 {
				store := cannedStore(t, op.answer, observer)
				fewest := 1000.0
				for range 100 {
					fewest = min(fewest, testing.AllocsPerRun(1, func() {
						ok, err := op.do(t.Context(), store)
						require.NoError(t, err)
						require.True(t, ok)
					}))
				}
				return fewest
			}
			unobserved := allocations(nil)
			require.LessOrEqual(t, unobserved, 25.0)
			require.LessOrEqual(t, allocations(idleObserver{}), unobserved+1, "with an observer")
		})
	}
}

// cannedStore is a store whose server gives one answer to all calls.
func cannedStore(tb testing.TB, answer string, observer Observer) *Store {
	tb.Helper()
	conn := &cannedConn{answer: cannedAnswer(answer)}
	sqlDB := sql.OpenDB(pgdriver.NewConnector(func(c *pgdriver.Config) {
		c.Dialer = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
		c.TLSConfig = nil
		c.ResetSessionFunc = checkIdle
	}))
	tb.Cleanup(func() { _ = sqlDB.Close() })
	sqlDB.SetMaxOpenConns(1)
	store, err := New(bun.NewDB(sqlDB, pgdialect.New()), Config{Observer: observer})
	require.NoError(tb, err)
	return store
}

func message(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

// cannedAnswer is that to "SET LOCAL ..; SELECT .. AS a".
func cannedAnswer(text string) []byte {
	const column = "\x00\x01a\x00" + "\x00\x00\x00\x00" + "\x00\x00" + "\x00\x00\x00\x19" + "\xff\xff" + "\xff\xff\xff\xff" + "\x00\x00"
	var answer []byte
	answer = append(answer, message('C', "SET\x00")...)
	answer = append(answer, message('T', column)...)
	answer = append(answer, message('D', "\x00\x01"+string(binary.BigEndian.AppendUint32(nil, uint32(len(text))))+text)...)
	answer = append(answer, message('C', "SELECT 1\x00")...)
	return append(answer, message('Z', "I")...)
}

// cannedConn is a connection to a server in memory.
type cannedConn struct {
	net.Conn

	answer, unread []byte
}

func (c *cannedConn) Write(b []byte) (int, error) {
	c.unread = c.answer
	if b[0] != 'Q' {
		c.unread = append(message('R', "\x00\x00\x00\x00"), message('Z', "I")...)
	}
	return len(b), nil
}

func (c *cannedConn) Read(b []byte) (int, error) {
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *cannedConn) Close() error                     { return nil }
func (c *cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *cannedConn) SetWriteDeadline(time.Time) error { return nil }
