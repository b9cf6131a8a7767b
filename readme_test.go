// Package gptoauth_test holds the README to what there is, and the packages to few imports.
package gptoauth_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const modulePath = "github.com/gptoauth/gptoauth"

// TestReadmeGoIsChecked: each block of Go stands in a test file below repo, which compiles, and whose examples run.
func TestReadmeGoIsChecked(t *testing.T) {
	t.Parallel()
	examples := readAll(t, "repo/example*_test.go") + readAll(t, "repo/*/example*_test.go")
	blocks := fenced(t, "README.md", "go")
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		body := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(block, "\t$1") // or the body of a function
		require.True(t, strings.Contains(examples, block) || strings.Contains(examples, body), "in no example:\n%s", block)
	}
}

// TestReadmeSQLRuns on a database as migrations.Up makes it.
func TestReadmeSQLRuns(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	blocks := fenced(t, "README.md", "sql")
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		_, err := db.ExecContext(t.Context(), block)
		require.NoError(t, err, block)
	}
}

// TestReadmeCommandsExist, with the flags that they are given.
func TestReadmeCommandsExist(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "gptoauth")
	run(t, "go", "build", "-o", program, "./cmd/gptoauth")
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"} {
		for _, command := range commands(t, name) {
			words := strings.Fields(command)
			switch first := strings.Join(words[:min(2, len(words))], " "); {
			case words[0] == "gptoauth":
				requireCommand(t, program, words[1:])
			case strings.HasPrefix(command, "go run ./cmd/gptoauth "):
				requireCommand(t, program, words[3:])
			case first == "go test":
				requirePackages(t, words[2:])
			case first == "go get", first == "go install":
				path, _, _ := strings.Cut(words[2], "@")
				requirePackage(t, path)
			case first == "go run": // a tool, in the version of CI
				require.Contains(t, readAll(t, ".ci/run"), words[2])
			case first == "bash .ci/run":
				require.FileExists(t, ".ci/run")
			case words[0] == "export":
			default:
				require.Fail(t, "nothing checks this command", command)
			}
		}
	}
}

// TestReadmeTestsExist: each test that a document names is there, and so is each of its subtests.
func TestReadmeTestsExist(t *testing.T) {
	t.Parallel()
	tests := testFunctions(t)
	for _, document := range []string{"README.md", "SECURITY.md"} {
		named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)(?:/(\\w+))?`").FindAllStringSubmatch(readAll(t, document), -1)
		require.NotEmpty(t, named)
		for _, match := range named {
			body, ok := tests[match[1]]
			require.True(t, ok, "%s: there is no %s", document, match[1])
			if match[2] != "" {
				require.Contains(t, body, `"`+match[2]+`"`, match[0])
			}
		}
	}
}

// TestReadmeDefaults: the tables list every field, with the default that its doc comment gives.
func TestReadmeDefaults(t *testing.T) {
	t.Parallel()
	readme := readAll(t, "README.md")
	for typ, file := range map[reflect.Type]string{
		reflect.TypeFor[repo.Config]():     "repo/config.go",
		reflect.TypeFor[repo.PoolConfig](): "repo/open.go",
	} {
		docs := fieldDocs(t, file, typ.Name())
		for field := range typ.Fields() {
			row := regexp.MustCompile("(?m)^\\| `" + field.Name + "` \\| (.+?) \\|").FindStringSubmatch(readme)
			require.NotNil(t, row, "%s.%s is not in the README", typ.Name(), field.Name)
			require.Regexp(t, `Defaults to `+regexp.QuoteMeta(row[1])+`[.,:;]`, docs[field.Name], field.Name)
		}
	}
}

// TestReadmeLinks to files of the repository lead somewhere.
func TestReadmeLinks(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"README.md", "SECURITY.md"} {
		for _, match := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(readAll(t, document), -1) {
			require.FileExists(t, match[1])
		}
	}
}

// requireCommand asks the program itself: its help shows the command's full name and each flag.
func requireCommand(t *testing.T, program string, words []string) {
	t.Helper()
	var names, flags []string
	for _, word := range words {
		switch {
		case strings.HasPrefix(word, "--"):
			name, _, _ := strings.Cut(word, "=")
			flags = append(flags, name)
		case len(flags) == 0 && len(names) < 2:
			names = append(names, word)
		}
	}
	help := run(t, program, append(names, "--help")...)
	want := regexp.MustCompile(`(?m)^\s+gptoauth ` + strings.Join(names, " ") + `\b`)
	if len(names) > 0 && names[0] == "db" { // an alias
		want = regexp.MustCompile(`(?m)^\s+gptoauth migrate \w`)
	}
	require.Regexp(t, want, help, "gptoauth %s", strings.Join(words, " "))
	_, options, _ := strings.Cut(help, "OPTIONS:")
	for _, flag := range flags {
		require.Regexp(t, `(?m)^\s+`+flag+`\b`, options, "gptoauth %s", strings.Join(words, " "))
	}
}

func requirePackages(t *testing.T, args []string) {
	t.Helper()
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "./"):
			require.NotEmpty(t, run(t, "go", "list", arg))
		case i > 0 && (args[i-1] == "-run" || args[i-1] == "-fuzz"):
			require.Contains(t, testFunctions(t), arg)
		}
	}
}

func requirePackage(t *testing.T, path string) {
	t.Helper()
	if path != modulePath {
		require.Equal(t, path, strings.TrimSpace(run(t, "go", "list", path)))
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), name, args...)
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), stderr.String())
	return string(out)
}

// fenced returns the contents of a document's code blocks of one language.
func fenced(t *testing.T, name, language string) []string {
	t.Helper()
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(readAll(t, name), -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}

// commands returns those of the shell blocks, without their comments, and the gptoauth ones within the text.
func commands(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	for _, block := range fenced(t, name, "sh") {
		for line := range strings.Lines(block) {
			command, _, _ := strings.Cut(line, " #")
			if command = strings.TrimSpace(command); command != "" {
				found = append(found, command)
			}
		}
	}
	require.NotEmpty(t, found)
	for _, match := range regexp.MustCompile("`(gptoauth [^`]+)`").FindAllStringSubmatch(readAll(t, name), -1) {
		found = append(found, match[1])
	}
	return found
}

// testFunctions maps the tests of the module, fuzz tests included, to their source.
func testFunctions(t *testing.T) map[string]string {
	t.Helper()
	tests := make(map[string]string)
	walk := func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, path, source, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				tests[f.Name.Name] = string(source[positions.Position(f.Pos()).Offset:positions.Position(f.End()).Offset])
			}
		}
		return nil
	}
	require.NoError(t, filepath.WalkDir(".", walk))
	return tests
}

// fieldDocs maps the fields of a struct to their doc comments, each on one line.
func fieldDocs(t *testing.T, file, structName string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	require.NoError(t, err)
	docs := make(map[string]string)
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != structName {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			docs[field.Names[0].Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
		}
		return false
	})
	require.NotEmpty(t, docs)
	return docs
}

func readAll(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(content)
	}
	return all.String()
}
