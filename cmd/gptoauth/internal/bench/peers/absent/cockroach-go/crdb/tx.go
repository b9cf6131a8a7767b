// Package crdb stands in for the one of 2017 that dex was written for, and which no version names. dex calls it for
// CockroachDB only, so that nothing here is ever called.
package crdb

import (
	"database/sql"
	"errors"
)

// ExecuteTx has the signature of then.
func ExecuteTx(*sql.DB, func(*sql.Tx) error) error { return errors.ErrUnsupported }
