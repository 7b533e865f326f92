package browsertest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// looks are what a tab pretends to be.
type looks struct {
	noScripts bool
	agent     string
	languages string
	media     map[string]string
}

// PersonsAgent is a browser that a person holds: without a screen Chromium says so otherwise.
const PersonsAgent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"

// Look sets the size of the page in CSS pixels, and whether the person prefers dark pages.
func (p *Tab) Look(width, height int64, dark bool) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height)))
	p.Prefers("prefers-color-scheme", map[bool]string{false: "light", true: "dark"}[dark])
}

// Prefers sets a media feature, such as "prefers-reduced-motion" to "reduce" or "forced-colors" to "active".
func (p *Tab) Prefers(feature, value string) {
	p.t.Helper()
	p.looks.media[feature] = value
	var params emulation.SetEmulatedMediaParams
	for name, v := range p.looks.media {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: name, Value: v})
	}
	Call(p, emulation.SetEmulatedMedia, params)
}

// Person makes the browser say that a person holds it.
func (p *Tab) Person() *Tab {
	p.t.Helper()
	p.looks.agent = PersonsAgent
	p.introduce()
	return p
}

// Speaks sets the language of the browser, such as "ar-EG": Accept-Language, navigator.languages and Intl.
func (p *Tab) Speaks(language string) *Tab {
	p.t.Helper()
	p.looks.languages = language
	if base, _, found := strings.Cut(language, "-"); found {
		p.looks.languages += "," + base
	}
	Call(p, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: strings.ReplaceAll(language, "-", "_")})
	p.introduce()
	return p
}

func (p *Tab) introduce() {
	p.t.Helper()
	agent := p.looks.agent
	if agent == "" {
		version, err := chromedp.CallBrowser(p.ctx, browser.GetVersion, cdp.Empty{})
		require.NoError(p.t, err)
		agent = version.UserAgent
	}
	Call(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: p.looks.languages})
}

// NoScripts is a person who allows none. It holds for pages that are opened from now on.
func (p *Tab) NoScripts() *Tab {
	p.t.Helper()
	p.looks.noScripts = true
	Call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return p
}

// Offline cuts the page and its service workers off, or connects them again; navigator.onLine says so. A worker that
// sleeps is woken for it. One that is stopped while it is offline comes back connected.
func (p *Tab) Offline(off bool) {
	p.t.Helper()
	var rules []*network.Conditions
	if off {
		rules = append(rules, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	}
	all := []context.Context{p.ctx}
	for _, scope := range p.workers.scopes() {
		all = append(all, p.wake(scope).ctx)
	}
	for _, ctx := range all {
		_, err := chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: rules})
		require.NoError(p.t, err)
		_, err = chromedp.Call(ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1})
		require.NoError(p.t, err)
	}
}

// Slow makes the page's processor slower by a factor; 1 is as fast as it is.
func (p *Tab) Slow(factor float64) {
	p.t.Helper()
	Call(p, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: factor})
}

const skewing = `{
	const Real = Date, by = %d
	globalThis.Date = class extends Real {
		constructor(...at) { at.length === 0 ? super(Real.now() + by) : super(...at) }
		static now() { return Real.now() + by }
	}
}`

// Skewed sets the clock of pages that are opened from now on wrong by a duration; that of service workers stays right.
func (p *Tab) Skewed(by time.Duration) {
	p.t.Helper()
	Call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf(skewing, by.Milliseconds())})
}
