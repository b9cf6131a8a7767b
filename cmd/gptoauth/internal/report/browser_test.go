package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/browsertest"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// Nothing is wider than a telephone, in a browser the style is allowed by the page's own policy, nothing is fetched, and the
// dark colours are those of people who want them. Paper shows the tables too. With GPTOAUTH_SCREENSHOTS set it takes pictures, for people.
func TestBrowserShowsThePageOnEveryScreen(t *testing.T) {
	t.Parallel()
	ctx := browsertest.Start(t)
	full, calm := monthOf(t, 1200), repotest.DB(t)
	folder := t.TempDir()
	pages := make(map[string]string)
	for name, r := range map[string]Report{
		"month": read(t, full, 30), "day": read(t, full, 1), "year": read(t, full, 400), "empty": read(t, calm, 30),
	} {
		pages[name] = filepath.Join(folder, name+".html")
		require.NoError(t, os.WriteFile(pages[name], []byte(pageOf(t, r)), 0o600))
	}
	grounds := make(map[string]bool)
	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"phone-light", 360, 740, "light"}, {"phone-dark", 360, 740, "dark"}, {"desktop-light", 1280, 800, "light"}, {"desktop-dark", 1280, 800, "dark"}} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(screen.width, screen.height)))
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}},
		})
		require.NoError(t, err)
		for name, path := range pages {
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+path)))
			require.LessOrEqual(t, browsertest.Evaluate[int64](ctx, t, `document.documentElement.scrollWidth`), screen.width, "%s on %s", name, screen.name)
			require.Equal(t, "solid", browsertest.Evaluate[string](ctx, t, `getComputedStyle(document.querySelector(".card")).borderTopStyle`))
			require.Zero(t, browsertest.Evaluate[int64](ctx, t, `performance.getEntriesByType("resource").length`))
			grounds[screen.scheme+browsertest.Evaluate[string](ctx, t, `getComputedStyle(document.body).backgroundColor`)] = true
			browsertest.SavePicture(ctx, t, name+"-"+screen.name)
		}
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+pages["month"])))
		browsertest.Evaluate[int64](ctx, t, `document.querySelectorAll("details").forEach(d => d.open = true), 1`)
		require.LessOrEqual(t, browsertest.Evaluate[int64](ctx, t, `document.documentElement.scrollWidth`), screen.width, "with all tables open")
		browsertest.SavePicture(ctx, t, "open-"+screen.name)
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(800, 1100), chromedp.Navigate("file://"+pages["month"])))
	require.True(t, browsertest.Evaluate[bool](ctx, t, `[...document.querySelectorAll("details:not([open]) table")].every(t => t.checkVisibility({contentVisibilityAuto: true}) && t.getBoundingClientRect().height > 0)`), "paper shows what is folded")
	browsertest.SavePicture(ctx, t, "month-print")
	require.Len(t, grounds, 2, "one ground for each scheme: %v", grounds)
}
