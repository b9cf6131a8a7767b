package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

func TestTimeline(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration, eventType, session, metadata, ip string) trailEvent {
		e := repo.Event{Type: eventType, CreatedAt: begin.Add(d), Metadata: json.RawMessage(metadata), IPAddress: ip}
		if session != "" {
			e.SessionID = testID(session)
		}
		return newTrailEvent(e)
	}
	events := []trailEvent{
		at(0, repo.EventAuthorize, "", `{}`, "198.51.100.7"),
		at(time.Millisecond, repo.EventCodeMismatch, "", `{"rule": "code_verifier"}`, "203.0.113.66"),
		at(2*time.Second, repo.EventTokenExchange, "00000051", `{}`, "198.51.100.7"),
		at(3*time.Second, repo.EventTokenRetry, "00000051", `{"refresh_token_id": "1"}`, "198.51.100.7"),
		at(4*time.Second, repo.EventTokenRetry, "00000051", `{"refresh_token_id": "1"}`, "198.51.100.7"),
		at(5*time.Second, repo.EventTokenRetry, "00000051", `{"refresh_token_id": "1"}`, "198.51.100.8"),
		at(time.Minute, "job_search", "00000051", `{"query": "\u001b[2Jgo `+"\u202e"+`"}`, ""),
		at(time.Hour, repo.EventTokenReuse, "00000051", `{}`, "203.0.113.66"),
		at(time.Hour, repo.EventSessionEnd, "00000052", `{"reason": "offboarding"}`, ""),
		at(48*time.Hour, repo.EventUserEnd, "", `{"reason": "offboarding", "sessions": 1, "codes": 0}`, ""),
	}

	require.Equal(t, []string{
		"    +0.0 ms  o  authorize                 198.51.100.7  code issued",
		"    +1.0 ms  !  code_mismatch             203.0.113.66  wrong code_verifier",
		"    +2.00 s  o  token_exchange  00000051  198.51.100.7  session begins",
		"    +3.00 s  !  token_retry x2  00000051  198.51.100.7  same token again",
		"    +5.00 s  !  token_retry     00000051  198.51.100.8  same token again",
		`+1 min 00 s  o  job_search      00000051                {"query": "\u001b[2Jgo ?"}`,
		"+1 h 00 min  X  token_reuse     00000051  203.0.113.66  session ends",
		"+1 h 00 min  #  session_end     00000052                offboarding",
		"  +2 d 00 h  #  user_end                                1 session, 0 codes",
	}, timeline(draw.Pen{Glyphs: draw.ASCII}, events, false))
	require.Empty(t, timeline(draw.Pen{}, nil, false))
}
