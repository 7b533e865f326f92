package authenticator_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/internal/browsertest"
)

func TestAPushShowsWhatIsAskedAndAPressLeadsThere(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	b.Permit(t, s.URL, "notifications", browser.PermissionSettingGranted)
	p.Reload()
	p.Sees("h1", "No requests right now.")
	p.Click(`nav a[href="#codes"]`)
	worker := p.Worker()
	// Whoever asks for the notifications while the first one is being shown makes Chromium forget it.
	worker.JS(`(show => { self.shown = 0; self.registration.showNotification = async (...all) => { await show(...all); self.shown++ } })(
		self.registration.showNotification.bind(self.registration))`)
	shown := func(n string) {
		require.Eventually(t, func() bool { return worker.JS(`self.shown`) == n }, 30*time.Second, 20*time.Millisecond)
	}
	v := s.asks(ana, func(v *prompt) { v.NumberLength = 0 })
	p.Sees("h1", "Is this you?") // from the codes, by itself
	payload, err := json.Marshal(map[string]string{
		"verification_id": v.VerificationID, "brand": "Example Bank", "title": "Are you signing in?", "body": "Near Lyon · 203.0.113.7",
		"respond_to": s.URL + "/v1/verifications/" + v.VerificationID + "/responses",
	})
	require.NoError(t, err)
	p.Push(string(payload))
	shown("1")
	require.Equal(t, "Are you signing in?|Near Lyon · 203.0.113.7|"+v.VerificationID, worker.JS(
		`self.registration.getNotifications().then(([n]) => [n.title, n.body, n.tag].join("|"))`))
	require.Equal(t, "0", worker.JS(`self.registration.getNotifications().then(([n]) => n.actions?.length ?? 0)`), "no button approves")

	// The page that is open comes to the front, on what is asked. A press that a test makes up may not do all that a real one may.
	p.Expect("script constructed ExtendableEvent")
	p.Click(`nav a[href="#settings"]`)
	p.Sees("#notices", "A request from Example Bank is waiting.")
	worker.JS(`(async () => {
		const [notification] = await self.registration.getNotifications()
		const e = new NotificationEvent("notificationclick", { notification })
		self.dispatchEvent(e)
		return true
	})()`)
	p.Sees("h1", "Is this you?")
	require.Equal(t, api.StatusPending, s.status(v))
	approves(p)
	p.Sees("h1", "Approved")
	p.Holds(`navigator.serviceWorker.ready.then(r => r.getNotifications()).then(all => all.length === 0)`)

	// What is not JSON, or says nothing, is shown all the same.
	p.Push("hello")
	shown("2")
	p.Holds(`navigator.serviceWorker.ready.then(r => r.getNotifications()).then(([n]) => n?.title === "Authenticator")`)
	p.Silent()
}

const serverKey = "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"

func TestASubscriptionIsToldAndItsLossToo(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	subscriptions := `(() => {
		window.keys = []
		let current = null
		const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
		PushManager.prototype.getSubscription = async () => current
		PushManager.prototype.subscribe = async (options) => {
			window.keys.push(encode(options.applicationServerKey))
			const n = window.keys.length
			return current = {
				options: { applicationServerKey: options.applicationServerKey.buffer },
				unsubscribe: async () => { current = null; return true },
				toJSON: () => ({ endpoint: "https://push.example/" + n, expirationTime: null, keys: { p256dh: "p", auth: "a" } }),
			}
		}
		return true
	})()`
	p.Holds("navigator.serviceWorker.controller !== null") // it tells by itself once there is one
	p.JS(subscriptions)
	p.Click(`nav a[href="#settings"]`)
	p.Sees(".settings", "This server sends no notifications to pages.")
	s.alter(func() {
		s.webPush = map[string]string{"service": "browser", "public_key": serverKey}
	})
	p.JS(`document.dispatchEvent(new Event("visibilitychange"))`)
	p.Sees(".settings", "Notifications are off. Requests appear only while this page is open.")
	require.Equal(t, "0", p.JS("window.keys.length"), "nothing is asked before a press")
	b.Permit(t, s.URL, "notifications", browser.PermissionSettingGranted)
	p.JS(`document.dispatchEvent(new Event("visibilitychange"))`)
	p.Sees(".settings", "On. Requests reach you while this page is closed.")
	require.JSONEq(t, `{"endpoint":"https://push.example/1","keys":{"p256dh":"p","auth":"a"}}`, s.of(ana).token)

	// Another key of the server needs another subscription; the same one does not.
	token := func(key string) string {
		return p.JS(`import(new URL("push.js", document.querySelector("script[type=module]").src)).then((m) => m.token({ service: "browser", public_key: "` + key + `" }))`)
	}
	require.Contains(t, token(serverKey), "push.example/1")
	require.Contains(t, token("BLnGKyRTMIxNYdRHwMnmF7gmpXQ0zLmjmQq1eFwkGMMGrDhHJ6ZLQ7c6mQmDUy3HxnuUoGgVD1tSf2g4U7L9B9k"), "push.example/2")

	b.Permit(t, s.URL, "notifications", browser.PermissionSettingDenied)
	p.JS(`document.dispatchEvent(new Event("visibilitychange"))`)
	p.Sees(".settings", "Notifications are off. Requests appear only while this page is open.")
	p.Sees(".settings", "How to turn them on")
	p.Click(".settings details summary")
	p.Sees(".settings details", "They are blocked in the browser.")
	require.Eventually(t, func() bool { return s.of(ana).token == "" }, patience, pause, "the server is told that nothing reaches the page any more")
	p.Click(`nav a[href="#requests"]`)
	p.Sees("#notices", "Notifications are off. Requests appear only while this page is open.")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Silent()
}

// The worker cannot be installed for now.
func TestAPersonJoinsAlsoWithoutAWorker(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.webPush = map[string]string{"service": "browser", "public_key": serverKey}
	b := browsertest.Start(t)
	p := b.Tab(t).Speaks("en-GB")
	b.Permit(t, s.URL, "notifications", browser.PermissionSettingGranted)
	browsertest.Call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `(register => { ServiceWorkerContainer.prototype.register = async function (...all) {
				window.install = () => register.apply(this, all)
				return new EventTarget()
			} })(ServiceWorkerContainer.prototype.register)
			PushManager.prototype.getSubscription = async () => null
			PushManager.prototype.subscribe = async () => ({
				options: {}, toJSON: () => ({ endpoint: "https://push.example/1", expirationTime: null, keys: { p256dh: "p", auth: "a" } }),
			})`,
	})
	p.Open(s.page(""))
	joins(p, s.invites("Example Bank", ana))
	p.Sees("main", "Connected")
	require.Empty(t, s.of(ana).token)
	p.JS(`window.install().then(() => true)`)
	require.Eventually(t, func() bool { return s.of(ana).token != "" }, patience, pause, "a worker that comes late is used")
	p.Sees("main", "Notifications: on")
	p.Silent()
}

func TestAWorkerWithoutAPageTellsOfANewSubscription(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	worker := p.Worker()
	worker.JS(`tell({ endpoint: "https://push.example/9", keys: { p256dh: "p", auth: "a" } }).then(() => true)`)
	require.JSONEq(t, `{"endpoint":"https://push.example/9","keys":{"p256dh":"p","auth":"a"}}`, s.of(ana).token)
	p.Silent()
}

// An enrolment or an answer page of the same origin cannot tell the server.
func TestAPageOfAnotherKindDoesNotKeepTheWorkerFromTelling(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	worker := p.Worker()
	p.Expect("script constructed ExtendableEvent", "status of 404")
	p.Open(s.URL + "/enrol/")
	worker.JS(`(() => {
		const e = new ExtendableEvent("pushsubscriptionchange")
		e.newSubscription = { toJSON: () => ({ endpoint: "https://push.example/9", keys: { p256dh: "p", auth: "a" } }) }
		self.dispatchEvent(e)
	})()`)
	require.Eventually(t, func() bool { return s.of(ana).token != "" }, patience, pause)
	require.JSONEq(t, `{"endpoint":"https://push.example/9","keys":{"p256dh":"p","auth":"a"}}`, s.of(ana).token)
	p.Silent()
}

// The server refuses the second of two changes that were signed in the same moment.
func TestOfTwoPagesOneTellsOfANewSubscription(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	q := b.Tab(t).Speaks("en-GB")
	q.Open(s.page(""))
	q.Sees("h1", "No requests right now.")
	arrived, held := make(chan struct{}, 9), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(held) })
	t.Cleanup(letGo)
	s.alter(func() {
		s.changing = func() {
			arrived <- struct{}{}
			<-held
		}
	})
	tell := `(() => {
		const base = document.querySelector("script[type=module]").src
		window.told = Promise.all(["push.js", "accounts.js"].map((name) => import(new URL(name, base)))).then(async ([push, accounts]) => {
			const [account] = (await accounts.all()).accounts
			window.telling = true
			await push.tell(account, "{}")
			return account.pushToken
		})
		return true
	})()`
	p.JS(tell)
	<-arrived
	q.JS(tell)
	q.Holds("window.telling && navigator.locks.query().then(({ pending }) => pending.length === 1)")
	letGo()
	require.Equal(t, []string{"{}", "{}"}, []string{p.JS("told"), q.JS("told")})
	require.Empty(t, arrived, "it was told once")
	p.Silent()
	q.Silent()
}

func TestANewVersionTakesOverWithoutDisturbing(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Holds("navigator.serviceWorker.controller !== null")
	p.Reload()
	p.Sees("h1", "No requests right now.")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Type("#number", "4")
	p.JS("window.stayed = true")

	s.reload("https://another.example") // another public URL is another version
	p.JS(`navigator.serviceWorker.ready.then((r) => r.update()).then(() => true)`)
	p.Sees("#notices", "A new version is ready.")
	require.Equal(t, "true", p.JS("window.stayed"), "nobody is disturbed while they answer")
	p.Type("#number", "7")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	require.Equal(t, "true", p.JS("window.stayed"), "the end is seen")
	p.Click("#main .lower button")
	p.Holds(`window.stayed === undefined && document.querySelector("link[rel=canonical]")?.href.startsWith("https://another.example")`)
	p.Sees("h1", "No requests right now.")
	require.Equal(t, "1", p.JS(`caches.keys().then((all) => all.filter((name) => name.startsWith("authenticator-")).length - 1)`), "the version before stays for pages that are open")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Silent()
}

func TestTheWorkerIsAskedForAnew(t *testing.T) {
	t.Parallel()
	s := serve(t)
	first := get(t, s, "sw.js", nil)
	require.Equal(t, "no-cache", first.Header.Get("Cache-Control"))
	s.reload("https://another.example")
	require.NotEqual(t, first.body, get(t, s, "sw.js", nil).body)
	require.Equal(t, 1, strings.Count(first.body, `const version = "`))
}

func TestAnApprovalIsUnlocked(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	key := p.Passkey(true)
	p.Click(`nav a[href="#settings"]`)
	p.Click("#unlock")
	p.Sees("#status", "Approving now needs your unlock.")
	require.Len(t, key.Credentials(), 1)
	shoot(p, "unlock")
	p.Axe()

	key.Verified(false)
	v := s.asks(ana)
	p.Sees("h1", "Is this you?") // the page goes there by itself
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("#fault", "This device wasn't unlocked, so nothing was approved. Press Approve to try again; refusing needs no unlock.")
	require.Empty(t, s.answered())
	require.Equal(t, "47", p.JS(`document.getElementById("number").value`))
	key.Verified(true)
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	require.Equal(t, api.StatusApproved, s.status(v))

	key.Verified(false)
	p.Click("#main .lower button")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Click(`button[value="deny"]`)
	p.Sees("h1", "Denied.")

	// Only who can unlock ends it.
	p.Click(`nav a[href="#settings"]`)
	p.Click("#unlock")
	p.Holds(`!document.getElementById("unlock").disabled && document.getElementById("unlock").checked`)
	key.Verified(true)
	p.Click("#unlock")
	p.Sees("#status", "Approving needs no unlock any more.")
	p.Silent()
}

func TestAnUnlockThatIsLostEndsWithTheLastAccount(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	key := p.Passkey(true)
	p.Click(`nav a[href="#settings"]`)
	p.Click(`.settings a[href="#join"]`)
	joins(p, s.invites("Shop", "a.k@example.com"))
	p.Click(`nav a[href="#settings"]`)
	p.Click("#unlock")
	p.Sees("#status", "Approving now needs your unlock.")
	key.Verified(false)

	p.Click(`button[aria-label="Remove: Shop, a.k@example.com"]`)
	p.Click(".account button.bad")
	p.Holds(`document.querySelectorAll(".account").length === 1 && document.getElementById("unlock")?.checked`) // the other account has it still
	p.Click(`button[aria-label^="Remove"]`)
	p.Click(".account button.bad")
	joins(p, s.invites("Example Bank", "again@example.com"))
	v := s.asks("again@example.com")
	p.Sees("h1", "Is this you?")
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	require.Equal(t, api.StatusApproved, s.status(v))
	p.Click(`nav a[href="#settings"]`)
	p.Holds(`document.getElementById("unlock")?.checked === false`)
	p.Silent()
}
