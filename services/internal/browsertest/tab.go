package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// Tab is one page of a browser, with what the browser objected to in it.
type Tab struct {
	t        *testing.T
	ctx      context.Context
	browser  *Browser
	closeTab func()
	faults   *faults
	workers  *workers
	looks    *looks
}

// Tab opens an empty tab. It closes when the test ends.
func (b *Browser) Tab(t *testing.T) *Tab {
	t.Helper()
	p := &Tab{t: t, browser: b, faults: &faults{}, workers: newWorkers(t), looks: &looks{media: map[string]string{}}}
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithListener(p.faults.hear), chromedp.WithListener(p.workers.hear))
	t.Cleanup(closeTab)
	require.NoError(t, chromedp.Do(ctx), "open a tab") // without a deadline: it would be the tab's
	ctx, cancel := context.WithTimeout(ctx, lifetime)
	t.Cleanup(cancel)
	p.ctx, p.closeTab = ctx, closeTab
	Call(p, audits.Enable, cdp.Empty{})
	Call(p, serviceworker.Enable, cdp.Empty{})
	return p
}

// In is the same tab in a subtest.
func (p *Tab) In(t *testing.T) *Tab {
	t.Helper()
	q := *p
	q.t = t
	return &q
}

// Ctx is for chromedp, where no method says what is needed.
func (p *Tab) Ctx() context.Context { return p.ctx }

// Close closes the tab, as a person does.
func (p *Tab) Close() { p.closeTab() }

// Open goes to an address and waits until the page has loaded. A page that goes on by itself may get in between: then it
// goes there once more.
func (p *Tab) Open(url string) {
	p.t.Helper()
	var err error
	p.until(func() bool {
		err = chromedp.Do(p.ctx, chromedp.Navigate(url))
		var ended *chromedp.LoadError
		return !errors.As(err, &ended) || ended.ErrorText != "net::ERR_ABORTED"
	})
	require.NoError(p.t, err, "open %s", url)
}

// Reload loads the page again.
func (p *Tab) Reload() {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Reload()))
}

// Back goes to the page before, which may come as it was left and load nothing. Sees says when it is there.
func (p *Tab) Back() {
	p.t.Helper()
	Ask(p, chromedp.Evaluate[chromedp.Void](`history.back()`))
}

// Click clicks what a selector finds, once it is visible.
func (p *Tab) Click(selector string) {
	p.t.Helper()
	p.soon("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Follow clicks and waits until the page that follows has loaded.
func (p *Tab) Follow(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	require.NoError(p.t, err, "follow %s. The page shows:\n%s", selector, p.shown())
}

// Type types text into what a selector finds, behind what stands there.
func (p *Tab) Type(selector, text string) {
	p.t.Helper()
	p.soon("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

var keys = map[string]string{
	"Enter": kb.Enter, "Tab": kb.Tab, "Escape": kb.Escape, "Space": " ", "Backspace": kb.Backspace, "Home": kb.Home, "End": kb.End,
	"ArrowUp": kb.ArrowUp, "ArrowDown": kb.ArrowDown, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
}

// Press presses a key where the focus is: by its name ("Enter", "Shift+Tab"), or what it writes.
func (p *Tab) Press(key string) {
	p.t.Helper()
	var options []chromedp.KeyOption
	if bare, ok := strings.CutPrefix(key, "Shift+"); ok {
		key, options = bare, append(options, chromedp.KeyModifiers(chromedp.ModifierShift))
	}
	if named, ok := keys[key]; ok {
		key = named
	}
	p.soon("press a key", chromedp.KeyEvent(key, options...))
}

func (p *Tab) soon(what string, action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, action), "%s. The page shows:\n%s", what, p.shown())
}

// JS evaluates an expression, waits where it is a promise (a minute at most), and gives its result as a string.
func (p *Tab) JS(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, stringOf(expression))
	require.NoError(p.t, err, "%s. The page shows:\n%s\nThe browser objects to: %v", expression, p.shown(), p.faults.list())
	return v
}

func stringOf(expression string) chromedp.Action[string] {
	return chromedp.Evaluate[string]("(v => v instanceof Promise ? v.then(String) : String(v))(("+expression+"))", chromedp.EvalAwaitPromise)
}

// Sees waits until an element is visible and its text, or what is typed into it, has the words in it;
// spaces and line ends count as one space. It survives pages that follow each other.
func (p *Tab) Sees(selector, words string) {
	p.t.Helper()
	if !p.until(func() bool { return p.finds(selector, words) }) {
		require.FailNowf(p.t, "not seen", "%q in %s. The page shows:\n%s\nThe browser objects to: %v", words, selector, p.shown(), p.faults.list())
	}
}

// Gone waits until no element of a selector is visible.
func (p *Tab) Gone(selector string) {
	p.t.Helper()
	if !p.until(func() bool { return !p.finds(selector, "") }) {
		require.FailNowf(p.t, "still there", "%s. The page shows:\n%s", selector, p.shown())
	}
}

// Holds waits until an expression, or what it promises, is true.
func (p *Tab) Holds(expression string) {
	p.t.Helper()
	if !p.until(func() bool {
		v, err := chromedp.Run(p.ctx, stringOf("Promise.resolve("+expression+").then(Boolean)"))
		return err == nil && v == "true"
	}) {
		require.FailNowf(p.t, "does not hold", "%s. The page shows:\n%s\nThe browser objects to: %v", expression, p.shown(), p.faults.list())
	}
}

// Text is the text of the first visible element of a selector, with single spaces. It waits for one, as Sees does:
// a page that looks again by itself is empty for a moment.
func (p *Tab) Text(selector string) string {
	p.t.Helper()
	return p.read("text of "+selector, fmt.Sprintf("%s(%s)?.innerText.replace(/\\s+/g, ' ').trim()", visible, quoted(selector)))
}

// Link is where the first visible link of a selector leads. It waits for one, as Text does.
func (p *Tab) Link(selector string) string {
	p.t.Helper()
	return p.read("link "+selector, fmt.Sprintf("%s(%s)?.href", visible, quoted(selector)))
}

// Has says whether the page, once it has loaded, has a visible element of a selector.
func (p *Tab) Has(selector string) bool {
	p.t.Helper()
	return p.read("whether there is "+selector, fmt.Sprintf("document.readyState === 'complete' ? %s(%s) !== undefined : undefined", visible, quoted(selector))) == "true"
}

// read asks again and again until an expression has a value: the page under the question may go away.
func (p *Tab) read(what, expression string) string {
	p.t.Helper()
	var got string
	if !p.until(func() bool {
		found, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string]("["+expression+"].filter(v => v !== undefined).map(String)"))
		var wrong *chromedp.ExceptionError
		require.NotErrorAs(p.t, err, &wrong, what)
		if len(found) == 1 {
			got = found[0]
		}
		return err == nil && len(found) == 1
	}) {
		require.FailNowf(p.t, "not read", "%s. The page shows:\n%s\nThe browser objects to: %v", what, p.shown(), p.faults.list())
	}
	return got
}

const visible = `(selector => [...document.querySelectorAll(selector)].find(e => e.checkVisibility({visibilityProperty: true})))`

const finding = `((selector, words) => [...document.querySelectorAll(selector)].some(e => e.checkVisibility({visibilityProperty: true}) &&
	(e.innerText + ' ' + (e.value ?? '')).replace(/\s+/g, ' ').includes(words)))`

func (p *Tab) finds(selector, words string) bool {
	p.t.Helper()
	found, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](fmt.Sprintf("%s(%s, %s)", finding, quoted(selector), quoted(words))))
	var wrong *chromedp.ExceptionError
	require.NotErrorAs(p.t, err, &wrong, "the selector %q", selector)
	return err == nil && found // an error otherwise: the page under the question went away
}

// quoted is a string in JavaScript.
func quoted(s string) string {
	q, _ := json.Marshal(s) // a string has no way to fail
	return string(q)
}

func (p *Tab) shown() string {
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return "(nothing that can be read: " + err.Error() + ")"
	}
	return text
}

// until asks again and again, and says whether it came to hold.
func (p *Tab) until(holds func() bool) bool {
	again, late := time.NewTicker(20*time.Millisecond), time.NewTimer(patience)
	defer again.Stop()
	defer late.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-late.C:
			return holds()
		case <-p.ctx.Done():
			return false
		}
	}
	return true
}

// Shoot keeps a picture for people; `go test -artifacts` says where.
func (p *Tab) Shoot(name string) {
	p.t.Helper()
	png := Ask(p, chromedp.CaptureScreenshot())
	require.NoError(p.t, os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), png, 0o600))
}
