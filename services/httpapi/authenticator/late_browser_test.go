package authenticator_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
)

// without answers as a process of another version does, which has none of the files, for so many requests of them.
func without(file string, times int) func(http.ResponseWriter, *http.Request, http.Handler) {
	var left atomic.Int64
	left.Store(int64(times))
	return func(w http.ResponseWriter, r *http.Request, page http.Handler) {
		if strings.Contains(r.URL.Path, "/assets/") && strings.HasSuffix(r.URL.Path, file) && left.Add(-1) >= 0 {
			http.NotFound(w, r)
			return
		}
		page.ServeHTTP(w, r)
	}
}

// A page that is loaded while processes of two versions answer at one address.
func TestAPageThatLacksFilesIsLoadedAnew(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"module": "/requests.js", "start": "/main.js", "style": ".css", "language": "/words/en.js"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.between = without(file, 2)
			p := browsertest.Start(t).Tab(t)
			p.Expect("status of 404", "Failed to fetch dynamically imported module", "not a supported stylesheet MIME type")
			p.Open(s.page(""))
			p.Sees("h1", "Join")
			p.Holds(`sessionStorage.getItem("authenticator-loads") === "0" && document.styleSheets.length === 1`)
			p.Silent()
		})
	}
}

func TestAPageThatNeverGetsItsFilesSaysSo(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"module": "/requests.js", "language": ".js"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.between = without(file, 1<<20)
			p := browsertest.Start(t).Tab(t).Speaks("de-DE")
			p.Expect("status of 404", "Failed to fetch dynamically imported module")
			p.Look(390, 844, false)
			p.Open(s.page(""))
			p.Sees(`#view [role="alert"]`, "Diese Seite wurde nicht vollständig geladen.")
			shoot(p, "late")
			p.Axe()
			s.alter(func() { s.between = nil })
			p.Follow("#view button")
			p.Sees("h1", "Beitreten")
			p.Silent()
		})
	}
}

// A worker keeps a page with the files that it names, or none.
func TestAWorkerKeepsNoPageOfAnotherVersion(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Holds("navigator.serviceWorker.controller !== null")
	s.reload("https://another.example")
	version := regexp.MustCompile(`assets/[0-9a-f]{16}/`)
	s.alter(func() {
		s.between = func(w http.ResponseWriter, r *http.Request, page http.Handler) {
			if r.URL.Path != "/authenticator/" {
				page.ServeHTTP(w, r)
				return
			}
			r.Header.Del("Accept-Encoding")
			rec := httptest.NewRecorder()
			page.ServeHTTP(rec, r)
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			_, _ = io.WriteString(w, version.ReplaceAllString(rec.Body.String(), "assets/0000000000000000/"))
		}
	})
	p.Expect("the page is of another version")
	// The outcome of the installation is that of the worker, not of the update.
	require.Equal(t, "redundant", p.JS(`(async () => {
		const r = await navigator.serviceWorker.ready
		const found = new Promise((done) => r.addEventListener("updatefound", () => done(r.installing), { once: true }))
		await r.update()
		const worker = await found
		while (worker.state === "installing") await new Promise((again) => worker.addEventListener("statechange", again, { once: true }))
		return worker.state
	})()`))
	require.Equal(t, "1", p.JS(`caches.keys().then((all) => all.filter((name) => name.startsWith("authenticator-")).length)`))
	p.Reload()
	p.Sees("h1", "No requests right now.")

	s.alter(func() { s.between = nil })
	p.JS(`navigator.serviceWorker.ready.then((r) => r.update()).then(() => true)`)
	p.Holds(`(async () => {
		const kept = (await caches.keys()).filter((name) => name.startsWith("authenticator-"))
		const pages = await Promise.all(kept.map(async (name) => (await (await caches.open(name)).match("./"))?.text()))
		return kept.length === 2 && pages.every((page) => page && !page.includes("assets/0000000000000000/"))
	})()`)
}
