package browsertest_test

import (
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
)

func TestAServiceWorkerOfflineAndPushed(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{
		"/":        page(`<p id="state">…</p>`),
		"/page.js": `navigator.serviceWorker.addEventListener("message", e => { document.getElementById("state").textContent = e.data }); navigator.serviceWorker.register("/worker.js")`,
		"/kept":    "kept",
		"/fresh":   "fresh",
		"/worker.js": `
			addEventListener("install", e => e.waitUntil(caches.open("v1").then(c => c.addAll(["/", "/page.js", "/kept"]))))
			addEventListener("activate", e => e.waitUntil(clients.claim()))
			addEventListener("fetch", e => e.respondWith(fetch(e.request).catch(() => caches.match(e.request)).then(r => r ?? Response.error())))
			addEventListener("push", e => e.waitUntil(self.registration.showNotification(e.data.json().title, {tag: "one"})
				.then(() => clients.matchAll()).then(all => all.forEach(c => c.postMessage("shown")))))`,
	})
	b := browsertest.Start(t)
	p := b.Tab(t)
	b.Permit(t, base, "notifications", browser.PermissionSettingGranted)
	p.Open(base + "/")
	worker := p.Worker()
	require.Equal(t, "fresh", worker.JS(`fetch("/fresh").then(r => r.text())`))
	require.Equal(t, "fresh", p.JS(`fetch("/fresh").then(r => r.text())`))

	p.Expect("ERR_INTERNET_DISCONNECTED", "ERR_FAILED")
	p.StopWorkers()
	p.Offline(true)
	worker = p.Worker()
	require.Equal(t, "false", p.JS(`navigator.onLine`))
	require.Equal(t, "kept", p.JS(`fetch("/kept").then(r => r.text())`))
	require.Equal(t, "TypeError", p.JS(`fetch("/fresh").then(r => r.text(), e => e.name)`))
	require.Equal(t, "TypeError", worker.JS(`fetch("/fresh").then(r => r.text(), e => e.name)`), "the worker is offline too")
	p.Reload()
	p.Sees("h1", "A page")
	p.Offline(false)
	require.Equal(t, "true fresh", p.JS(`fetch("/fresh").then(r => r.text()).then(t => navigator.onLine + " " + t)`))

	p.Push(`{"title":"Are you signing in?"}`)
	p.Sees("#state", "shown")
	require.Equal(t, "Are you signing in?", p.JS(`navigator.serviceWorker.ready.then(r => r.getNotifications()).then(all => all.map(n => n.title).join())`))
	p.Silent()
}

func TestAWorkerThatSleptIsWokenByAPush(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{
		"/":        page(`<p id="state">…</p>`),
		"/page.js": `navigator.serviceWorker.addEventListener("message", e => { document.getElementById("state").textContent = e.data }); navigator.serviceWorker.register("/worker.js")`,
		"/worker.js": `
			let pushes = 0
			addEventListener("activate", e => e.waitUntil(clients.claim()))
			addEventListener("push", e => e.waitUntil(clients.matchAll().then(all => all.forEach(c => c.postMessage(e.data.text() + " " + ++pushes)))))`,
	})
	p := browsertest.Start(t).Tab(t)
	p.Open(base + "/")
	p.Push("first")
	p.Sees("#state", "first 1")
	p.Push("second")
	p.Sees("#state", "second 2")
	p.StopWorkers()
	p.Push("third")
	p.Sees("#state", "third 1")
	p.Silent()
}
