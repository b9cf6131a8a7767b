package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// jsonField is a line of json.md.
type jsonField struct {
	kind     string
	optional bool
	borrowed bool // from the section of another command
}

var (
	jsonLine = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([a-z ]+?)(, optional)? \\| (.*) \\|$")
	jsonEach = regexp.MustCompile("each as `([a-z\\[\\]]+)` of `gptoauth ([a-z ]+)`")
)

// readJSONDoc reads json.md: command to path to field. What a command has in common with another stands in one place.
func readJSONDoc(t *testing.T) map[string]map[string]jsonField {
	t.Helper()
	text, err := os.ReadFile("json.md")
	require.NoError(t, err)
	doc, borrowed := make(map[string]map[string]jsonField), make(map[[2]string][]string)
	for _, part := range strings.Split(string(text), "\n## ")[1:] {
		command, body, _ := strings.Cut(part, "\n")
		command = strings.TrimPrefix(command, programName+" ")
		doc[command] = make(map[string]jsonField)
		for _, line := range jsonLine.FindAllStringSubmatch(body, -1) {
			require.NotContains(t, doc[command], line[1], command)
			doc[command][line[1]] = jsonField{kind: line[2], optional: line[3] != ""}
			if each := jsonEach.FindStringSubmatch(line[4]); each != nil {
				borrowed[[2]string{command, line[1]}] = []string{each[2], each[1]}
			}
		}
		require.Len(t, doc[command], strings.Count(body, "\n| `"), "%s: a line is not of the form of the others", command)
	}
	for to, from := range borrowed {
		for path, field := range maps.Clone(doc[from[0]]) {
			field.borrowed = true
			if rest, ok := strings.CutPrefix(path, from[1]); ok && rest != "" && rest[0] == '.' {
				doc[to[0]][to[1]+"[]"+rest] = field
			} else if ok && strings.HasPrefix(rest, "[].") {
				doc[to[0]][to[1]+rest] = field
			}
		}
	}
	return doc
}

// jsonChecker compares values with the fields of a command.
type jsonChecker struct {
	t      *testing.T
	fields map[string]jsonField
	seen   map[string]bool
}

func (c *jsonChecker) object(path string, object map[string]any) {
	for name, value := range object {
		field := strings.TrimPrefix(path+"."+name, ".")
		want, ok := c.fields[field]
		require.True(c.t, ok, "%s is printed and not documented", field)
		c.seen[field] = true
		c.value(field, want.kind, value)
	}
	for field, want := range c.fields {
		name, ok := strings.CutPrefix(field, strings.TrimPrefix(path+".", "."))
		if ok && !strings.Contains(name, ".") && !want.optional {
			require.Contains(c.t, object, name, "%s is documented and not printed", field)
		}
	}
}

func (c *jsonChecker) value(field, kind string, value any) {
	kind, nullable := strings.CutSuffix(kind, " or null")
	if value == nil {
		require.True(c.t, nullable, "%s is null", field)
		return
	}
	got := ""
	switch v := value.(type) {
	case map[string]any:
		got = "object"
		if slices.ContainsFunc(slices.Collect(maps.Keys(c.fields)), func(f string) bool { return strings.HasPrefix(f, field+".") }) {
			c.object(field, v)
		}
	case []any:
		got = "array"
		for _, element := range v {
			if object, ok := element.(map[string]any); ok {
				c.object(field+"[]", object)
			}
		}
	case float64:
		got = "number"
	case bool:
		got = "boolean"
	case string:
		got = "string"
		switch kind {
		case "time":
			at, err := time.Parse(time.RFC3339Nano, v)
			require.NoError(c.t, err, field)
			require.Equal(c.t, time.UTC, at.Location(), field)
			got = kind
		case "id":
			require.NoError(c.t, uuid.Validate(v), field)
			got = kind
		}
	}
	require.Equal(c.t, kind, got, field)
}

// TestJSONIsAsDocumented runs every command and compares what it prints with json.md, both ways: no field is missing in
// either, and each has been seen.
func TestJSONIsAsDocumented(t *testing.T) {
	t.Parallel()
	story, fresh, broken := storyURL(t), repotest.URL(t), storyURL(t)
	execIn(t, broken, `UPDATE public.gpt_refresh_tokens SET revoked_at = clock_timestamp() WHERE rotated_to IS NULL`)
	orphaned := storyURL(t)
	execIn(t, orphaned, `ALTER TABLE public.gpt_authorization_codes DROP CONSTRAINT gpt_authorization_codes_session_id_fkey`)
	rolledBack := repotest.URL(t)
	require.NoError(t, migrations.Down(t.Context(), openTest(t, rolledBack), 1)) // so that doctor cannot tell what is drift
	alarming, locked := repotest.URL(t), repotest.URL(t)
	reuse(t, testStore(t, alarming))
	repotest.NewSession(t, testStore(t, alarming), repo.IssueParams{}, 0)
	execIn(t, alarming, `VACUUM public.gpt_sessions`)
	holder, err := openTest(t, locked).BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = holder.ExecContext(t.Context(), "LOCK TABLE public.gpt_oauth_events")
	require.NoError(t, err)
	dir := t.TempDir()
	doc := readJSONDoc(t)
	ran := make(map[string]*jsonChecker)
	for _, run := range []struct {
		command, args, url string
	}{
		{"version", "", ""},
		{"demo", "", fresh},
		{"migrate grant", "--dry-run --show-sql auth_server", ""},
		{"migrate status", "", fresh},
		{"migrate lock", "--reason test", fresh},
		{"migrate status", "", fresh},
		{"migrate unlock", "", fresh},
		{"migrate check", "", fresh},
		{"migrate mark-applied", "", fresh},
		{"migrate init", "", fresh},
		{"migrate rollback", "--dry-run --show-sql", fresh},
		{"migrate rollback", "--yes", fresh},
		{"migrate up", "--dry-run --show-sql", fresh},
		{"migrate up", "", fresh},
		{"migrate export", dir, ""},
		{"migrate create-tx-sql", "a --dir " + dir, ""},
		{"migrate create-sql", "a --dir " + dir, ""},
		{"migrate create-go", "a --dir " + dir, ""},
		{"events list", "--limit 3", story},
		{"events timeline", "--user user_2ada", story},
		{"events stats", "--bucket 1h " + storyDays, story},
		{"tokens trace", digestOf("a1"), story},
		{"tokens stats", storyDays, story},
		{"report", "", alarming},
		{"report", "--timeout 300ms", locked},
		{"sessions list", "", story},
		{"sessions show", storySession, story},
		{"sessions show", "01990000-0000-7000-8000-00000053beef", story},
		{"users show", "user_2ada", story},
		{"purge", "--check", story},
		{"purge", "--check", orphaned},
		{"purge", "--dry-run", story},
		{"purge", "--codes off", story},
		{"sessions end", "--user user_2eve --reason test --yes", fresh},
		{"users end", "user_2eve --reason test", fresh},
		{"users erase", "user_2eve --yes", fresh},
		{"bench", "--operations rotate --concurrency 1 --table-size 40 --duration 100ms --pgbench=false", fresh},
		{"doctor", "--invariants", story},
		{"doctor", "--invariants", broken},
		{"doctor", "", orphaned},
		{"doctor", "", rolledBack},
	} {
		args := slices.Concat(strings.Fields(run.command), strings.Fields(run.args), []string{"--json"})
		o := gptoauth(t, run.url, args...)
		want := exitDone
		if slices.Contains([]string{broken, orphaned, rolledBack}, run.url) {
			want = exitDrifted
		}
		require.Equal(t, want, o.code, "%s: %s", args, o.stderr)
		checker := ran[run.command]
		if checker == nil {
			require.Contains(t, doc, run.command)
			checker = &jsonChecker{t, doc[run.command], make(map[string]bool)}
			ran[run.command] = checker
		}
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(o.stdout), &object), args)
		checker.object("", object)
	}
	require.NoError(t, holder.Rollback())
	lines := make(chan string, 100)
	stop := tailed(t, story, func(line string) { lines <- line }, "--json", "--since", "2026-03-01")
	ran["events tail"] = &jsonChecker{t, doc["events tail"], make(map[string]bool)}
	for range 12 {
		var event map[string]any
		require.NoError(t, json.Unmarshal([]byte(<-lines), &event))
		ran["events tail"].object("", event)
	}
	stop()
	ran["events forward"] = &jsonChecker{t, doc["events forward"], make(map[string]bool)}
	ran["events forward"].object("", forwardedJSON(t, fresh))
	for command, checker := range ran {
		for field, documented := range checker.fields {
			elsewhere := documented.borrowed || command == "migrate grant" // which wants a role: see TestGrant
			require.True(t, checker.seen[field] || elsewhere, "%s: no command here prints %s: is it documented still?", command, field)
		}
	}
}

// requireDocumented compares one object with json.md, for commands that need more than a database.
func requireDocumented(t *testing.T, command string, text []byte) {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	fields := readJSONDoc(t)[command]
	require.NotEmpty(t, fields)
	(&jsonChecker{t, fields, make(map[string]bool)}).object("", object)
}

// forwardedJSON is a line that events forward prints.
func forwardedJSON(t *testing.T, databaseURL string) map[string]any {
	t.Helper()
	r := newReceiver(t, http.StatusOK)
	cursor := filepath.Join(t.TempDir(), "cursor.json")
	stop := forward(t, databaseURL, "--webhook", r.URL, "--cursor", cursor, "--json")
	require.Eventually(t, func() bool { found, _ := loadCursor(cursor, &repo.FollowCursor{}); return found }, time.Minute, 5*time.Millisecond)
	reuse(t, testStore(t, databaseURL))
	<-r.got
	o := stop()
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &line), o.stdout+o.stderr)
	return line
}

// Every command but completion, which prints scripts, has its section in json.md.
func TestEveryCommandDocumentsItsJSON(t *testing.T) {
	t.Parallel()
	doc := readJSONDoc(t)
	var walk func(cmd *cli.Command, path []string)
	walk = func(cmd *cli.Command, path []string) {
		for _, sub := range cmd.Commands {
			walk(sub, slices.Concat(path, []string{sub.Name}))
		}
		if len(cmd.Commands) == 0 {
			command := strings.Join(path, " ")
			require.NotEmpty(t, doc[command], "json.md has no section for gptoauth %s", command)
		}
	}
	walk((&app{}).rootCommand(), nil)
}
