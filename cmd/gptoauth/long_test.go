package main

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

func TestLongFamilies(t *testing.T) {
	t.Parallel()
	const n = 10_000
	id := func(i int) uuid.UUID { return testID(fmt.Sprintf("%08d", i)) }
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tokens := make([]repo.RefreshToken, n)
	for i := range tokens {
		tokens[i] = repo.RefreshToken{ID: id(i + 1), RotatedTo: id(i + 2), CreatedAt: begin.Add(time.Duration(i) * time.Minute)}
	}
	tokens[n-1].RotatedTo = uuid.Nil
	f := newFamily(repo.Session{ID: testID("00000051"), CreatedAt: begin, Alive: true, RefreshTokenID: id(n)}, tokens)
	f.Generations[41].Retries = 3
	f.Generations[4999].ReusedAt = begin
	p := draw.Pen{Glyphs: draw.ASCII}

	lines := familyTree(p, []family{f}, treeView{presented: id(3000)})
	require.Len(t, lines, 1+treeHead+1+1+1+1+1+treeTail)
	require.Equal(t, "   :  2,994 generations, each rotated, 1 of them asked for again", lines[6])
	require.Regexp(t, `^   \|-  3000  00003000 .*<- this one$`, lines[7])
	require.Equal(t, "   :  1,999 generations, each rotated", lines[8])
	require.Regexp(t, `^   \|-  5000 .* reused: ends the session`, lines[9])
	require.Regexp(t, "^   `- 10000 .* current$", lines[len(lines)-1])

	require.Len(t, familyTree(p, []family{f}, treeView{all: true}), 1+n)
}

func TestLongTimelines(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	events := make([]trailEvent, 1000)
	for i := range events {
		events[i] = trailEvent{Type: repo.EventTokenRefresh, CreatedAt: begin.Add(time.Duration(i) * time.Hour), IPAddress: strconv.Itoa(i % 2)}
	}
	events[500].Type = repo.EventTokenReuse
	events[501].Type = repo.EventSessionEnd
	lines := timeline(draw.Pen{Glyphs: draw.ASCII}, events, false)
	require.Len(t, lines, timelineHead+1+2+1+timelineTail)
	require.Equal(t, ": 490 more events, none of them an alarm or an end", lines[timelineHead])
	require.Contains(t, lines[timelineHead+1], "token_reuse")
	require.Contains(t, lines[timelineHead+2], "session_end")
	require.Len(t, timeline(draw.Pen{Glyphs: draw.ASCII}, events, true), 1000)
}
