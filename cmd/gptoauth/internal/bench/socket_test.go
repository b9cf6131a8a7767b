package bench

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo"
)

// BenchmarkSocket puts rotations through the library beside pgbench and beside the least that a client in Go can do: the text
// of each call is there beforehand, goes into a socket as it is, and the answer is read to its end, without a pool, a driver, a
// deadline or a token to make. It reports the processor time a call and the share of pgbench's throughput, medians of runs of
// three seconds, of which another one comes first each time:
//
//	go test ./cmd/gptoauth/internal/bench -run '^$' -bench Socket -benchtime 9x
func BenchmarkSocket(b *testing.B) {
	d := benchDatabase(b)
	if !d.hasPgbench() {
		b.Skip("pgbench is not installed")
	}
	for _, clients := range []int{1, 8, 32} {
		b.Run(strconv.Itoa(clients), func(b *testing.B) {
			kinds := []string{"library", "socket", "pgbench"}
			cpu, shares := map[string][]float64{}, map[string][]float64{}
			for i := 0; b.Loop(); i++ {
				perSecond := map[string]float64{}
				for j := range kinds {
					kind := kinds[(i+j)%len(kinds)]
					var t tally
					var err error
					switch kind {
					case "library":
						perSecond[kind], err = d.runLibrary(b.Context(), operations["rotate"], clients, socketRun, &t)
					case "socket":
						perSecond[kind], err = d.runSockets(b, clients, &t)
					case "pgbench":
						perSecond[kind], err = d.runPgbench(b.Context(), "rotate", "function", clients, socketRun)
					}
					require.NoError(b, err)
					cpu[kind] = append(cpu[kind], float64(t.cpu.Microseconds())/float64(max(t.calls, 1)))
				}
				for _, kind := range kinds {
					shares[kind] = append(shares[kind], perSecond[kind]/perSecond["pgbench"])
				}
			}
			for _, kind := range kinds[:2] {
				b.ReportMetric(*median(cpu[kind]), kind+"-cpu-us")
				b.ReportMetric(*median(shares[kind]), kind+"-share")
				b.Logf("%s: %.2f of pgbench", kind, slices.Sorted(slices.Values(shares[kind])))
			}
		})
	}
}

func benchDatabase(b *testing.B) *Database {
	b.Helper()
	var opened []*bun.DB
	d, err := New(b.Context(), Options{
		TableSize: 10_000,
		Progress:  b.Logf,
		Open: func(ctx context.Context, url string) (*bun.DB, error) {
			db, err := repo.Open(ctx, url, repo.PoolConfig{ReadTimeout: -1})
			opened = append(opened, db)
			return db, err
		},
	})
	require.NoError(b, err)
	b.Cleanup(func() {
		require.NoError(b, d.Close(context.Background()))
		for _, db := range opened {
			_ = db.Close()
		}
	})
	return d
}

const socketRun = 3 * time.Second

// runSockets is runLibrary with a socket for each client.
func (d *Database) runSockets(b *testing.B, clients int, t *tally) (float64, error) {
	b.Helper()
	steps := make([]step, clients)
	for i := range steps {
		socket := d.dial(b)
		defer socket.Close()
		next := d.rotations(b, int(codesPerSecond*socketRun.Seconds())/clients+1000)
		answer := make([]byte, 4096)
		steps[i] = func(context.Context, *repo.Store) (int, error) {
			if len(next) == 0 {
				return 0, errors.New("more rotations than were written beforehand")
			}
			n, err := ask(socket, next[0], answer)
			next = next[1:]
			if err == nil && !strings.Contains(string(answer[:n]), "(rotated,") {
				err = fmt.Errorf("not rotated: %q", answer[:n])
			}
			return 1, err
		}
	}
	calls, elapsed, err := t.measure(b.Context(), nil, steps, socketRun)
	return float64(calls) / elapsed.Seconds(), err
}

func (d *Database) dial(b *testing.B) net.Conn {
	b.Helper()
	conn, err := pgdriver.NewConnector(pgdriver.WithDSN(d.url.String()), pgdriver.WithInsecure(true)).Connect(b.Context())
	require.NoError(b, err)
	socket := conn.(*pgdriver.Conn).Conn()
	require.NoError(b, socket.SetDeadline(time.Time{}))
	return socket
}

// rotations are the messages that rotate a new session n times.
func (d *Database) rotations(b *testing.B, n int) [][]byte {
	b.Helper()
	store, err := repo.New(d.db, repo.Config{})
	require.NoError(b, err)
	grant, err := exchange(b.Context(), store)
	require.NoError(b, err)
	digest := sha256.Sum256([]byte(grant.RefreshToken))
	messages := make([][]byte, n)
	for i := range messages {
		successor := sha256.Sum256(digest[:])
		id, event := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
		message := []byte{'Q', 0, 0, 0, 0}
		message = fmt.Appendf(message, "SET LOCAL statement_timeout =       5000; SELECT public.gpt_rotate_refresh_token_v1("+
			`'%x', '%s', '%x', '%x', E'\\x%x', 90000000, 2592000000000, NULL, '%x')::pg_catalog.text AS a`+"\x00",
			digest, clientID, id[:], successor, digest, event[:])
		binary.BigEndian.PutUint32(message[1:], uint32(len(message)-1))
		messages[i], digest = message, successor
	}
	return messages
}

// ask reads up to the ReadyForQuery that ends the answer.
func ask(socket net.Conn, message, answer []byte) (n int, err error) {
	if _, err := socket.Write(message); err != nil {
		return 0, err
	}
	for n < 6 || answer[n-6] != 'Z' {
		read, err := socket.Read(answer[n:])
		if err != nil {
			return n, err
		}
		n += read
	}
	return n, nil
}
