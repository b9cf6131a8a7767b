package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/report"
)

// reportFile is the file that a page is to be written to. Its temporary file is made before anything is read, so that a folder
// that cannot be written to is noticed at once.
type reportFile struct {
	path string // links followed
	temp *os.File
}

// openReportFile refuses what was not written by us: a typing mistake must not cost anyone a file.
func (a *app) openReportFile(path string) (*reportFile, error) {
	path, old, err := checkReportFile(path)
	if err != nil {
		return nil, err
	}
	if old != nil && a.isStdout(old) {
		return nil, usageErrorf("--out and stdout are the same file")
	}
	temp, err := os.OpenFile(filepath.Join(filepath.Dir(path), ".gptoauth-"+rand.Text()[:12]), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) //nolint:gosec // a page is for all whom the umask lets
	if err != nil {
		return nil, fmt.Errorf("--out: nothing can be written to the folder of %s: %w", path, nameless(err))
	}
	f := &reportFile{path: path, temp: temp}
	if old != nil {
		if err := temp.Chmod(old.Mode().Perm()); err != nil {
			f.discard()
			return nil, fmt.Errorf("--out: keep the mode of %s: %w", path, nameless(err))
		}
	}
	return f, nil
}

// checkReportFile is the path that a path means, links followed, and what is there: nothing, or an earlier report.
func checkReportFile(path string) (string, fs.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			return "", nil, usageErrorf("--out is a link that leads nowhere: delete it, or name the file that it should lead to")
		}
		dir, err := os.Stat(filepath.Dir(path))
		if err == nil && !dir.IsDir() {
			err = errors.New("its folder is not a folder")
		}
		if err != nil {
			return "", nil, fmt.Errorf("--out: %w", err)
		}
		return path, nil, nil
	case err != nil:
		return "", nil, fmt.Errorf("--out: %w", err)
	case !info.Mode().IsRegular():
		return "", nil, usageErrorf("--out is a folder or a device, not a file")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", nil, fmt.Errorf("--out: %w", err)
	}
	ours, err := isReport(path)
	if err != nil {
		return "", nil, fmt.Errorf("--out: %w", err)
	}
	if !ours {
		return "", nil, usageErrorf("--out exists and was not written by gptoauth report: name another file, or delete it")
	}
	return path, info, nil
}

// isReport says whether a file begins as our pages do.
func isReport(path string) (bool, error) {
	file, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return false, err
	}
	defer file.Close() //nolint:errcheck // only read
	head := make([]byte, len(report.Beginning))
	n, err := io.ReadFull(file, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return bytes.Equal(head[:n], []byte(report.Beginning)), err
}

// isStdout says whether stdout leads to a file, where JSON would be appended to a page or lost with it.
func (a *app) isStdout(info fs.FileInfo) bool {
	out := a.stdout
	if checked, ok := out.(*checkedWriter); ok {
		out = checked.w
	}
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	stdout, err := file.Stat()
	return err == nil && os.SameFile(info, stdout)
}

// write leaves the old file or the new one, whatever happens.
func (f *reportFile) write(ctx context.Context, content []byte) error {
	_, err := f.temp.Write(content)
	if err = errors.Join(err, f.temp.Sync(), f.temp.Close(), ctx.Err()); err != nil {
		return fmt.Errorf("write the page: %w", nameless(err))
	}
	_, old, err := checkReportFile(f.path) // again: reading took its time
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if old == nil {
		err = os.Link(f.temp.Name(), f.path) // which unlike a rename replaces nothing
		if err == nil || errors.Is(err, fs.ErrExist) {
			return wrapWrite(err)
		}
	}
	return wrapWrite(os.Rename(f.temp.Name(), f.path)) // of a file system without hard links, too
}

func wrapWrite(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write the page: %w", nameless(err))
}

// discard removes what is of no use any more.
func (f *reportFile) discard() {
	_ = f.temp.Close()
	_ = os.Remove(f.temp.Name())
}

// nameless is an error without the name of a temporary file, which says nothing to anyone.
func nameless(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		return link.Err
	}
	return err
}
