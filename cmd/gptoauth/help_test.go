package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

func TestReflow(t *testing.T) {
	t.Parallel()
	text := "A paragraph that is longer than a line\nand goes on.\n\nExamples:\n  gptoauth   x # stays as it is, however long it may be\nEnd."
	require.Equal(t, strings.Join([]string{
		"A paragraph that is", "longer than a line", "and goes on.", "", "Examples:",
		"  gptoauth   x # stays as it is, however long it may be", "End.",
	}, "\n"), reflow(draw.Pen{Width: 23}, text))
	require.Empty(t, reflow(draw.Pen{}, ""))
}
