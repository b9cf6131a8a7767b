package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

func pageOf(t testing.TB, r Report) string {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, Write(&text, r))
	return text.String()
}

func parse(t testing.TB, text string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	return root
}

// elements are those of these names below a node, in order.
func elements(root *html.Node, names ...string) []*html.Node {
	var found []*html.Node
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && (len(names) == 0 || slices.Contains(names, node.Data)) {
			found = append(found, node)
		}
	}
	return found
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func textOf(node *html.Node) string {
	var text strings.Builder
	for child := range node.Descendants() {
		switch {
		case child.Type == html.TextNode:
			text.WriteString(child.Data)
		case !slices.Contains([]string{"b", "bdi", "code", "i", "span"}, child.Data):
			text.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

// requireGoodPage holds a page to what every one must be, whatever is in it.
func requireGoodPage(t testing.TB, text string) *html.Node {
	t.Helper()
	require.True(t, strings.HasPrefix(text, Beginning))
	root := parse(t, text)
	requireSelfContained(t, root)
	requireOutline(t, root)
	require.NotContains(t, text, "ZgotmplZ", "html/template did not trust something")
	require.NotContains(t, text, "%!")
	require.Less(t, len(text), 1<<20)
	return root
}

// requireSelfContained: nothing is fetched, nothing is run, and the policy that forbids it fits the style.
func requireSelfContained(t testing.TB, root *html.Node) {
	t.Helper()
	for _, node := range elements(root) {
		require.NotContains(t, []string{"script", "iframe", "object", "embed", "base", "form", "img", "image", "use", "foreignobject"}, node.Data)
		for _, a := range node.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "srcset" || a.Key == "style" || a.Key == "data", "%s has %s", node.Data, a.Key)
			require.NotContains(t, a.Val, "url(")
			if a.Key == "href" || a.Key == "xlink:href" {
				require.True(t, strings.HasPrefix(a.Val, "#") || a.Val == "data:,", a.Val)
			}
		}
	}
	styles := elements(root, "style")
	require.Len(t, styles, 1)
	style := styles[0].FirstChild.Data
	for _, fetching := range []string{"url(", "@import", "http:", "https:", "@font-face"} {
		require.NotContains(t, style, fetching)
	}
	sum := sha256.Sum256([]byte(style))
	policy := ""
	for _, meta := range elements(root, "meta") {
		if attribute(meta, "http-equiv") == "Content-Security-Policy" {
			policy = attribute(meta, "content")
		}
	}
	require.Contains(t, policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
}

// requireOutline: headings in order, ids once, references that lead somewhere, drawings with words, charts with their table.
func requireOutline(t testing.TB, root *html.Node) {
	t.Helper()
	level := 0
	for _, heading := range elements(root, "h1", "h2", "h3", "h4", "h5", "h6") {
		next := int(heading.Data[1] - '0')
		require.LessOrEqual(t, next, level+1, textOf(heading))
		require.NotEmpty(t, textOf(heading))
		level = next
	}
	require.Len(t, elements(root, "h1"), 1)
	ids := make(map[string]bool)
	for _, node := range elements(root) {
		if id := attribute(node, "id"); id != "" {
			require.False(t, ids[id], "%s stands twice", id)
			ids[id] = true
		}
	}
	for _, node := range elements(root) {
		for reference := range strings.FieldsSeq(attribute(node, "aria-labelledby")) {
			require.True(t, ids[reference], reference)
		}
		if target, ok := strings.CutPrefix(attribute(node, "href"), "#"); ok {
			require.True(t, ids[target], target)
		}
	}
	for _, svg := range elements(root, "svg") {
		if attribute(svg, "role") != "img" {
			require.Equal(t, "true", attribute(svg, "aria-hidden"))
			continue
		}
		require.NotEmpty(t, textOf(elements(svg, "title")[0]))
		require.NotEmpty(t, textOf(elements(svg, "desc")[0]))
	}
	for _, figure := range elements(root, "figure") {
		if len(elements(figure, "svg")) > 0 {
			require.NotEmpty(t, elements(elements(figure, "details")[0], "table"), attribute(figure, "id"))
		}
	}
	for _, table := range elements(root, "table") {
		require.NotEmpty(t, elements(table, "caption"))
		columns := len(elements(elements(table, "thead")[0], "th"))
		for _, row := range elements(table, "tr") {
			require.Len(t, elements(row, "th", "td"), columns)
		}
	}
}

func TestThePageIsGoodWhateverIsInIt(t *testing.T) {
	t.Parallel()
	full := monthOf(t, 500)
	for _, days := range []int{1, 3, 7, 30, 92, 400} {
		requireGoodPage(t, pageOf(t, read(t, full, days)))
	}
	empty := requireGoodPage(t, pageOf(t, read(t, repotest.DB(t), 30)))
	require.Contains(t, textOf(empty), "Nothing is alarming No spent token or code came back in 30 days, no row is overdue for deletion, and autovacuum keeps up. But nothing happens here at all")
	gaps := Report{MadeAt: time.Now(), Days: 30, Findings: []Finding{}, window: newWindow(time.Now(), 30)}
	for _, name := range []string{"activity", "sign_ins", "alarms", "living", "ended", "storage", "retention: events"} {
		gaps.Gaps = append(gaps.Gaps, Gap{name, "it took longer than 30s: raise --timeout"})
	}
	root := requireGoodPage(t, pageOf(t, gaps))
	require.Contains(t, textOf(root), "Whether anything is alarming could not be read Not everything could be read: what is missing below says why")
}

// What is drawn is what was counted: the table behind a chart, its legend and its tips say the same.
func TestThePageShowsTheFigures(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	story(t, db)
	r := read(t, db, 30)
	root := requireGoodPage(t, pageOf(t, r))
	charts := make(map[string]*html.Node)
	for _, figure := range elements(root, "figure") {
		charts[attribute(figure, "id")] = figure
	}
	foot := func(id string) string { return textOf(elements(charts[id], "tfoot")[0]) }
	require.Equal(t, "in all 2 1 1", foot("sign-ins"))
	require.Equal(t, "in all 3", foot("refreshes"))
	require.Equal(t, "in all 2", foot("retries"))
	require.Equal(t, "in all 1 1", foot("alarms"))
	require.Equal(t, "in all 1", foot("mismatches"))
	require.Len(t, elements(elements(charts["refreshes"], "tbody")[0], "tr"), 30)
	require.Contains(t, textOf(charts["refreshes"]), r.window.label(22)+": refreshes 2")
	require.Contains(t, textOf(charts["sign-ins"]), "Codes exchanged, each for a new session, by client. 5 codes were issued, 4 were exchanged.")
	require.Contains(t, textOf(charts["living"]), "client_2 1 1 1")
	require.Contains(t, textOf(charts["ended"]), "token_reuse 1 33 %")
	require.Contains(t, textOf(charts["alarm-clients"]), "client_1 2 100 %")

	text := textOf(root)
	require.Contains(t, text, "Someone should look at this 1 spent refresh token and 1 spent code came back in 30 days, the latest")
	require.Contains(t, text, " ago; all of them with client_1. Each of these sessions was ended at once")
	require.Contains(t, text, "Next: gptoauth events list --type token_reuse --since 30d, then gptoauth tokens trace with the session's id")
	require.Contains(t, text, "More than a day overdue: 2 expired codes.")
	require.Contains(t, text, "by gptoauth v1.2.3")
}

// Bars are as high as what they stand for, stand on the ground, and stay within the chart.
func TestBarsAreToScale(t *testing.T) {
	t.Parallel()
	w := newWindow(time.Date(2026, 11, 26, 14, 25, 31, 0, time.UTC), 30)
	values := func(first ...int) []int { return append(first, make([]int, 30-len(first))...) }
	c := w.draw(columns{Title: "t", Series: []series{
		{name("a"), "c1", 160, values(100, 50, 10, 0)},
		{name("b"), "c2", 101, values(100, 0, 1, 0)},
	}})
	require.Equal(t, []bar{{"c1", 1.1, 50, barWidth, 50}, {"c2", 1.1, 0, barWidth, 50 - seam}}, c.Columns[0].Bars)
	require.Equal(t, []bar{{"c1", 11.1, 75, barWidth, 25}}, c.Columns[1].Bars)
	require.Equal(t, []bar{{"c1", 21.1, 95, barWidth, 5}, {"c2", 21.1, 93.6, barWidth, leastHeight}}, c.Columns[2].Bars)
	require.Empty(t, c.Columns[3].Bars)
	require.Equal(t, "Sat 31 Oct 2026: none", c.Columns[3].Hint)
	require.Equal(t, []string{"28 Oct", "4 Nov", "11 Nov", "18 Nov", "26 Nov"}, c.Axis)
	require.Equal(t, []gridline{{0, "top", "200"}, {50, "half", "100"}, {100, "zero", "0"}}, c.Grid)
	require.Contains(t, c.Alt, "In all: a 160, b 101. Most in one day: 200, Wed 28 Oct 2026.")
}

// The reasons of a host are free text, and whom it names in them is not to be seen, neither on the page nor in JSON.
func TestNoReasonOfTheHostIsShown(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	story(t, db)
	const hostile = "ada@example.com asked for it <b>gptr_abc</b>"
	_, err := db.ExecContext(t.Context(), "UPDATE public.gpt_sessions SET end_reason = ? WHERE end_reason IN ('sign_out', 'code_replay')", hostile)
	require.NoError(t, err)
	r := read(t, db, 30)
	require.Equal(t, Ended{3, []EndedReason{{"token_reuse", false, 1}, {"", true, 2}}}, *r.Ended)
	encoded, err := json.Marshal(r)
	require.NoError(t, err)
	page := pageOf(t, r)
	for _, part := range []string{"ada@", "asked for it", "gptr_abc"} {
		require.NotContains(t, string(encoded), part)
		require.NotContains(t, page, part)
	}
	require.Contains(t, textOf(parse(t, page)), "the host's own reasons 2 67 %")
}

// What the library and the server give as reasons is named.
func TestOurOwnReasonsAreNamed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../server/*.go")
	require.NoError(t, err)
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`\breason[A-Z]\w+ *= "(\w+)"`).FindAllSubmatch(source, -1) {
			require.Contains(t, ownReasons, string(match[1]))
			found++
		}
	}
	require.Equal(t, 4, found)
}

// Clients register under names of their own, and cannot write into the page.
func TestHostileNamesAreText(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	story(t, db)
	const hostile = `</title></style><script>alert(1)</script><img src=x onerror=alert(2)>" onload="alert(3)` + "\u202e"
	for _, statement := range []string{
		"UPDATE public.gpt_oauth_events SET client_id = ? WHERE client_id = 'client_1'",
		"UPDATE public.gpt_sessions SET client_id = ?",
	} {
		_, err := db.ExecContext(t.Context(), statement, hostile)
		require.NoError(t, err)
	}
	text := pageOf(t, read(t, db, 30))
	root := requireGoodPage(t, text) // has no script, no image, and no attribute that runs
	require.Contains(t, textOf(root), "<script>alert(1)</script>")
	require.NotContains(t, text, "<script")
	require.NotContains(t, text, "\u202e")
}
