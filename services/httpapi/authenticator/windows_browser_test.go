package authenticator_test

import (
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
)

// beside opens the page in another tab of the browser, after a script.
func beside(t *testing.T, s *service, b *browsertest.Browser, script string) *browsertest.Tab {
	t.Helper()
	p := b.Tab(t).Speaks("en-GB")
	browsertest.Call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	p.Look(390, 844, false)
	p.Open(s.page(""))
	p.Sees("h1", "No requests right now.")
	return p
}

// alone keeps a tab from hearing of others, as one that sleeps.
const alone = `window.BroadcastChannel = class { postMessage() {} }`

// The other tab goes on asking with the key from before, and is told that the device was replaced.
func TestATabLeavesAnAccountAloneThatWasJoinedAnewInAnother(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	other := beside(t, s, b, alone)
	other.Expect("status of 410")
	p.Open(s.page("join"))
	joins(p, s.renews(ana))
	p.Sees("h1", "No requests right now.")
	other.Click("#main .lower button") // Check now
	other.Holds(`import(new URL("accounts.js", document.querySelector("script[type=module]").src)).then(({ all }) => all())
		.then(({ accounts: [one] }) => !one.removed) && performance.getEntriesByType("resource").some((e) => e.responseStatus === 410)`)
	v := s.asks(ana)
	other.Sees("h1", "Is this you?")
	other.Gone("#notices .trouble")
	other.Type("#number", "47")
	other.Click("button.approve")
	other.Sees("h1", "Approved")
	require.NotEmpty(t, s.status(v))
	p.Reload()
	p.Sees("main", "Connected")
	p.Gone("#notices .trouble")
	other.Silent()
	p.Silent()
}

func TestAWindowThatIsOpenTakesOverWhatAnotherChanges(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	other := beside(t, s, b, `navigator.credentials.get = async () => { throw new DOMException("nobody is there", "NotAllowedError") }`)
	other.Click(`nav a[href="#codes"]`)
	other.Sees(".codes .code", " ")
	other.JS("window.stayed = true")
	p.Passkey(true)

	p.Open(s.page("join"))
	joins(p, s.invites("Shop", "a.k@example.com"))
	other.Sees(".codes", "Shop")
	p.Click(`nav a[href="#settings"]`)
	p.Click(`button[aria-label="Rename: Shop, a.k@example.com"]`)
	p.Type(`.account input`, "Corner")
	p.Click(`.account button[type=submit]`)
	other.Sees(".codes", "Corner")
	p.Click("#hide-codes")
	other.Gone(".code")
	p.Click(`button[aria-label="Remove: Corner, a.k@example.com"]`)
	p.Click(".account button.bad")
	other.Holds(`document.querySelectorAll(".codes li").length === 1`)

	p.Holds(`document.querySelectorAll(".account").length === 1`)
	p.Click("#unlock")
	p.Sees("#status", "Approving now needs your unlock.")
	s.asks(ana)
	other.Sees("h1", "Is this you?")
	other.Type("#number", "47")
	other.Click("button.approve")
	other.Sees("#fault", "This device wasn't unlocked, so nothing was approved.")
	require.Empty(t, s.answered())
	p.Click(`button[value="deny"]`)
	p.Sees("h1", "Denied.")
	p.Click(`nav a[href="#settings"]`)
	p.JS(`(() => { const s = document.getElementById("language"); s.value = "de"; s.dispatchEvent(new Event("change")); return true })()`)
	other.Sees("nav", "Einstellungen")

	p.Sees("h1", "Einstellungen")
	p.Click(`button[aria-label^="Entfernen"]`)
	p.Click(".account button.bad")
	other.Sees("h1", "Beitreten")
	require.Equal(t, "true", other.JS("window.stayed"))
	other.Silent()
	p.Silent()
}

// As on a phone, which does not tell what sleeps of anything.
func TestAWindowThatSleptReadsAnewOnceItIsSeen(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	other := beside(t, s, b, alone)
	other.Click(`nav a[href="#codes"]`)
	other.Sees(".codes .code", " ")
	p.Click(`nav a[href="#settings"]`)
	p.Click("#hide-codes")
	p.Holds(`import(new URL("accounts.js", document.querySelector("script[type=module]").src)).then(({ setting }) => setting("hideCodes"))`)
	other.JS(`document.dispatchEvent(new Event("visibilitychange"))`)
	other.Gone(".code")
	other.Silent()
}

func TestOnlyWhatChangedOfAnAccountIsStored(t *testing.T) {
	t.Parallel()
	_, _, p := open(t)
	require.Equal(t, "a name, a token; not there; joined anew, a name; removed", p.JS(
		`import(new URL("accounts.js", document.querySelector("script[type=module]").src)).then(async ({ add, all, remove, save }) => {
			const read = async () => (await all()).accounts[0]
			const one = await read(), other = await read(), said = []
			await save(one, { label: "a name" })
			await save(other, { pushToken: "a token" })
			const both = await read()
			said.push(both.label + ", " + both.pushToken)
			await add({ ...both, createdAt: both.createdAt + 1 })
			said.push(await save(one, { removed: { at: "2026-11-20T09:00:00Z", cause: "replaced" } }) ? "there" : "not there")
			const anew = await read()
			said.push((anew.removed ? "removed" : "joined anew") + ", " + anew.label)
			await Promise.all([remove(one.id), save(anew, { label: "late" })])
			said.push(await read() ? "there" : "removed")
			return said.join("; ")
		})`))
	p.Silent()
}
