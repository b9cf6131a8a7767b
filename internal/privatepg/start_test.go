//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStart(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Options{})
	require.NoError(t, err)
	t.Log(s.URL("x"))
	require.NoError(t, s.Kill())
	require.NoError(t, s.StartAgain(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	require.NoDirExists(t, s.folder)
	s, err = Shared(t.Context())
	require.NoError(t, err)
}
