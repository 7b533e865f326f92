package browsertest

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// axe is axe-core as published; testdata/README.md has its origin.
//
//go:embed testdata/axe-core-4.14.1/axe.min.js
var axe string

// violation is what axe reports.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target         []any
		FailureSummary string
	}
}

// settling waits for fonts, and for animations that have an end. A page that is half faded in has
// contrasts that nobody reads.
const settling = `Promise.all([document.fonts.ready, ...document.getAnimations()
	.filter(a => a.playState === "running" && Number.isFinite(a.effect.getComputedTiming().endTime)).map(a => a.finished.catch(() => {}))])`

// Target size is off in axe unless asked for. Frames are pages of their own. To load a stylesheet again is what the
// page's policy may refuse, and none of these rules needs it.
const running = `axe.run(document, {
	runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]},
	rules: {"target-size": {enabled: true}}, resultTypes: ["violations"], iframes: false, preload: false,
}).then(r => r.violations)`

// Axe fails where the page, as it is now, violates WCAG 2.2 A or AA or axe's own rules, and names the rule and the element.
func (p *Tab) Axe() {
	p.t.Helper()
	found := p.violations()
	require.Empty(p.t, found, "%s", strings.Join(found, "\n"))
}

func (p *Tab) violations() []string {
	p.t.Helper()
	if p.looks.noScripts { // axe is a script too
		Call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
		defer Call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	// Through the protocol, so that the page's policy has no say.
	if p.JS(`typeof axe`) != "object" {
		Ask(p, chromedp.Evaluate[chromedp.Void](axe))
	}
	Ask(p, chromedp.Evaluate[chromedp.Void](settling, chromedp.EvalAwaitPromise))
	var found []string
	for _, v := range Ask(p, chromedp.Evaluate[[]violation](running, chromedp.EvalAwaitPromise)) {
		for _, n := range v.Nodes {
			found = append(found, fmt.Sprintf("%s (%s) %v: %s. %s", v.ID, v.Impact, n.Target, v.Help, strings.Join(strings.Fields(n.FailureSummary), " ")))
		}
	}
	return found
}
