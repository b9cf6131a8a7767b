package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// New returns a connection like conn, whose Read and Write are cheaper. A conn that is not a socket is returned as it is.
func New(conn net.Conn) net.Conn {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return conn
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return conn
	}
	return &direct{conn, raw}
}

// direct is a connection that reads and writes by itself. Its poller, its deadlines and its end are those of the one inside.
type direct struct {
	net.Conn

	raw syscall.RawConn
}

// SyscallConn implements [syscall.Conn].
func (d *direct) SyscallConn() (syscall.RawConn, error) { return d.raw, nil }

// Read implements [io.Reader].
func (d *direct) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	t := newTransfer(b)
	defer t.free()
	if err := d.raw.Read(t.read); err != nil || t.errno != 0 {
		return 0, d.explain("read", err, t.errno)
	}
	if t.n == 0 {
		return 0, io.EOF
	}
	return t.n, nil
}

// Write implements [io.Writer].
func (d *direct) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	t := newTransfer(b)
	defer t.free()
	if err := d.raw.Write(t.write); err != nil || t.errno != 0 {
		return t.n, d.explain("write", err, t.errno)
	}
	if len(t.b) > 0 { // the kernel took nothing, and did not say why
		return t.n, d.explain("write", io.ErrUnexpectedEOF, 0)
	}
	return t.n, nil
}

// explain makes the error of package net of what ended the waiting or, if nothing did, of the system call.
func (d *direct) explain(op string, err error, errno syscall.Errno) error {
	if inside, ok := errors.AsType[*net.OpError](err); ok { // of raw, with an Op that no one expects
		err = inside.Err
	} else if err == nil {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: d.LocalAddr().Network(), Source: d.LocalAddr(), Addr: d.RemoteAddr(), Err: err}
}

// transfer is one Read or Write. It is pooled with its method values, which would be an allocation each.
type transfer struct {
	b      []byte // to read into, or what is left to write
	waited bool
	n      int // what was read or written
	errno  syscall.Errno

	read, write func(fd uintptr) (done bool)
}

var transfers = sync.Pool{New: func() any {
	t := &transfer{}
	t.read, t.write = t.tryRead, t.tryWrite
	return t
}}

func newTransfer(b []byte) *transfer {
	t := transfers.Get().(*transfer)
	t.b, t.waited, t.n, t.errno = b, false, 0, 0
	return t
}

func (t *transfer) free() {
	t.b = nil
	transfers.Put(t)
}

// tryRead is false if there is nothing yet: then the poller waits, and it is tried again.
func (t *transfer) tryRead(fd uintptr) (done bool) {
	call := read
	if t.waited && isDue() {
		call = readTold
	}
	t.n, t.errno = again(call, fd, t.b)
	t.waited = true
	return t.wasDone()
}

// tryWrite is false if there is no room for the rest.
func (t *transfer) tryWrite(fd uintptr) (done bool) {
	for len(t.b) > 0 {
		var n int
		if n, t.errno = again(write, fd, t.b); t.errno != 0 || n == 0 {
			return t.wasDone()
		}
		t.n += n
		t.b = t.b[n:]
	}
	return true
}

func (t *transfer) wasDone() bool {
	if t.errno == syscall.EAGAIN {
		t.errno = 0 // the next try, or what ends the waiting, counts
		return false
	}
	return true
}

// toldEvery is how long someone may compute uninterrupted, once, if the scheduler has heard of a call just before.
const toldEvery = 100 * time.Millisecond

var (
	start = time.Now()
	told  atomic.Int64 // when the scheduler heard last of a system call of this package, since start
)

// isDue tells whether the scheduler should hear of the next system call. Its monitor sleeps while the whole process does, and
// only such a call wakes it, not the poller: without it, whoever computes for long after an answer is not interrupted.
func isDue() bool {
	now, last := int64(time.Since(start)), told.Load()
	return now-last >= int64(toldEvery) && told.CompareAndSwap(last, now)
}

// again repeats a system call while a signal interrupts it.
func again(call func(fd uintptr, b []byte) (int, syscall.Errno), fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		if n, errno := call(fd, b); errno != syscall.EINTR {
			return n, errno
		}
	}
}
