// Package browsertest is the room for tests in a real browser: Debian's Chromium with a profile
// of its own, tabs that say what they see, and what a page must not do in any of them.
// Only tests import it.
package browsertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	chromium = "/usr/bin/chromium"
	// patience is how long a test waits for what a page must show or do.
	patience = time.Minute
	// lifetime is how long a tab may be used.
	lifetime = 10 * time.Minute
)

// Browser is a Chromium that runs until the test ends. Its tabs share cookies and storage.
type Browser struct {
	ctx   context.Context
	close func()
}

// Option says more to Chromium before it starts.
type Option = chromedp.ExecAllocatorOption

// Flag is one of Chromium's own flags, without its dashes.
func Flag(name string, value any) Option { return chromedp.Flag(name, value) }

// Start starts Chromium with a new profile.
func Start(t *testing.T, options ...Option) *Browser {
	t.Helper()
	return StartIn(t, t.TempDir(), options...)
}

// StartIn starts Chromium with the profile in a directory, which it makes where it is empty.
// To start again with the same profile, Close the first one.
func StartIn(t *testing.T, profile string, options ...Option) *Browser {
	t.Helper()
	wait(t)
	require.FileExists(t, chromium, "this test needs Debian's chromium")
	all := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		Flag("lang", "en-GB"),
		Flag("ignore-certificate-errors", true), // of the tests' own servers
		// A page that asks another machine for something fails, with or without a network.
		Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"))
	// Not the test's own context: it ends before the clean-up, which closes the browser in good order.
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(all, options...)...)
	ctx, _ = chromedp.NewContext(ctx)
	b := &Browser{ctx: ctx}
	b.close = sync.OnceFunc(func() {
		assert.NoError(t, chromedp.Cancel(ctx), "close chromium")
		stop()
	})
	t.Cleanup(b.close)
	require.NoError(t, chromedp.Do(ctx), "start chromium")
	return b
}

// Close ends the browser in good order, so that its profile is complete.
func (b *Browser) Close() { b.close() }

// Permit answers what pages of an origin ask the person for, such as "notifications", "camera" or
// "clipboard-read": browser.PermissionSettingGranted, Denied, or Prompt for not yet asked.
func (b *Browser) Permit(t *testing.T, origin, name string, setting browser.PermissionSetting) {
	t.Helper()
	_, err := chromedp.CallBrowser(b.ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: name}, Setting: setting, Origin: origin,
	})
	require.NoError(t, err, "set the permission %q", name)
}

// Call sends one command of the protocol to a tab.
func Call[P, R any](p *Tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	require.NoError(p.t, err, command.Method)
	return result
}

// Ask runs an action of chromedp in a tab.
func Ask[T any](p *Tab, action chromedp.Action[T]) T {
	p.t.Helper()
	result, err := chromedp.Run(p.ctx, action)
	require.NoError(p.t, err)
	return result
}
