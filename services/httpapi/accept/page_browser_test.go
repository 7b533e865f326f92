package accept_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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

	"github.com/assent-io/assent/services/verification"
)

const chromium = "/usr/bin/chromium"

// tab is a page of a real browser that runs no scripts, and notes what the browser objects to.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	objections []string
}

// chrome starts a browser with a profile of its own; its tabs share their cookies.
func chrome(t *testing.T) context.Context {
	t.Helper()
	require.FileExists(t, chromium, "this test needs Debian's chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("ignore-certificate-errors", true)) // of the tests' own server
	// Not the test's own context: it ends before the clean-up, which closes the browser in good order.
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	ctx, _ = chromedp.NewContext(ctx)
	require.NoError(t, chromedp.Do(ctx), "start chromium")
	t.Cleanup(func() { assert.NoError(t, chromedp.Cancel(ctx)) })
	return ctx
}

func newTab(browser context.Context, t *testing.T) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	require.NoError(t, chromedp.Do(ctx), "open a tab") // without a deadline: it would be the tab's
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			// A page that was answered with 403 or 503 is logged as a failed load; that is no fault of the page.
			if e.Entry.Level == log.EntryLevelError && !strings.HasPrefix(e.Entry.Text, "Failed to load resource") {
				p.objections = append(p.objections, e.Entry.Text)
			}
		case *audits.EventIssueAdded:
			if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
				p.objections = append(p.objections, "content security policy")
			}
		}
	}))
	call(p, log.Enable, cdp.Empty{})
	call(p, audits.Enable, cdp.Empty{})
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return p
}

// person makes the browser one that a person holds: without a screen it says so otherwise.
func (p *tab) person() *tab {
	p.t.Helper()
	call(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: personsAgent, AcceptLanguage: "en-GB,en;q=0.9"})
	return p
}

const personsAgent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"

func call[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, command, params)
	require.NoError(p.t, err)
}

func ask[T any](p *tab, action chromedp.Action[T]) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, action)
	require.NoError(p.t, err)
	return v
}

func (p *tab) open(link string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Navigate(link)))
}

// press clicks an answer and reads the page that follows.
func (p *tab) press(button string) string {
	p.t.Helper()
	_, err := chromedp.RunResponse(p.ctx, chromedp.Click(chromedp.CSS(`button[value="`+button+`"]`)))
	require.NoError(p.t, err)
	return p.text()
}

func (p *tab) text() string {
	p.t.Helper()
	return strings.Join(strings.Fields(ask(p, chromedp.TextContent(chromedp.CSS("main")))), " ")
}

func (p *tab) silent() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(p.t, p.objections)
}

func (p *tab) look(width, height int64, dark bool) {
	p.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height)))
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// shoot keeps a picture for people; `go test -artifacts` says where.
func (p *tab) shoot(name string) {
	p.t.Helper()
	png := ask(p, chromedp.CaptureScreenshot())
	require.NoError(p.t, os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), png, 0o600))
}

func TestARealBrowserWithoutScripts(t *testing.T) {
	t.Parallel()
	browser := chrome(t)
	for button, want := range map[string]string{"approve": "Approved", "deny": "Denied.", "not_me": "Thank you."} {
		b := start(t)
		p := newTab(browser, t).person()
		p.look(390, 844, false)
		p.open(b.link)
		b.clock.forward(time.Second)
		require.Contains(t, p.press(button), "Read the details, then press your answer again.", "pressed too soon")
		require.Empty(t, b.records.published())
		focused := ask(p, chromedp.Evaluate[string](`document.activeElement.getAttribute("role")`))
		require.Equal(t, "alert", focused, "what is wrong is read first")
		if button == "approve" {
			p.shoot("too-soon-phone-light")
		}
		b.clock.forward(2 * time.Second)
		require.Contains(t, p.press(button), want)
		require.Len(t, b.records.published(), 1)
		p.shoot(button + "-phone-light")
		p.look(1280, 800, true)
		p.shoot(button + "-desktop-dark")
		_, err := chromedp.RunResponse(p.ctx, chromedp.Reload())
		require.NoError(t, err)
		require.Contains(t, p.text(), want)
		require.Len(t, b.records.published(), 1, "reload does not answer again")
		p.silent()
	}
}

func TestTheBrowserFindsTheOutcomeByItself(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.records.change(func(s *records) { s.verifierAway = true })
	p := newTab(chrome(t), t).person()
	p.look(390, 844, true)
	p.open(b.link)
	b.clock.forward(2 * time.Second)
	require.Contains(t, p.press("approve"), "Your answer is on its way…")
	p.shoot("waiting-phone-dark")
	b.records.change(func(s *records) { s.apply(verification.Answered{Decision: verification.Approve}) })
	require.NoError(t, chromedp.Do(p.ctx, chromedp.WaitVisible(chromedp.CSS("h1.good"))))
	p.silent()
}

// Without JavaScript, and under the page's own policy, only a real browser shows that it goes there.
func TestTheBrowserIsLedOnByItselfAndBackDoesNotTrap(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!doctype html><title>app</title><main class=app>Welcome back: %s, %q</main>", html.EscapeString(r.URL.String()), r.Referer())
	}))
	t.Cleanup(app.Close)
	b := start(t)
	b.records.change(func(s *records) { s.redirect = app.URL + "/done?for=ana&step=2" })
	p := newTab(chrome(t), t).person()
	p.look(390, 844, false)
	p.open(b.link)
	b.clock.forward(2 * time.Second)
	host := strings.TrimPrefix(app.URL, "http://")
	require.Contains(t, p.press("approve"), "Approved You are taken to "+host+" in a moment. Continue to "+host)
	p.shoot("leading-phone-light")
	require.NoError(t, chromedp.Do(p.ctx, chromedp.WaitVisible(chromedp.CSS("main.app"))))
	require.Equal(t, `Welcome back: /done?for=ana&step=2, ""`, p.text(), "nobody is told the link it came from")

	p.open(b.link)
	require.Contains(t, p.text(), "Approved You can close this page")
	require.Equal(t, "0", ask(p, chromedp.Evaluate[string](`String(document.querySelectorAll("meta[http-equiv]").length)`)))
	_, err := chromedp.RunResponse(p.ctx, chromedp.Click(chromedp.CSS("a.again")))
	require.NoError(t, err)
	require.Contains(t, p.text(), "Welcome back")
	p.silent()
}

// screen is what a page is looked at on.
type screen struct {
	name          string
	width, height int64
	dark          bool
}

var screens = []screen{
	{"phone-light", 390, 844, false},
	{"phone-dark", 390, 844, true},
	{"small", 500, 720, false},
	{"narrow", 320, 700, true},
	{"desktop-light", 1280, 800, false},
	{"desktop-dark", 1280, 800, true},
}

// fits asserts that nothing of a page is cut or too small, and on a small screen that it needs no scrolling.
func (p *tab) fits(s screen) {
	p.t.Helper()
	wide := ask(p, chromedp.Evaluate[float64](`document.documentElement.scrollWidth`))
	high := ask(p, chromedp.Evaluate[float64](`document.documentElement.scrollHeight`))
	button := ask(p, chromedp.Evaluate[float64](
		`Math.min(...[...document.querySelectorAll("button, #number")].map(b => b.getBoundingClientRect().height))`))
	require.LessOrEqual(p.t, wide, float64(s.width), "%s scrolls sideways", s.name)
	require.GreaterOrEqual(p.t, button, 48.0)
	if s.name == "small" {
		require.LessOrEqual(p.t, high, float64(s.height), "%s scrolls", s.name)
	}
}

func TestThePageFitsItsScreens(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.asksForANumber()
	b.records.change(func(s *records) {
		s.v.Brand, s.v.Context.Place = "Sparkasse Musterstadt-Umland", "Saint-Germain-en-Laye, Yvelines, France"
	})
	p := newTab(chrome(t), t).person()
	for _, lang := range []string{"en", "de", "es", "fr", "pt"} {
		for _, s := range screens {
			p.look(s.width, s.height, s.dark)
			p.open(b.link + "?lang=" + lang)
			p.fits(s)
			p.shoot("question-" + lang + "-" + s.name)
		}
	}
	b.records.change(func(s *records) {
		s.v.Brand, s.v.Context.Action = "Example Bank", "Payment"
		s.v.Context.Fields = []verification.Field{{Label: "Amount", Value: "€1,249.00"}, {Label: "Payee", Value: "Café Lumière Gesellschaft für Gastronomie mbH"}}
	})
	for _, s := range screens {
		p.look(s.width, s.height, s.dark)
		p.open(b.link)
		if s.name != "small" { // what is agreed to is worth a scroll
			p.fits(s)
		}
		size := `parseFloat(getComputedStyle(document.querySelector(SELECTOR)).fontSize)`
		bound := ask(p, chromedp.Evaluate[float64](strings.Replace(size, "SELECTOR", `".bound dd"`, 1)))
		heading := ask(p, chromedp.Evaluate[float64](strings.Replace(size, "SELECTOR", `"h1"`, 1)))
		require.Greater(t, bound, heading, "what is agreed to is largest")
		p.shoot("payment-" + s.name)
	}
	p.silent()
}
