package accept_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/accept"
	"github.com/assent-io/assent/services/internal/browsertest"
	"github.com/assent-io/assent/services/verification"
)

var update = flag.Bool("update", false, "write the tables of visitors in docs/links.md anew")

// Everybody who follows a link without being asked is imitated here against a page that asks for the number 47, and
// nothing may come of it: no answer, an open question, and a person who is heard afterwards. What was seen of
// each stands in docs/links.md.

const (
	desktopAgent  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	previewsAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4"

	// addressHeader says in these tests where a connection comes from.
	addressHeader = "Imitated-Address"
)

// asBrowsers are the headers with which a browser goes to a page.
func asBrowsers(agent string) []string {
	return []string{
		"User-Agent", agent, "Accept-Language", "en-GB,en;q=0.9",
		"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none",
	}
}

// program is an imitated visitor: it calls with its own headers.
type program struct {
	*browser
	header []string
}

func (b *bench) program(t *testing.T, header ...string) program {
	return program{b.browser(t.Context(), t), header}
}

// from is the same program at an address.
func (p program) from(address string) program {
	p.header = append(append([]string(nil), p.header...), addressHeader, address)
	return p
}

func (p program) head() { p.do(http.MethodHead, p.bench.link, nil, p.header...) }

func (p program) get() answer { return p.do(http.MethodGet, p.bench.link, nil, p.header...) }

// pressesAll submits the form of a page with every button.
func (p program) pressesAll(page answer) { p.fillsAndPresses(page, "") }

func (p program) fillsAndPresses(page answer, number string) {
	for _, decision := range []string{"approve", "deny", "not_me"} {
		p.do(http.MethodPost, p.bench.link, url.Values{"form": {page.form()}, "number": {number}, "decision": {decision}}, p.header...)
	}
}

// visitor is one row of the table.
type visitor struct {
	who, does string
	visits    func(t *testing.T, b *bench)
}

// looks is a visitor who asks for the page n times at once, with no memory of the time before.
func looks(n int, header ...string) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		for range n {
			b.program(t, header...).get()
		}
	}
}

var visitors = []visitor{
	{"Safe Links", "`HEAD` and `GET` from its networks, as a desktop's Chrome", func(t *testing.T, b *bench) {
		b.program(t, asBrowsers(desktopAgent)...).from("104.47.11.202:4711").head()
		b.program(t, asBrowsers(desktopAgent)...).from("40.107.3.9:4712").get()
	}},
	{"Safe Links, detonating", "`GET` from its networks; each button after 4 s, and again after 8 s", func(t *testing.T, b *bench) {
		p := b.program(t, asBrowsers(desktopAgent)...).from("[2a01:111:f403::9]:4711")
		page := p.get()
		for range 2 {
			b.clock.forward(4 * time.Second)
			p.pressesAll(page)
		}
	}},
	{"A scanner that submits forms", "keeps cookies, has a browser's headers; each button at once, and again after 2 s", func(t *testing.T, b *bench) {
		p := b.program(t, asBrowsers(desktopAgent)...)
		page := p.get()
		p.pressesAll(page)
		b.clock.forward(2 * time.Second)
		p.pressesAll(page)
		p.pressesAll(p.get())
	}},
	{"A scanner that fills forms in", "the same, with two digits in the field", func(t *testing.T, b *bench) {
		p := b.program(t, asBrowsers(desktopAgent)...)
		page := p.get()
		p.fillsAndPresses(page, "12")
		b.clock.forward(2 * time.Second)
		p.fillsAndPresses(page, "12")
	}},
	{"The same without cookies", "each button at once, and again after 10 s", func(t *testing.T, b *bench) {
		p := b.program(t, asBrowsers(desktopAgent)...)
		p.client.Jar = nil
		page := p.get()
		p.fillsAndPresses(page, "12")
		b.clock.forward(10 * time.Second)
		p.fillsAndPresses(page, "12")
	}},
	{"A sandbox that takes its time", "a library's headers; each button after 3 s, and again after 10 s", func(t *testing.T, b *bench) {
		p := b.program(t, "User-Agent", "python-requests/2.32.5")
		page := p.get()
		b.clock.forward(3 * time.Second)
		p.pressesAll(page)
		b.clock.forward(7 * time.Second)
		p.pressesAll(page)
	}},
	{"curl", "`GET`; each button after 5 s", func(t *testing.T, b *bench) {
		p := b.program(t, "User-Agent", "curl/8.17.0", "Accept", "*/*")
		page := p.get()
		b.clock.forward(5 * time.Second)
		p.pressesAll(page)
	}},
	{"Proofpoint-like", "six `GET` at once, as browsers of several kinds", func(t *testing.T, b *bench) {
		for i := range 6 {
			b.program(t, "User-Agent", []string{desktopAgent, previewsAgent}[i%2], "Accept-Language", "en-US").get()
		}
	}},
	{"Mimecast-like", "`HEAD`, then `GET` five times at once with cookies; each button after 3 s", func(t *testing.T, b *bench) {
		p := b.program(t, asBrowsers(desktopAgent)...)
		p.head()
		var page answer
		for range 5 {
			page = p.get()
		}
		b.clock.forward(3 * time.Second)
		p.pressesAll(page)
	}},
	{"Barracuda-like", "eight `GET` at once under its name", looks(8, "User-Agent", "Mozilla/5.0 (compatible; BarracudaCentral/1.0)")},
	{"Slack's preview", "`GET`", looks(1, "User-Agent", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)")},
	{"WhatsApp's preview", "`GET`", looks(1, "User-Agent", "WhatsApp/2.25.30.78 A")},
	{"Facebook's preview", "`GET` twice", looks(2, "User-Agent", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)")},
	{"X's preview", "`GET`", looks(1, "User-Agent", "Twitterbot/1.0")},
	{"iMessage's preview", "`GET`", looks(1, "User-Agent", previewsAgent+" facebookexternalhit/1.1 Facebot Twitterbot/1.0")},
	{"Telegram's preview", "`GET`", looks(1, "User-Agent", "TelegramBot (like TwitterBot)")},
	{"Gmail's proxy", "`GET`", looks(1, "User-Agent", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)")},
	{"Gmail in Chrome, loading ahead", "`GET` with `Sec-Purpose: prefetch`; each button after 5 s", func(t *testing.T, b *bench) {
		p := b.program(t, append(asBrowsers(desktopAgent), "Sec-Purpose", "prefetch;prerender")...)
		page := p.get()
		b.clock.forward(5 * time.Second)
		p.pressesAll(page)
	}},
	{"Apple's preview", "`GET` with `X-Purpose: preview`", looks(1, append(asBrowsers(previewsAgent), "X-Purpose", "preview")...)},
	{"Outlook's look ahead", "`HEAD` and `GET`", func(t *testing.T, b *bench) {
		p := b.program(t, "User-Agent", "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.19127; Pro; ms-office; MSOffice 16)")
		p.head()
		p.get()
	}},
	{"A browser without a screen", "Chromium; each button of each page it comes to, at once and again after 2 s", func(t *testing.T, b *bench) {
		p := newTab(browsertest.Start(t), t)
		p.Open(b.link)
		for range 2 {
			for _, button := range []string{"approve", "deny", "not_me"} {
				p.press(button)
			}
			b.clock.forward(2 * time.Second)
		}
	}},
	{"The same under another name", "Chromium as a desktop's Chrome; each button at once and again after 2 s", func(t *testing.T, b *bench) {
		p := newTab(browsertest.Start(t), t).person()
		p.Open(b.link)
		for range 2 {
			for _, button := range []string{"approve", "deny", "not_me"} {
				p.press(button)
			}
			b.clock.forward(2 * time.Second)
		}
	}},
}

// watched is a bench that speaks https, as pages do that people get, knows the networks of scanners, and asks for 47.
func watched(t *testing.T) *bench {
	t.Helper()
	server := func(h http.Handler) *httptest.Server {
		return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if address := r.Header.Get(addressHeader); address != "" {
				r.RemoteAddr = address
			}
			h.ServeHTTP(w, r)
		}))
	}
	b := serve(t, func(f func()) { t.Cleanup(f) }, server, func(c *accept.Config) {
		for _, network := range accept.ScannerNetworks() {
			c.ScannerNetworks = append(c.ScannerNetworks, netip.MustParsePrefix(network))
		}
	})
	b.asksForANumber()
	return b
}

// signs are what the page saw of its visitors so far.
func (b *bench) signs(t *testing.T) string {
	t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(t, err)
	var seen []string
	for _, f := range families {
		if f.GetName() != "assent_link_signs_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			seen = append(seen, "`"+m.GetLabel()[0].GetValue()+"`")
		}
	}
	if seen == nil {
		return "none"
	}
	return strings.Join(seen, ", ")
}

// untouched asserts that nothing came of a visit, and that a person is heard after it.
func (b *bench) untouched(t *testing.T) {
	t.Helper()
	require.Empty(t, b.records.published())
	require.Equal(t, verification.Pending, b.records.v.Status)
	require.Zero(t, b.records.v.ChecksUsed)
	ana := b.program(t, asBrowsers(browsertest.PersonsAgent)...)
	page := ana.get()
	b.clock.forward(2 * time.Second)
	require.Contains(t, ana.types(page.form(), "47", "approve", ana.header...).text(), "✓ Approved")
}

func TestNothingComesOfAnyProgram(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	for _, v := range visitors {
		t.Run(v.who, func(t *testing.T) {
			b := watched(t)
			v.visits(t, b)
			seen := b.signs(t)
			b.untouched(t)
			fmt.Fprintf(&table, "| %s | %s | %s |\n", v.who, v.does, seen)
		})
	}
	documented(t, "programs", "| Who | What it does | Signs |\n|---|---|---|\n"+table.String())
}

func TestAScannerAfterThePersonChangesNothing(t *testing.T) {
	t.Parallel()
	b := watched(t)
	b.untouched(t)
	for _, p := range []program{b.program(t, asBrowsers(desktopAgent)...), b.program(t, "User-Agent", "curl/8.17.0")} {
		page := p.get()
		require.Contains(t, page.text(), "Already answered")
		p.head()
		b.clock.forward(10 * time.Second)
		p.pressesAll(page)
	}
	require.Len(t, b.records.published(), 1)
	require.Equal(t, verification.Approved, b.records.v.Status)
}

// links is held by who changes docs/links.md: its tables come from tests that run side by side.
var links sync.Mutex

// documented asserts that a table stands in docs/links.md as it is; with -update it is put there.
func documented(t *testing.T, name, table string) {
	t.Helper()
	const path = "../../../docs/links.md"
	links.Lock()
	defer links.Unlock()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	before, rest, found := strings.Cut(string(b), begin)
	require.True(t, found, "docs/links.md has no place for the table of %s", name)
	was, after, found := strings.Cut(rest, end)
	require.True(t, found)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+begin+table+end+after), 0o644)) //nolint:gosec // it is a page to read
		return
	}
	require.Equal(t, table, was, "docs/links.md is of another program; go test ./httpapi/accept -update writes it anew")
}
