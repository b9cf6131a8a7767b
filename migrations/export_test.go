package migrations

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestExportedFilesMakeTheSameSchema(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), filepath.Join(t.TempDir(), "migrations")
	names, err := Export("supabase", dir)
	mustDo(t, err)
	if len(names) != len(embedded.sources) {
		t.Fatalf("exported %v", names)
	}
	quiet := newDB(t)
	mustDo(t, Up(ctx, quiet))
	want := mustDescribe(t, quiet)

	for name, run := range map[string]func(t *testing.T, dsn, file string) error{
		"Driver": func(t *testing.T, dsn, file string) error {
			db := openURL(dsn)
			defer db.Close()
			content, err := os.ReadFile(file)
			mustDo(t, err)
			_, err = db.DB.ExecContext(t.Context(), string(content))
			return err
		},
		"Psql": func(t *testing.T, dsn, file string) error {
			psql, err := exec.LookPath("psql")
			if err != nil {
				t.Skip("psql is not installed")
			}
			out, err := exec.CommandContext(t.Context(), psql, "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-f", file, dsn).CombinedOutput()
			if err != nil {
				return errors.New(string(out))
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := newURL(t)
			db := openURL(dsn)
			defer db.Close()
			if err := run(t, dsn, filepath.Join(dir, names[0])); err != nil {
				t.Fatal(err)
			}
			mustDo(t, Lock(ctx, db, "ada", "backup"))
			if err := run(t, dsn, filepath.Join(dir, names[1])); err == nil || !strings.Contains(err.Error(), "held") {
				t.Errorf("a hold is ignored: %v", err)
			}
			_, err := Unlock(ctx, db)
			mustDo(t, err)
			for range 2 { // the second time does nothing
				for _, file := range names {
					if err := run(t, dsn, filepath.Join(dir, file)); err != nil {
						t.Fatal(err)
					}
				}
			}
			mustDo(t, Check(ctx, db))
			assertRecordedOnce(t, db)
			assertSame(t, want, mustDescribe(t, db))
			mustDo(t, Down(ctx, db, 99))
		})
	}
}

func TestExportOverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names, err := Export("supabase", dir)
	mustDo(t, err)
	for _, name := range names {
		if !regexp.MustCompile(`^\d{14}_[a-z0-9_]+\.sql$`).MatchString(name) {
			t.Errorf("name %s", name)
		}
	}
	again, err := Export("supabase", dir)
	mustDo(t, err)
	if !slices.Equal(names, again) {
		t.Errorf("the second time: %v", again)
	}
	last := filepath.Join(dir, names[len(names)-1])
	mustDo(t, os.WriteFile(last, []byte("-- mine"), 0o600))
	mustDo(t, os.Remove(filepath.Join(dir, names[0])))
	if _, err := Export("supabase", dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("export: %v", err)
	}
	if content, _ := os.ReadFile(last); string(content) != "-- mine" {
		t.Error("overwritten")
	}
	if _, err := os.Stat(filepath.Join(dir, names[0])); !errors.Is(err, fs.ErrNotExist) {
		t.Error("some files were written")
	}
	if _, err := Export("flyway", dir); err == nil {
		t.Error("an unknown format is no error")
	}
}

// A file that fails in the middle leaves nothing, also without psql's --single-transaction.
func TestExportedFileIsAtomic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustLoadMap(t, a, "CREATE TABLE public.gpt_a (); SELECT 1/0;")
	names, err := s.export("supabase", dir)
	mustDo(t, err)
	content, err := os.ReadFile(filepath.Join(dir, names[0]))
	mustDo(t, err)
	db := newDB(t)
	if _, err := db.DB.ExecContext(t.Context(), string(content)); err == nil {
		t.Fatal("no error")
	}
	if lines := mustDescribe(t, db); len(lines) > 0 {
		t.Errorf("left behind: %v", lines)
	}
}
