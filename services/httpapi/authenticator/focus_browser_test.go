package authenticator_test

import (
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/stretchr/testify/require"
)

// Who goes by the keyboard, or listens, stays where they are.
func TestTheFocusStaysWhereAPersonIs(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	p.Click(`nav a[href="#settings"]`)
	p.Click(`button[aria-label^="Rename"]`)
	p.Holds(`document.activeElement.matches(".account input")`)
	p.Type(".account input", "My bank")
	p.Press("Enter")
	p.Sees(".account h3", "My bank")
	p.Holds(`document.activeElement.matches(".account h3")`)
	for _, act := range []string{"Rename", "Remove"} {
		p.Click(`button[aria-label^="` + act + `"]`)
		p.Click(".account .row button:last-child")
		p.Sees(".account button", "Rename")
		p.Holds(`document.activeElement.matches(".account h3")`)
	}

	p.Click("#hide-codes")
	p.Click(`nav a[href="#codes"]`)
	p.Click(".reveal")
	p.Sees(".code", " ")
	p.Holds(`document.activeElement.matches(".code")`)
	p.JS(`Object.defineProperty(document, "hidden", { value: true, configurable: true }) && document.dispatchEvent(new Event("visibilitychange"))`)
	p.Sees(".reveal", "•••")
	p.Holds(`document.activeElement.matches(".reveal")`)
	p.JS(`delete document.hidden && document.dispatchEvent(new Event("visibilitychange"))`)

	b.Permit(t, s.URL, "notifications", browser.PermissionSettingDenied)
	p.Click(`nav a[href="#requests"]`)
	p.Sees("#notices", "Notifications are off.")
	p.JS(`document.querySelector('#notices a[href="#settings"]').focus()`)
	p.JS(`dispatchEvent(new Event("offline"))`)
	p.Sees("#notices", "Offline.")
	require.Equal(t, "true", p.JS(`document.activeElement.matches('#notices a[href="#settings"]')`))
	p.Sees("#notices .notice:first-child", "Offline.")
	p.Silent()
}
