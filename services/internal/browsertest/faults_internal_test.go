package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// faulty is a page with one script, under a strict policy.
func faulty(t *testing.T, main, script, worker string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="/icon"><main><h1>A page</h1>%s</main><script src="/page.js"></script></html>`, main)
		case "/page.js", "/worker.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = fmt.Fprint(w, map[bool]string{true: script, false: worker}[r.URL.Path == "/page.js"])
		case "/icon":
		default:
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/"
}

func TestWhatTheBrowserObjectsTo(t *testing.T) {
	t.Parallel()
	b := Start(t)
	for name, c := range map[string]struct{ main, script, worker, fault string }{
		"an exception":             {script: `throw new Error("oh no")`, fault: "oh no"},
		"a promise nobody catches": {script: `Promise.reject(new Error("oh no"))`, fault: "oh no"},
		"an error on the console":  {script: `console.error("oh", "no")`, fault: "console: oh no"},
		"a failed load":            {script: `fetch("/missing")`, fault: "status of 503"},
		"an inline style":          {main: `<p style="color:red">Red</p>`, fault: "style-src-attr"},
		"a script from elsewhere":  {script: `document.head.append(Object.assign(document.createElement("script"), {src: "https://example.com/x.js"}))`, fault: "https://example.com/x.js"},
		"an exception in a worker": {script: `navigator.serviceWorker.register("/worker.js").catch(() => {})`, worker: `throw new Error("oh no")`, fault: "oh no"},
		"a late fault in a worker": {script: `navigator.serviceWorker.register("/worker.js")`, worker: `addEventListener("activate", () => { throw new Error("oh no") })`, fault: "oh no"},
	} {
		t.Run(name, func(t *testing.T) {
			p := b.Tab(t)
			p.Open(faulty(t, c.main, c.script, c.worker))
			require.True(t, p.until(func() bool { return strings.Contains(strings.Join(p.faults.list(), "\n"), c.fault) }), "%v", p.faults.list())
		})
	}
	t.Run("what was announced is no fault", func(t *testing.T) {
		p := b.Tab(t)
		p.Open(faulty(t, "", `fetch("/missing").then(r => { document.title = r.status })`, ""))
		p.Holds(`document.title === "503"`)
		require.NotEmpty(t, p.faults.list())
		p.Expect("status of 503")
		p.Silent()
	})
	t.Run("a worker's console is heard once one listens", func(t *testing.T) {
		p := b.Tab(t)
		p.Open(faulty(t, "", `navigator.serviceWorker.register("/worker.js")`, `var x = 1`))
		p.Worker().JS(`console.error("oh no")`)
		require.True(t, p.until(func() bool { return len(p.faults.list()) > 0 }))
	})
}

func TestWhatAxeFinds(t *testing.T) {
	t.Parallel()
	b := Start(t)
	for name, c := range map[string]struct{ main, rule string }{
		"no name":        {`<button></button>`, "button-name"},
		"faint words":    {`<p><font color="#bbbbbb">Words that nobody reads.</font></p>`, "color-contrast"},
		"a small target": {`<a href="#a">a</a><a href="#b">b</a>`, "target-size"},
		"no label":       {`<input>`, "label"},
		"a wrong role":   {`<div role="buton">x</div>`, "aria-roles"},
		"a second main":  {`</main><main><h2>Another</h2>`, "landmark-no-duplicate-main"},
	} {
		t.Run(name, func(t *testing.T) {
			p := b.Tab(t)
			p.Open(faulty(t, c.main, "", ""))
			found := strings.Join(p.violations(), "\n")
			require.Contains(t, found, c.rule+" (")
		})
	}
	t.Run("what fades in is looked at when it is there", func(t *testing.T) {
		p := b.Tab(t)
		p.Open(faulty(t, `<p id="p">Words.</p><p id="spin">Waiting</p>`, `
			document.getElementById("p").animate({opacity: [0, 1]}, 400)
			document.getElementById("spin").animate({rotate: ["0deg", "360deg"]}, {duration: 1000, iterations: Infinity})`, ""))
		p.Axe()
		p.Silent()
		require.Equal(t, "1", Ask(p, chromedp.Evaluate[string](`String(document.getAnimations().length)`)), "only what has no end still runs")
	})
}
