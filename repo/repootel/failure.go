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

// failureOf leaves the text of an error alone, but for that of an InputError, which names a field and a rule.
func failureOf(err error) failure {
	if err == nil || errors.Is(err, repo.ErrNotFound) {
		return failure{}
	}
	if failed, ok := errors.AsType[*repo.DatabaseError](err); ok {
		f := failure{description: failed.Effect.String()}
		if state := failed.SQLState(); state != "" {
			f.attributes = []attribute.KeyValue{semconv.ErrorTypeKey.String(state), semconv.DBResponseStatusCode(state)}
		} else {
			f.attributes = []attribute.KeyValue{silenceOf(failed)}
		}
		return f
	}
	f := failure{attributes: []attribute.KeyValue{semconv.ErrorType(err)}}
	if input, ok := errors.AsType[*repo.InputError](err); ok {
		f.description = input.Error()
	}
	return f
}

// silenceOf is the class of an error in which the server did not speak.
func silenceOf(failed *repo.DatabaseError) attribute.KeyValue {
	var timed interface{ Timeout() bool }
	switch {
	case errors.Is(failed.Err, context.Canceled):
		return semconv.ErrorTypeKey.String("canceled")
	case errors.As(failed.Err, &timed) && timed.Timeout():
		return semconv.ErrorTypeKey.String("timeout")
	case failed.Effect == repo.Refused: // a certificate, or a transaction that is over
		return semconv.ErrorType(failed.Err)
	default:
		return semconv.ErrorTypeKey.String("connection")
	}
}
