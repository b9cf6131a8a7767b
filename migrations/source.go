package migrations

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/uptrace/bun/migrate"
)

// fileName is stricter than Bun's: every id has the 14 digits of a time, so that the order of ids as text is their order,
// and every migration is a transaction.
var fileName = regexp.MustCompile(`^(\d{14})_([0-9a-z_\-]+)\.tx\.(up|down)\.sql$`)

// source is one migration as it stands in its two files.
type source struct {
	id, name string
	up, down string
	checksum string // of up
}

// set is the migrations of one file system: the embedded ones, or those of a test.
type set struct {
	sources    []source // by id
	migrations *migrate.Migrations
}

// Digest identifies the schema that [Up] makes: it is the same for two releases with the same migrations.
func Digest() string {
	h := sha256.New()
	h.Write([]byte(bookkeepingSQL))
	for _, src := range embedded.sources {
		h.Write([]byte(src.id + src.name + src.checksum))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// load reads the *.tx.up.sql and *.tx.down.sql at the root of fsys.
func load(fsys fs.FS) (*set, error) {
	paths, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("migrations: load: %w", err)
	}
	byID := make(map[string]*source)
	for _, path := range paths { // sorted, so a down file comes before its up file
		if err := loadFile(fsys, path, byID); err != nil {
			return nil, fmt.Errorf("migrations: load: %w", err)
		}
	}
	s := &set{migrations: migrate.NewMigrations()}
	for _, src := range byID {
		if src.up == "" {
			return nil, fmt.Errorf("migrations: load: %s_%s.tx.up.sql is missing", src.id, src.name)
		}
		if src.down == "" {
			return nil, fmt.Errorf("migrations: load: %w", &MissingDownError{ID: src.id, File: src.id + "_" + src.name + ".tx.down.sql"})
		}
		s.sources = append(s.sources, *src)
	}
	slices.SortFunc(s.sources, func(a, b source) int { return strings.Compare(a.id, b.id) })
	for _, src := range s.sources {
		s.migrations.Add(migrate.Migration{Name: src.id, Comment: src.name, Up: s.upFunc(src), Down: s.downFunc(src)})
	}
	return s, nil
}

func loadFile(fsys fs.FS, path string, byID map[string]*source) error {
	match := fileName.FindStringSubmatch(path)
	if match == nil {
		return fmt.Errorf("%s is not named <14 digits>_<name>.tx.up.sql or .tx.down.sql", path)
	}
	id, name, direction := match[1], match[2], match[3]
	src, ok := byID[id]
	if !ok {
		src = &source{id: id, name: name}
		byID[id] = src
	}
	if src.name != name {
		return &DuplicateError{ID: id, Names: []string{src.name, name}}
	}
	content, err := fs.ReadFile(fsys, path)
	if err != nil {
		return err
	}
	// A checkout with other line endings is the same migration.
	content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	if direction == "down" {
		src.down = string(content)
		return nil
	}
	src.up = string(content)
	sum := sha256.Sum256(content)
	src.checksum = hex.EncodeToString(sum[:])
	return nil
}

// newest returns the id of the newest migration known, "" if there is none.
func (s *set) newest() string {
	if len(s.sources) == 0 {
		return ""
	}
	return s.sources[len(s.sources)-1].id
}

func (s *set) find(id string) (source, bool) {
	i, ok := slices.BinarySearchFunc(s.sources, id, func(src source, id string) int { return strings.Compare(src.id, id) })
	if !ok {
		return source{}, false
	}
	return s.sources[i], true
}
