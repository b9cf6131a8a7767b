package repo

import (
	"fmt"

	"github.com/google/uuid"
)

// newID makes a UUIDv7 (RFC 9562 5.7) with the route in its last two bytes: ids of one time are neighbours in the
// B-tree, and each tells where its row is. 58 random bits remain beside the millisecond.
func newID(r route) uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil {
		panic(fmt.Sprintf("repo: random numbers are not to be had: %v", err)) // crypto/rand does not fail
	}
	copy(id[len(id)-len(r):], r[:])
	return id
}

// routeOfID reads the route back from an id that newID made.
func routeOfID(id uuid.UUID) route {
	return route(id[len(id)-len(route{}):])
}
