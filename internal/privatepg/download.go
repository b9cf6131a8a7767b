//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package privatepg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	// repositoryVariable names another Maven repository than the central one, a company's mirror for instance.
	repositoryVariable = "GPTOAUTH_POSTGRES_REPOSITORY"

	fetchedVersion = embeddedpostgres.V17
)

// download fetches the programs of PostgreSQL once and keeps them.
type download struct {
	repository string
	cache      string
}

func newDownload() download {
	return download{
		repository: cmp.Or(os.Getenv(repositoryVariable), "https://repo1.maven.org/maven2"),
		cache:      filepath.Join(cacheRoot(), "gptoauth"),
	}
}

// cacheRoot is, for root, where the unprivileged user that runs the programs can reach them.
func cacheRoot() string {
	if os.Geteuid() == 0 {
		return "/var/cache"
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return dir
	}
	return os.TempDir()
}

// get returns the folder of the programs.
func (d download) get(ctx context.Context) (string, error) {
	if err := os.MkdirAll(d.cache, 0o755); err != nil { //nolint:gosec // programs are no secret, see cacheRoot
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(d.cache, "download.lock"))
	if err != nil {
		return "", err
	}
	folder := filepath.Join(d.cache, "postgresql-"+string(fetchedVersion))
	if _, err := os.Stat(folder); err == nil {
		unlock()
		return filepath.Join(folder, "bin"), nil
	}
	// The library knows no context. Whoever stops waiting for it leaves it to finish, for the next one.
	fetched := make(chan error, 1)
	go func() {
		defer unlock()
		fetched <- d.fetch(folder)
	}()
	select {
	case err = <-fetched:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return filepath.Join(folder, "bin"), err
}

// fetch downloads, verifies and unpacks into a folder for the time being, so that what is in the cache is complete.
func (d download) fetch(folder string) error {
	dir := filepath.Join(d.cache, "fetching")
	if err := os.RemoveAll(dir); err != nil { // of a process that was killed
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what remains goes the next time
	unpacked := filepath.Join(dir, "postgresql")
	if err := d.unpack(dir, unpacked); err != nil {
		return err
	}
	return os.Rename(unpacked, folder)
}

// unpack has the library start a server, for it has no function that only fetches. It finds a data directory that looks ready
// and is empty, so that pg_ctl, the first program it runs, refuses. What pg_ctl says is the proof that all before it went
// well: an error of fetching or unpacking comes without output. (The library leaves that log, a line long, in the folder for
// temporary files.)
func (d download) unpack(dir, into string) error {
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	major, _, _ := strings.Cut(string(fetchedVersion), ".")
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	var output bytes.Buffer
	err = embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchedVersion).
		Port(uint32(port)).
		BinaryRepositoryURL(d.repository).
		CachePath(filepath.Join(dir, "archive")).
		RuntimePath(filepath.Join(dir, "runtime")).
		BinariesPath(into).
		DataPath(data).
		Logger(&output)).Start()
	if output.Len() > 0 {
		return nil
	}
	if err == nil {
		return errors.New("a server started without data")
	}
	return errors.New(d.redact(err.Error()))
}

// redact hides the password that the URL of a company's repository may contain.
func (d download) redact(text string) string {
	u, err := url.Parse(d.repository)
	if err != nil {
		return repositoryVariable + " is not a URL"
	}
	return strings.ReplaceAll(text, d.repository, u.Redacted())
}
