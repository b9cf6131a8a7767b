package repootel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/gptoauth/gptoauth/repo"
)

// failure is what is told of an error.
type failure struct {
	attributes  []attribute.KeyValue // nil: it is none
	description string
}

// failureOf leaves the text of an error alone, but for that of an InputError, which names a field and a rule, and for the Effect
// of a DatabaseError.
func failureOf(op string, err error) failure {
	// A read that finds nothing has done its work. A transaction whose function returns that was rolled back.
	if err == nil || op != opInTx && errors.Is(err, repo.ErrNotFound) {
		return failure{}
	}
	var f failure
	if state := stateOf(err); state != "" {
		f.attributes = []attribute.KeyValue{semconv.ErrorTypeKey.String(state), semconv.DBResponseStatusCode(state)}
	} else {
		f.attributes = []attribute.KeyValue{silenceOf(err)}
	}
	if failed, ok := errors.AsType[*repo.DatabaseError](err); ok {
		f.description = failed.Effect.String()
	} else if input, ok := errors.AsType[*repo.InputError](err); ok {
		f.description = input.Error()
	}
	return f
}

// stateOf is the SQLSTATE of any error: what Store.InTx returns may be the driver's, as the host's function got it.
func stateOf(err error) string {
	return (&repo.DatabaseError{Err: err}).SQLState()
}

// silenceOf is the class of an error in which the server did not speak.
func silenceOf(err error) attribute.KeyValue {
	var timed interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return semconv.ErrorTypeKey.String("canceled")
	case errors.As(err, &timed) && timed.Timeout():
		return semconv.ErrorTypeKey.String("timeout")
	}
	failed, ok := errors.AsType[*repo.DatabaseError](err)
	switch {
	case !ok:
		return semconv.ErrorType(err)
	case failed.Effect == repo.Refused: // a certificate, or a transaction that is over
		return semconv.ErrorType(failed.Err)
	default:
		return semconv.ErrorTypeKey.String("connection")
	}
}
