package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// testID is a UUIDv7 whose short form is digits.
func testID(digits string) uuid.UUID {
	return uuid.MustParse("01990000-0000-7000-8000-" + digits + "beef")
}

func TestFamilyTree(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	first := repo.RefreshToken{ID: testID("000000a1"), RotatedTo: testID("000000a2"), RevokedAt: begin.Add(time.Hour), CreatedAt: begin}
	second := repo.RefreshToken{ID: testID("000000a2"), RotatedTo: testID("000000a3"), RevokedAt: begin.Add(26 * time.Hour), CreatedAt: begin.Add(90 * time.Minute)}
	third := repo.RefreshToken{ID: testID("000000a3"), CreatedAt: begin.Add(26 * time.Hour)}
	session := repo.Session{ID: testID("00000051"), CreatedAt: begin, Alive: true, RefreshTokenID: third.ID}

	t.Run("ShowsALivingSession", func(t *testing.T) {
		t.Parallel()
		f := newFamily(session, []repo.RefreshToken{third, first, second})
		note(f.byID(), repo.Event{Type: repo.EventTokenRetry, Metadata: []byte(`{"refresh_token_id":"` + first.ID.String() + `"}`)})
		require.Equal(t, 1, f.current())
		require.Equal(t, []string{
			"└─ session 00000051  alive",
			"   ├─ 1  000000a1      +0.0 ms  rotated → 000000a2  asked again ×1",
			"   ├─ 2  000000a2  +1 h 30 min  rotated → 000000a3",
			"   └─ 3  000000a3    +1 d 02 h  current",
		}, familyTree(draw.Pen{Glyphs: draw.Unicode}, []family{f}, treeView{}))
	})

	t.Run("ShowsWhyASessionEnded", func(t *testing.T) {
		t.Parallel()
		ended := session
		ended.Alive, ended.EndedAt, ended.EndReason = false, begin.Add(28*time.Hour), "token_reuse"
		f := newFamily(ended, []repo.RefreshToken{first, second, third})
		note(f.byID(), repo.Event{
			Type: repo.EventTokenReuse, CreatedAt: ended.EndedAt, Metadata: []byte(`{"refresh_token_id":"` + second.ID.String() + `"}`),
		})
		note(f.byID(), repo.Event{Type: "job_search", Metadata: []byte(`{"refresh_token_id": 7}`)})
		require.Zero(t, f.current())
		lone := newFamily(repo.Session{ID: testID("00000052"), CreatedAt: begin}, []repo.RefreshToken{{ID: testID("000000b1"), CreatedAt: begin}})
		require.Equal(t, []string{
			"|- session 00000051  ended after 1 d 04 h: token_reuse",
			"|  |- 1  000000a1      +0.0 ms  rotated -> 000000a2",
			"|  |- 2  000000a2  +1 h 30 min  rotated -> 000000a3   reused: ends the session",
			"|  `- 3  000000a3    +1 d 02 h  ended by token_reuse",
			"`- session 00000052  expired",
			"   `- 1  000000b1  +0.0 ms  expired",
		}, familyTree(draw.Pen{Glyphs: draw.ASCII}, []family{f, lone}, treeView{}))
	})

	t.Run("LetsNoReasonMoveTheCursor", func(t *testing.T) {
		t.Parallel()
		ended := session
		ended.EndedAt, ended.EndReason = begin, "\x1b[2Jgone"
		lines := familyTree(draw.Pen{Glyphs: draw.ASCII}, []family{newFamily(ended, []repo.RefreshToken{third})}, treeView{})
		require.NotContains(t, strings.Join(lines, ""), "\x1b")
	})
}

func TestElapsed(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0.0 ms":      0,
		"1.2 ms":      1234 * time.Microsecond,
		"999.9 ms":    999999 * time.Microsecond,
		"1.00 s":      time.Second,
		"59.99 s":     59999 * time.Millisecond,
		"1 min 00 s":  time.Minute,
		"1 h 02 min":  time.Hour + 2*time.Minute + 59*time.Second,
		"23 h 59 min": 24*time.Hour - 1,
		"30 d 05 h":   30*24*time.Hour + 5*time.Hour,
	} {
		require.Equal(t, want, elapsed(d), d)
	}
}
