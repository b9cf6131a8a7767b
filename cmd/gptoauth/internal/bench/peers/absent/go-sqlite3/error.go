// Package sqlite3 stands in for the driver of SQLite, which dex links beside that of PostgreSQL and which needs a C compiler.
// Nothing here is ever called.
package sqlite3

// Error is the driver's.
type Error struct{ ExtendedCode int }

func (Error) Error() string { return "there is no SQLite here" }

// ErrConstraintPrimaryKey is the driver's.
const ErrConstraintPrimaryKey = 1555
