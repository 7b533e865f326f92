package accept_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
	"github.com/assent-io/assent/services/verification"
)

// The other half of the conformance test: people with real browsers, on the same page, are all heard.

// types puts a number into its field, as a keyboard does.
func (p *tab) types(number string) *tab {
	p.t.Helper()
	p.Type("#number", number)
	return p
}

// focused is the role of the element that is read first, or its name.
func (p *tab) focused() string {
	p.t.Helper()
	return p.JS(`document.activeElement.getAttribute("role") || document.activeElement.localName`)
}

// person is one row of the table.
type person struct {
	who, does, hears string
	acts             func(b *bench, p *tab) string // and reads
	status           verification.Status
	published        int
	signs            string
}

const (
	reads = 2 * time.Second
	// onEveryScreen are the first of the people: the others have a phone.
	onEveryScreen = 5
)

var people = []person{
	{"Approves", "types the number", "Approved", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		return p.types("47").press("approve")
	}, verification.Approved, 1, "none"},
	{"Denies", "presses Deny", "Denied.", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		return p.press("deny")
	}, verification.Denied, 1, "none"},
	{"Asked for nothing", "presses This wasn't me", "Thank you.", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		return p.press("not_me")
	}, verification.Denied, 1, "none"},
	{"Mistypes", "types a wrong number, then the right one", "Approved", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		require.Contains(p.t, p.types("74").press("approve"), doesNotMatch)
		require.Equal(p.t, "alert", p.focused())
		p.Shoot("wrong-number")
		b.clock.forward(reads)
		return p.types("47").press("approve")
	}, verification.Approved, 2, "none"},
	{"Mistypes twice", "types two wrong numbers", "Refused.", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		p.types("74").press("approve")
		b.clock.forward(reads)
		return p.types("74").press("approve")
	}, verification.Denied, 2, "none"},
	{"Approves with a space", "types the number as 4 7", "Approved", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		return p.types("4 7").press("approve")
	}, verification.Approved, 1, "none"},
	{"Forgets the number", "presses Approve, then types it", "Approved", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		require.Contains(p.t, p.press("approve"), askForNumber)
		require.Equal(p.t, "alert", p.focused())
		p.Shoot("no-number")
		return p.types("47").press("approve")
	}, verification.Approved, 1, "none"},
	{"Is in a hurry", "presses too soon, then again", "Approved", func(b *bench, p *tab) string {
		b.clock.forward(1200 * time.Millisecond)
		require.Contains(p.t, p.types("47").press("approve"), "Read the details, then press your answer again.")
		b.clock.forward(time.Second)
		return p.press("approve") // what was typed is still there
	}, verification.Approved, 1, "none"},
	{"Mistypes, then thinks", "types a wrong number, then presses This wasn't me", "Thank you.", func(b *bench, p *tab) string {
		b.clock.forward(reads)
		p.types("74").press("approve")
		b.clock.forward(reads)
		return p.press("not_me")
	}, verification.Denied, 2, "none"},
	{"Comes after the scanner", "opens the link while its mail is scanned, and presses Deny", "Denied.", func(b *bench, p *tab) string {
		for range 5 {
			b.program(p.t, asBrowsers(desktopAgent)...).get()
		}
		p.Open(b.link)
		b.clock.forward(reads)
		return p.press("deny")
	}, verification.Denied, 1, "`crowd`"},
}

func TestEveryPersonIsHeard(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for _, screen := range screens {
		if screen.name == "small" || screen.name == "narrow" {
			continue // for what fits, not for what is heard
		}
		p := newTab(browser, t).person()
		p.Look(screen.width, screen.height, screen.dark)
		for i, one := range people {
			if i >= onEveryScreen && screen.name != screens[0].name {
				continue
			}
			t.Run(screen.name+" "+one.who, func(t *testing.T) {
				b := watched(t)
				p := &tab{p.In(t), t}
				p.Open(b.link)
				require.Equal(t, "body", p.focused(), "reading comes first")
				require.Contains(t, one.acts(b, p), one.hears)
				p.Shoot(strings.ReplaceAll(strings.ToLower(one.who), " ", "-") + "-" + screen.name)
				require.Equal(t, one.status, b.records.v.Status)
				require.Len(t, b.records.published(), one.published)
				require.Equal(t, one.signs, b.signs(t))
				p.Reload()
				require.Contains(t, p.text(), one.hears)
				require.Len(t, b.records.published(), one.published, "reload does not answer again")
			})
		}
		p.Silent()
	}
	var table strings.Builder
	for _, one := range people {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", one.who, one.does, one.hears)
	}
	documented(t, "people", "| Who | What they do | What they are told |\n|---|---|---|\n"+table.String())
}

// Whoever looks like a program, behind a filter of headers or in a scanner's network, only has to press again.
func TestAPersonWhoLooksLikeAProgramIsHeardToo(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"from a scanner's network": append(asBrowsers(desktopAgent), addressHeader, "52.100.1.2:4711"),
		"without headers":          {"User-Agent", "Mozilla/5.0 (compatible)"},
		"named after one":          asBrowsers("Mozilla/5.0 HeadlessChrome/142.0.0.0 Safari/537.36"),
	} {
		for decision, status := range map[string]verification.Status{"deny": verification.Denied, "not_me": verification.Denied} {
			t.Run(name+" "+decision, func(t *testing.T) {
				t.Parallel()
				b := watched(t)
				ana := b.program(t, header...)
				page := ana.get()
				press := func(after time.Duration, number, decision string) answer {
					b.clock.forward(after)
					page = ana.types(page.form(), number, decision, ana.header...)
					return page
				}
				const again = "Read the details, then press your answer again."
				require.Contains(t, press(2*time.Second, "4", decision).text(), again, "the page must be looked at for longer")
				require.Contains(t, page.body, `value="4"`)
				require.Contains(t, press(5*time.Second, "", "approve").text(), askForNumber)
				require.Contains(t, press(0, "", otherThan(decision)).text(), again, "another button is another answer")
				require.Contains(t, press(2*time.Second, "", decision).text(), again)
				require.Contains(t, press(time.Second, "", decision).text(), again, "too soon for a second press")
				require.Empty(t, b.records.published())
				require.NotContains(t, press(time.Second, "", decision).text(), again)
				require.Equal(t, status, b.records.v.Status)
			})
		}
		t.Run(name+" with the number", func(t *testing.T) {
			t.Parallel()
			b := watched(t)
			ana := b.program(t, header...)
			page := ana.get()
			b.clock.forward(6 * time.Second)
			require.Contains(t, ana.types(page.form(), "47", "approve", ana.header...).text(), "Approved", "the number says that there is a person")
		})
		t.Run(name+" where no number is asked for", func(t *testing.T) {
			t.Parallel()
			b := watched(t)
			b.records.change(func(s *records) { s.v.NumberLength, s.v.NumberHash = 0, nil })
			ana := b.program(t, header...)
			page := ana.get()
			b.clock.forward(6 * time.Second)
			require.Contains(t, ana.press(page.form(), "approve", ana.header...).text(), "press your answer again")
			b.clock.forward(2 * time.Second)
			require.Contains(t, ana.press(page.form(), "approve", ana.header...).text(), "Approved")
		})
	}
}

func otherThan(decision string) string {
	if decision == "deny" {
		return "not_me"
	}
	return "deny"
}

// What was pressed in a second is remembered by the browser: a fresh page makes nobody less hasty.
func TestHasteIsRemembered(t *testing.T) {
	t.Parallel()
	b := watched(t)
	p := b.program(t, asBrowsers(desktopAgent)...)
	p.pressesAll(p.get())
	page := p.get()
	b.clock.forward(2 * time.Second)
	p.pressesAll(page)
	require.Empty(t, b.records.published())
	b.clock.forward(4 * time.Second)
	require.Contains(t, p.types(page.form(), "47", "approve", p.header...).text(), "Approved")
}
