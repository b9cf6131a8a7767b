package upgrade_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// own are the folders that the driver of either release is built from.
var own = []string{"wire", "driver"}

// releases are the drivers of the previous release and of this one.
type releases struct{ previous, current string }

// build is done once for all tests.
var build = sync.OnceValues(func() (releases, error) {
	dir, err := os.MkdirTemp("", "gptoauth-upgrade-")
	if err != nil {
		return releases{}, err
	}
	built.dir = dir
	commit, err := os.ReadFile("previous.txt")
	if err != nil {
		return releases{}, err
	}
	source := filepath.Join(dir, "source")
	if err := checkOut(strings.TrimSpace(string(commit)), source); err != nil {
		return releases{}, err
	}
	for _, folder := range own {
		target := filepath.Join(source, "internal", "upgrade", folder)
		if err := os.CopyFS(target, os.DirFS(folder)); err != nil {
			return releases{}, err
		}
	}
	r := releases{previous: filepath.Join(dir, "previous"), current: filepath.Join(dir, "current")}
	return r, errors.Join(
		command(source, "go", "build", "-buildvcs=false", "-o", r.previous, "./internal/upgrade/driver"),
		command(".", "go", "build", "-buildvcs=false", "-o", r.current, "./driver"),
	)
})

// built is what build leaves, for TestMain to remove.
var built struct{ dir string }

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(built.dir)
	os.Exit(code)
}

// drivers builds both, or skips where there is no history to take the previous release from.
func drivers(t *testing.T) releases {
	t.Helper()
	if command(".", "git", "rev-parse", "--git-dir") != nil {
		t.Skip("this is not a checkout with git, from whose history the previous release could be built")
	}
	r, err := build()
	require.NoError(t, err, "the previous release is built from the history: a shallow clone has none (fetch-depth: 0)")
	return r
}

// checkOut writes the files of a commit to a new folder.
func checkOut(commit, dir string) error {
	var archive, stderr bytes.Buffer
	cmd := exec.CommandContext(context.Background(), "git", "archive", "--format=tar", commit)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stdout, cmd.Stderr = &archive, &stderr
	if err := cmd.Run(); err != nil {
		return errors.New("git archive: " + stderr.String())
	}
	files := tar.NewReader(&archive)
	for {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case header.Typeflag != tar.TypeReg || !filepath.IsLocal(header.Name):
			continue
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
}

func command(dir, name string, args ...string) error {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		return errors.New(name + " " + strings.Join(args, " ") + ": " + err.Error() + "\n" + string(output))
	}
	return nil
}
