package socket

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhoComputesIsInterrupted: in a process that does nothing else, another goroutine gets the only processor while the reader
// computes.
func TestWhoComputesIsInterrupted(t *testing.T) {
	inside, server := tcpPair(t)
	conn := New(inside)
	file, err := server.(*net.TCPConn).File()
	require.NoError(t, err)
	defer file.Close()
	// Another process speaks, because this one must sleep until then, the scheduler's monitor too.
	speaker := exec.Command("sh", "-c", "sleep 0.5; printf N >&3")
	speaker.ExtraFiles = []*os.File{file}
	require.NoError(t, speaker.Start())
	defer func() { require.NoError(t, speaker.Wait()) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))

	const computing = time.Second
	var waited time.Duration
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err)
	begin, ran := time.Now(), make(chan struct{})
	go func() { waited = time.Since(begin); close(ran) }()
	for time.Since(begin) < computing { //nolint:revive // it computes
	}
	<-ran
	require.Less(t, waited, computing/2)
}
