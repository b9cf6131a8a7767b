package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// archiveLine is how every line of an archive begins.
var archiveLine = []byte(`{"id" : "`)

// maxTornLine is more than one event takes, 16 KB of metadata escaped included.
const maxTornLine = 1 << 20

// OpenArchive opens a file for [JanitorConfig].Archive, for appending, and makes it, readable by its owner only, if need be.
// A last line that a crash has cut short is cut off: its event was not deleted and will be archived again. The caller
// closes the file.
func OpenArchive(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // the path is the caller's
	if err != nil {
		return nil, fmt.Errorf("repo: OpenArchive: %w", err)
	}
	if err := errors.Join(cutTornLine(file), syncFolder(path)); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("repo: OpenArchive: %w", err)
	}
	return file, nil
}

func cutTornLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	from := max(info.Size()-maxTornLine, 0)
	tail, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return err
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	torn := tail[end:]
	if len(torn) == 0 {
		return nil
	}
	if common := min(len(torn), len(archiveLine)); end == 0 && from > 0 || !bytes.Equal(torn[:common], archiveLine[:common]) {
		return fmt.Errorf("%s does not end like an archive of events", file.Name())
	}
	return file.Truncate(from + int64(end))
}

// syncFolder makes a new file's name as durable as its content is going to be.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // opened for reading
	return folder.Sync()
}
