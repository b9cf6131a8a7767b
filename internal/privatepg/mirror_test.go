//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// mirror serves the installed programs in the form in which embedded-postgres fetches them.
type mirror struct {
	*httptest.Server

	archive []byte // tar, xz
	jar     []byte // zip, with the archive in it
	sum     string
	served  atomic.Int64
}

func newMirror(t testing.TB, binDir string, names ...string) *mirror {
	t.Helper()
	m := &mirror{}
	m.archive = storeXZ(tarOf(t, filepath.Dir(binDir), names))
	m.pack(t, m.archive)

	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case m.jar == nil || !strings.HasPrefix(r.URL.Path, "/io/zonky/test/postgres/embedded-postgres-binaries-"):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".jar.sha256"):
			_, _ = w.Write([]byte(m.sum))
		case strings.HasSuffix(r.URL.Path, "-"+string(fetchedVersion)+".jar"):
			m.served.Add(1)
			_, _ = w.Write(m.jar)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) pack(t testing.TB, archive []byte) {
	t.Helper()
	var jar bytes.Buffer
	w := zip.NewWriter(&jar)
	file, err := w.CreateHeader(&zip.FileHeader{Name: "postgres.txz", Method: zip.Store})
	require.NoError(t, err)
	_, err = file.Write(archive)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	sum := sha256.Sum256(jar.Bytes())
	m.jar, m.sum = jar.Bytes(), hex.EncodeToString(sum[:])
}

func tarOf(t testing.TB, dir string, names []string) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size()}))
		_, err = w.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return archive.Bytes()
}

// storeXZ is xz without compression: unpacking in pure Go under the race detector would take a minute for the real one.
func storeXZ(content []byte) []byte {
	le := binary.LittleEndian
	sealed := func(part []byte) []byte { // padded, with a checksum
		part = append(part, make([]byte, -len(part)&3)...)
		return le.AppendUint32(part, crc32.ChecksumIEEE(part))
	}
	noCheck := []byte{0, 0}
	header := sealed([]byte{2, 0, 0x21, 1, 0}) // 12 bytes, one filter: LZMA2 with the smallest dictionary

	block := bytes.Clone(header)
	control := byte(1) // begin a dictionary; 2: go on; 0: the end
	for chunk := range slices.Chunk(content, 1<<16) {
		block = binary.BigEndian.AppendUint16(append(block, control), uint16(len(chunk)-1))
		block = append(block, chunk...)
		control = 2
	}
	block = append(block, 0)
	index := binary.AppendUvarint([]byte{0, 1}, uint64(len(block)))
	index = sealed(binary.AppendUvarint(index, uint64(len(content))))
	footer := append(le.AppendUint32(nil, uint32(len(index)/4-1)), noCheck...)

	stream := le.AppendUint32(append([]byte("\xfd7zXZ\x00"), noCheck...), crc32.ChecksumIEEE(noCheck))
	stream = append(stream, block...)
	stream = append(stream, make([]byte, -len(block)&3)...)
	stream = append(stream, index...)
	stream = le.AppendUint32(stream, crc32.ChecksumIEEE(footer))
	return append(append(stream, footer...), "YZ"...)
}

// packed lists what to pack, relative to the folder above binDir: the programs, and of the libraries and data that they find
// from where they are as much as they need to start. What is elsewhere, as Debian's data, they look for in a fixed place.
func packed(binDir string) []string {
	names := []string{"bin/initdb", "bin/pg_ctl", "bin/postgres"}
	prefix := filepath.Dir(binDir)
	for _, folder := range []string{"lib", "lib/postgresql"} {
		for _, library := range []string{"dict_snowball.*", "plpgsql.*", "libpq*"} {
			found, _ := filepath.Glob(filepath.Join(prefix, folder, library))
			for _, file := range found {
				names = append(names, strings.TrimPrefix(file, prefix+"/"))
			}
		}
	}
	for _, data := range []string{"share/postgres.bki", "share/postgresql/postgres.bki"} {
		if _, err := os.Stat(filepath.Join(prefix, data)); err == nil {
			names = append(names, filesIn(prefix, filepath.Dir(data))...)
		}
	}
	return names
}

func filesIn(prefix, folder string) []string {
	var names []string
	_ = fs.WalkDir(os.DirFS(prefix), folder, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names
}
