package report

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

// screenshotsVariable names a folder into which the test puts a picture of every page.
const screenshotsVariable = "GPTOAUTH_SCREENSHOTS"

// chromium starts a browser without a window, with a profile of its own and no way to any other machine.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (apt-get install chromium); .ci/run installs it and runs this")
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options,
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx)) // starts the browser, which a timeout here would stop
	ctx, cancelTimeout := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancelTimeout)
	return ctx
}

func evaluate[T any](ctx context.Context, t *testing.T, script string) T {
	t.Helper()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	require.NoError(t, err, script)
	return value
}

// Nothing is wider than a telephone, in a browser the style is allowed by the page's own policy, nothing is fetched, and the
// dark colours are those of people who want them. Paper shows the tables too. With GPTOAUTH_SCREENSHOTS set it takes pictures, for people.
func TestBrowserShowsThePageOnEveryScreen(t *testing.T) {
	t.Parallel()
	ctx := chromium(t)
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
			require.LessOrEqual(t, evaluate[int64](ctx, t, `document.documentElement.scrollWidth`), screen.width, "%s on %s", name, screen.name)
			require.Equal(t, "solid", evaluate[string](ctx, t, `getComputedStyle(document.querySelector(".card")).borderTopStyle`))
			require.Zero(t, evaluate[int64](ctx, t, `performance.getEntriesByType("resource").length`))
			grounds[screen.scheme+evaluate[string](ctx, t, `getComputedStyle(document.body).backgroundColor`)] = true
			savePicture(ctx, t, name+"-"+screen.name)
		}
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+pages["month"])))
		evaluate[int64](ctx, t, `document.querySelectorAll("details").forEach(d => d.open = true), 1`)
		require.LessOrEqual(t, evaluate[int64](ctx, t, `document.documentElement.scrollWidth`), screen.width, "with all tables open")
		savePicture(ctx, t, "open-"+screen.name)
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(800, 1100), chromedp.Navigate("file://"+pages["month"])))
	require.True(t, evaluate[bool](ctx, t, `[...document.querySelectorAll("details:not([open]) table")].every(t => t.checkVisibility({contentVisibilityAuto: true}) && t.getBoundingClientRect().height > 0)`), "paper shows what is folded")
	savePicture(ctx, t, "month-print")
	require.Len(t, grounds, 2, "one ground for each scheme: %v", grounds)
}

func savePicture(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	folder := os.Getenv(screenshotsVariable)
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(folder, 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600))
}
