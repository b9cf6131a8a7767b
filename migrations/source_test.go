package migrations

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files []string
		match func(error) bool
	}{
		"DuplicateID": {
			[]string{"20260101000001_a.tx.up.sql", "20260101000001_a.tx.down.sql", "20260101000001_b.tx.up.sql", "20260101000001_b.tx.down.sql"},
			func(err error) bool {
				e, ok := errors.AsType[*DuplicateError](err)
				return ok && e.ID == "20260101000001" && slices.Equal(e.Names, []string{"a", "b"})
			},
		},
		"MissingDown": {
			[]string{"20260101000001_a.tx.up.sql"},
			func(err error) bool {
				e, ok := errors.AsType[*MissingDownError](err)
				return ok && e.ID == "20260101000001" && e.File == "20260101000001_a.tx.down.sql"
			},
		},
		"MissingUp": {
			[]string{"20260101000001_a.tx.down.sql"},
			func(err error) bool { return strings.Contains(err.Error(), "20260101000001_a.tx.up.sql is missing") },
		},
		"NotTransactional": {
			[]string{"20260101000001_a.up.sql"},
			func(err error) bool { return strings.Contains(err.Error(), "20260101000001_a.up.sql is not named") },
		},
		"ShortID": {
			[]string{"1_a.tx.up.sql", "1_a.tx.down.sql"},
			func(err error) bool { return strings.Contains(err.Error(), "1_a.tx.down.sql is not named") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{}
			for _, file := range test.files {
				fsys[file] = &fstest.MapFile{Data: []byte("SELECT 1")}
			}
			if _, err := load(fsys); err == nil || !test.match(err) {
				t.Errorf("load: %v", err)
			}
		})
	}
}

// A checkout on a system with other line endings is not an edited migration.
func TestLoadIgnoresLineEndings(t *testing.T) {
	t.Parallel()
	unix := mustLoadMap(t, "20260101000001_a", "SELECT 1;\nSELECT 2;\n")
	dos := mustLoadMap(t, "20260101000001_a", "SELECT 1;\r\nSELECT 2;\r\n")
	edited := mustLoadMap(t, "20260101000001_a", "SELECT 1;\nSELECT 3;\n")
	if unix.sources[0].checksum != dos.sources[0].checksum {
		t.Error("line endings change the checksum")
	}
	if unix.sources[0].checksum == edited.sources[0].checksum {
		t.Error("an edit does not change the checksum")
	}
}

// The header of the user's tables is part of what was asked for, and files in sql/ are no migrations.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	first := embedded.sources[0]
	if first.id != "20260220000001" || first.name != "create_gpt_oauth_tables" {
		t.Errorf("the first migration is %s_%s", first.id, first.name)
	}
	if n := strings.Count(first.up, "\n"); n < 80 {
		t.Errorf("it has %d lines, want at least 80", n)
	}
	for _, src := range embedded.sources {
		if len(src.id) != 14 {
			t.Errorf("id %s", src.id)
		}
	}
	if got := Migrations.Sorted(); len(got) != len(embedded.sources) {
		t.Errorf("%d registered, %d embedded", len(got), len(embedded.sources))
	}
}
