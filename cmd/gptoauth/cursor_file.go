package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gptoauth/gptoauth/repo"
)

func loadCursor(path string, cursor *repo.FollowCursor) (found bool, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the user's
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, cursor)
	}
	if err == nil && cursor.Settled.IsZero() {
		err = errors.New("it is no cursor")
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}

// saveCursor replaces the file as a whole, so that a crash leaves the old one or the new one.
func saveCursor(path string, cursor repo.FollowCursor) error {
	text, err := json.Marshal(cursor)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // readable by the user only
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // it is of no use
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
