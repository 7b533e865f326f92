package reference_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/reference"
)

const chromium = "/usr/bin/chromium"

// tab opens a page of a real browser; the second result lists what the browser objected to.
func tab(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	require.FileExists(t, chromium, "this test needs Debian's chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))
	// Not the test's own context: it ends before the clean-up, which closes the browser in good order.
	browser, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	browser, _ = chromedp.NewContext(browser)
	require.NoError(t, chromedp.Do(browser), "start chromium")
	t.Cleanup(func() { assert.NoError(t, chromedp.Cancel(browser)) })
	ctx, cancel := context.WithTimeout(browser, 2*time.Minute)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var objections []string
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				objections = append(objections, e.Entry.Text)
			}
		case *audits.EventIssueAdded:
			if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
				objections = append(objections, "content security policy")
			}
		}
	}))
	call(ctx, t, log.Enable, cdp.Empty{})
	call(ctx, t, audits.Enable, cdp.Empty{})
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), objections...)
	}
}

func call[P, R any](ctx context.Context, t *testing.T, command cdp.Command[P, R], params P) {
	t.Helper()
	_, err := chromedp.Call(ctx, command, params)
	require.NoError(t, err)
}

func ask[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err)
	return v
}

func TestARealBrowser(t *testing.T) {
	t.Parallel()
	ctx, objections := tab(t)
	var server *httptest.Server
	h, err := reference.New(read(t, "../../../api/openapi.yaml"), reference.Config{PublicURL: func() string { return server.URL }})
	require.NoError(t, err)
	server = httptest.NewServer(h)
	t.Cleanup(server.Close)

	for _, screen := range []struct {
		name          string
		width, height int64
		scheme        string
	}{
		{"phone-light", 390, 844, "light"},
		{"phone-dark", 390, 844, "dark"},
		{"desktop-dark", 1280, 800, "dark"},
		{"desktop-light", 1280, 800, "light"},
	} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(screen.width, screen.height)))
		call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}},
		})
		for _, anchor := range []string{"top", "createVerification", "problems"} {
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+"/docs#"+anchor)))
			require.LessOrEqual(t, ask[float64](ctx, t, `document.documentElement.scrollWidth`), float64(screen.width),
				"%s scrolls sideways", screen.name)
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(t.ArtifactDir(), anchor+"-"+screen.name+".png"), png, 0o600))
		}
	}

	all := ask[float64](ctx, t, `document.querySelectorAll("article:not([hidden])").length`)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("/")))
	require.Equal(t, "find", ask[string](ctx, t, `document.activeElement.id`), "/ goes to the filter")
	// Simulated keys send the character apart from the key, so that it arrives in spite of the page.
	ask[string](ctx, t, `document.getElementById("find").value = ""`)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("resend")))
	require.InDelta(t, 1, ask[float64](ctx, t, `document.querySelectorAll("article:not([hidden])").length`), 0)
	require.Equal(t, "1 operation matches.", ask[string](ctx, t, `document.getElementById("said").textContent`))
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("\u001b")))
	require.InDelta(t, all, ask[float64](ctx, t, `document.querySelectorAll("article:not([hidden])").length`), 0)

	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS("#createVerification .code button"))))
	_, err = chromedp.Run(ctx, chromedp.Poll[bool](`document.getElementById("said").textContent !== ""`))
	require.NoError(t, err, "the button says what it did")

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+"/docs#createVerification-201-status")))
	require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(`[id="createVerification-201-status"]`))))
	require.Empty(t, objections())
}
