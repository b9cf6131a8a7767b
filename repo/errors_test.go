package repo

import (
	"context"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestEffectOf(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code}) }
	for _, tc := range []struct {
		err  error
		want Effect
	}{
		{state("23505"), Refused},
		{state("22004"), Refused},
		{state("25001"), Refused},
		{state("25P02"), Refused},
		{state("42883"), Refused},
		{sql.ErrTxDone, Refused},
		{x509.UnknownAuthorityError{}, Refused},
		{state("40001"), NotDone},
		{state("40P01"), NotDone},
		{state("55P03"), NotDone},
		{state("57014"), NotDone},
		{state("25006"), NotDone},
		{state("53300"), NotDone},
		{state("57P03"), NotDone},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, NotDone},
		{io.EOF, Unsure},
		{io.ErrUnexpectedEOF, Unsure},
		{driver.ErrBadConn, Unsure},
		{os.ErrDeadlineExceeded, Unsure},
		{context.DeadlineExceeded, Unsure},
		{context.Canceled, Unsure},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, Unsure},
		{state("08006"), Unsure},
		{state("57P01"), Unsure},
		{state("58030"), Unsure},
		{state("XX000"), Unsure},
	} {
		require.Equal(t, tc.want.String(), effectOf(tc.err).String(), "%v", tc.err)
	}
}

// TestStateIsFoundBehindAnErrorWithoutOne: a DatabaseError has the method also when the server did not speak.
func TestStateIsFoundBehindAnErrorWithoutOne(t *testing.T) {
	t.Parallel()
	silent := &DatabaseError{Op: "Op", Effect: Unsure, Err: io.EOF}
	spoken := fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "40P01"})
	for _, err := range []error{
		errors.Join(silent, spoken),
		errors.Join(spoken, silent),
		fmt.Errorf("%w, then %w", silent, &DatabaseError{Op: "Op", Effect: NotDone, Err: spoken}),
	} {
		require.Equal(t, "40P01", sqlState(err))
	}
	require.Empty(t, sqlState(errors.Join(silent, io.EOF)))
	require.Empty(t, sqlState(nil))
}

// A call that may have taken effect stays Unsure, even if its repetition only met a database that is starting up.
func TestRepeatRemembersTheWorst(t *testing.T) {
	t.Parallel()
	config, err := Config{Timeout: 50e6}.withDefaults()
	require.NoError(t, err)
	c := &conn{config: config, owns: true}
	attempts := 0
	err = c.repeat(t.Context(), operation{name: "Op"}, func(context.Context) error {
		if attempts++; attempts == 1 {
			return io.EOF
		}
		return &pgconn.PgError{Code: "57P03"}
	})
	var failure *DatabaseError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, Unsure, failure.Effect)
	require.Greater(t, attempts, 1)

	attempts = 0
	err = c.repeat(t.Context(), operation{name: "Op"}, func(context.Context) error {
		attempts++
		return &pgconn.PgError{Code: "23505"}
	})
	require.ErrorAs(t, err, &failure)
	require.Equal(t, Refused, failure.Effect)
	require.Equal(t, 1, attempts, "what is refused for good is not repeated")

	attempts = 0
	c.owns = false
	err = c.repeat(t.Context(), operation{name: "Op"}, func(context.Context) error {
		attempts++
		return io.EOF
	})
	require.Error(t, err)
	require.Equal(t, 1, attempts, "nothing is repeated inside a caller's transaction")
	require.NoError(t, c.repeat(t.Context(), operation{name: "Op"}, func(context.Context) error { return nil }))

	require.ErrorIs(t, err, io.EOF, "the driver's error stays in reach")
}
