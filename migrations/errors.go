package migrations

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// DuplicateError says that two migrations have the same id.
type DuplicateError struct {
	ID    string   // 14 digits
	Names []string // of both
}

// Error implements error.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("duplicate migration id %s (%s)", e.ID, strings.Join(e.Names, ", "))
}

// MissingDownError says that a migration cannot be undone, because it has no down file.
type MissingDownError struct {
	ID   string // 14 digits
	File string // that should be there
}

// Error implements error.
func (e *MissingDownError) Error() string {
	return fmt.Sprintf("migration %s has no down file: %s is missing", e.ID, e.File)
}

// ChangedError says that a migration was edited after it had been applied: what the database has is not what this binary
// would make. Restore the file and put the change into a new migration.
type ChangedError struct {
	ID, Name        string
	Recorded, Found string // SHA-256 of the up file, then and now
}

// Error implements error.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("migration %s_%s was edited after it was applied (checksum %.12s then, %.12s now)", e.ID, e.Name, e.Recorded, e.Found)
}

// UnknownError says that the database has migrations that this binary should know and does not: they are older than its
// newest one, so it was built without them. From [Down] it also names those of a newer release.
type UnknownError struct {
	IDs []string // oldest first
}

// Error implements error.
func (e *UnknownError) Error() string {
	return "applied migrations unknown to this binary: " + strings.Join(e.IDs, ", ")
}

// OutOfOrderError says that a migration would run, or be undone, while a newer one is applied.
type OutOfOrderError struct {
	ID    string // of the one refused
	Newer string // applied
}

// Error implements error.
func (e *OutOfOrderError) Error() string {
	return fmt.Sprintf("migration %s is out of order: the newer %s is applied", e.ID, e.Newer)
}

// PendingError is the answer of [Check] where the schema is older than the binary: run [Up].
type PendingError struct {
	IDs []string // oldest first
}

// Error implements error.
func (e *PendingError) Error() string {
	return "pending migrations: " + strings.Join(e.IDs, ", ")
}

// HeldError says that an operator holds migrations (see [Lock]). Nothing was changed.
type HeldError struct {
	Hold
}

// Error implements error.
func (e *HeldError) Error() string {
	return fmt.Sprintf("migrations are held by %q since %s: %s", e.Holder, e.Since.UTC().Format(time.RFC3339), e.Reason)
}

// DriftError says how the tables that [MarkApplied] found differ from those that the migration would have made, one line
// a column, constraint or index.
type DriftError struct {
	ID      string   // of the migration compared with
	Missing []string // what the migration would have made and the database has not
	Extra   []string // the other way round
}

// Error implements error.
func (e *DriftError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the tables are not those of migration %s", e.ID)
	for _, line := range e.Missing {
		b.WriteString("\n  missing: " + line)
	}
	for _, line := range e.Extra {
		b.WriteString("\n  extra: " + line)
	}
	return b.String()
}

const (
	stateUndefinedTable   = "42P01"
	stateLockNotAvailable = "55P03"
)

// retryable tells the errors after which the server has done nothing and may well do it next time.
func retryable(err error) bool {
	switch sqlState(err) {
	case stateLockNotAvailable,
		"40001", // serialization failure
		"40P01", // deadlock: DDL that met traffic
		"53300", // too many connections: many replicas starting
		"57P03": // the server is starting
		return true
	}
	return false
}

// sqlState returns the SQLSTATE of an error of pgdriver or pgx, "" if the server did not speak. Neither is imported.
func sqlState(err error) string {
	if e, ok := errors.AsType[interface {
		error
		Field(code byte) string
	}](err); ok {
		return e.Field('C')
	}
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return e.SQLState()
	}
	return ""
}
