package repo

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

func pageLimit(field string, limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultLimit, nil
	case limit < 0 || limit > maxLimit:
		return 0, &InputError{field, "must be between 1 and 1,000"}
	default:
		return limit, nil
	}
}

// position is where a page of rows ordered by time and id ends. As a cursor it is opaque to the host.
type position struct {
	at time.Time
	id uuid.UUID
}

func (p position) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.at.UnixMicro(), 36) + "." + p.id.String()))
}

func parseCursor(field, cursor string) (position, error) {
	broken := &InputError{field, "must be the Next of an earlier page"}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return position{}, broken
	}
	micros, id, _ := strings.Cut(string(raw), ".")
	at, err := strconv.ParseInt(micros, 36, 64)
	if err != nil {
		return position{}, broken
	}
	parsed, err := uuid.Parse(id)
	if err != nil {
		return position{}, broken
	}
	p := position{at: time.UnixMicro(at).UTC(), id: parsed}
	if year := p.at.Year(); year < 1 || year > 9999 { // PostgreSQL would refuse it, and whoever asks might be a remote party
		return position{}, broken
	}
	return p, nil
}
