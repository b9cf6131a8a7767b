package repo

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// newID makes a UUIDv7 (RFC 9562 5.7, 6.2 method 3) with the route in its last two bytes: ids of one time are neighbours in
// the B-tree, and each tells where its row is. Each is greater than those that this process made before. 46 random bits
// remain beside the time in steps of 256 ns.
//
// It is uuid.NewV7 without its allocation and its lock.
func newID(r route) uuid.UUID {
	var id uuid.UUID
	now := nextTick()
	binary.BigEndian.PutUint64(id[:8], uint64(now>>12<<16|now&0xfff))
	_, _ = rand.Read(id[8:]) // never fails: it crashes the program rather than return an error
	id[6] |= 7 << 4          // version
	id[8] = id[8]&0x3f | 0x80
	copy(id[len(id)-len(r):], r[:])
	return id
}

var lastTick atomic.Int64

// nextTick is the time in milliseconds, times 4,096, plus the steps of 256 ns since; one more where that is not later than
// the last.
func nextTick() int64 {
	nanos := time.Now().UnixNano()
	millis := nanos / int64(time.Millisecond)
	now := millis<<12 | (nanos-millis*int64(time.Millisecond))>>8
	for {
		last := lastTick.Load()
		now = max(now, last+1)
		if lastTick.CompareAndSwap(last, now) {
			return now
		}
	}
}

// routeOfID reads the route back from an id that newID made.
func routeOfID(id uuid.UUID) route {
	return route(id[len(id)-len(route{}):])
}
