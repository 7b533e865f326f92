package accept_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
	"github.com/assent-io/assent/services/verification"
)

// tab is a page of a real browser that runs no scripts.
type tab struct {
	*browsertest.Tab
	t *testing.T
}

func newTab(b *browsertest.Browser, t *testing.T) *tab {
	t.Helper()
	p := b.Tab(t).NoScripts()
	p.Expect("the server responded with a status of") // an answer that does not count is no fault of the page
	return &tab{p, t}
}

func (p *tab) person() *tab {
	p.t.Helper()
	p.Person()
	return p
}

// press clicks an answer and reads the page that follows.
func (p *tab) press(button string) string {
	p.t.Helper()
	p.Follow(`button[value="` + button + `"]`)
	return p.text()
}

func (p *tab) text() string {
	p.t.Helper()
	return p.Text("main")
}

func (p *tab) number(expression string) float64 {
	p.t.Helper()
	return browsertest.Ask(p.Tab, chromedp.Evaluate[float64](expression))
}

func TestARealBrowserWithoutScripts(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for button, want := range map[string]string{"approve": "Approved", "deny": "Denied.", "not_me": "Thank you."} {
		b := start(t)
		p := newTab(browser, t).person()
		p.Look(390, 844, false)
		p.Open(b.link)
		b.clock.forward(time.Second)
		require.Contains(t, p.press(button), "Read the details, then press your answer again.", "pressed too soon")
		require.Empty(t, b.records.published())
		p.Holds(`document.activeElement.getAttribute("role") === "alert"`) // what is wrong is read first
		if button == "approve" {
			p.Shoot("too-soon-phone-light")
		}
		b.clock.forward(2 * time.Second)
		require.Contains(t, p.press(button), want)
		require.Len(t, b.records.published(), 1)
		p.Shoot(button + "-phone-light")
		p.Look(1280, 800, true)
		p.Shoot(button + "-desktop-dark")
		p.Reload()
		require.Contains(t, p.text(), want)
		require.Len(t, b.records.published(), 1, "reload does not answer again")
		p.Silent()
	}
}

func TestTheBrowserFindsTheOutcomeByItself(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.records.change(func(s *records) { s.verifierAway = true })
	p := newTab(browsertest.Start(t), t).person()
	p.Look(390, 844, true)
	p.Open(b.link)
	b.clock.forward(2 * time.Second)
	require.Contains(t, p.press("approve"), "Your answer is on its way…")
	p.Shoot("waiting-phone-dark")
	b.records.change(func(s *records) { s.apply(verification.Answered{Decision: verification.Approve}) })
	p.Sees("h1.good", "Approved")
	p.Silent()
}

// elsewhere is the app that a page leads on to. A browser that comes stays on the page that it has until the app opens,
// so that a test may look at that one for as long as it takes.
func elsewhere(t *testing.T) (base string, opens func()) {
	t.Helper()
	opened := make(chan struct{})
	opens = sync.OnceFunc(func() { close(opened) })
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-opened
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!doctype html><title>app</title><link rel=icon href='data:,'><main class=app>Welcome back: %s, %q</main>", html.EscapeString(r.URL.String()), r.Referer())
	}))
	t.Cleanup(func() {
		opens()
		app.Close()
	})
	return app.URL, opens
}

// Without JavaScript, and under the page's own policy, only a real browser shows that it goes there.
func TestTheBrowserIsLedOnByItselfAndBackDoesNotTrap(t *testing.T) {
	t.Parallel()
	app, opens := elsewhere(t)
	b := start(t)
	b.records.change(func(s *records) { s.redirect = app + "/done?for=ana&step=2" })
	p := newTab(browsertest.Start(t), t).person()
	p.Look(390, 844, false)
	p.Open(b.link)
	b.clock.forward(2 * time.Second)
	host := strings.TrimPrefix(app, "http://")
	require.Contains(t, p.press("approve"), "Approved You are taken to "+host+" in a moment. Continue to "+host)
	p.Shoot("leading-phone-light")
	opens()
	p.Sees("main.app", "Welcome back")
	require.Equal(t, `Welcome back: /done?for=ana&step=2, ""`, p.text(), "nobody is told the link it came from")

	p.Open(b.link)
	require.Contains(t, p.text(), "Approved You can close this page")
	require.Equal(t, "0", p.JS(`document.querySelectorAll("meta[http-equiv]").length`))
	p.Follow("a.button")
	require.Contains(t, p.text(), "Welcome back")
	p.Silent()
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
	wide := p.number(`document.documentElement.scrollWidth`)
	high := p.number(`document.documentElement.scrollHeight`)
	button := p.number(`Math.min(...[...document.querySelectorAll("button, #number")].map(b => b.getBoundingClientRect().height))`)
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
	p := newTab(browsertest.Start(t), t).person()
	for _, lang := range []string{"en", "de", "es", "fr", "pt", "hi", "ar"} {
		for _, s := range screens {
			p.Look(s.width, s.height, s.dark)
			p.Open(b.link + "?lang=" + lang)
			p.fits(s)
			p.Shoot("question-" + lang + "-" + s.name)
		}
	}
	b.records.change(func(s *records) {
		s.v.Brand, s.v.Context.Action = "Example Bank", "Payment"
		s.v.Context.Fields = []verification.Field{{Label: "Amount", Value: "€1,249.00"}, {Label: "Payee", Value: "Café Lumière Gesellschaft für Gastronomie mbH"}}
	})
	for _, s := range screens {
		p.Look(s.width, s.height, s.dark)
		p.Open(b.link)
		if s.name != "small" { // what is agreed to is worth a scroll
			p.fits(s)
		}
		size := `parseFloat(getComputedStyle(document.querySelector(SELECTOR)).fontSize)`
		bound := p.number(strings.Replace(size, "SELECTOR", `".bound dd"`, 1))
		heading := p.number(strings.Replace(size, "SELECTOR", `"h1"`, 1))
		require.Greater(t, bound, heading, "what is agreed to is largest")
		p.Shoot("payment-" + s.name)
	}
	p.Silent()
}
