package browsertest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
)

// site serves pages by their path, on a host with a name.
func site(t *testing.T, pages map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok && r.URL.Path != "/icon" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		kind := "text/html; charset=utf-8"
		if strings.HasSuffix(r.URL.Path, ".js") {
			kind = "text/javascript"
		}
		w.Header().Set("Content-Type", kind)
		_, _ = fmt.Fprint(w, strings.NewReplacer("{agent}", r.UserAgent(), "{language}", r.Header.Get("Accept-Language")).Replace(page))
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// page is one that nothing is wrong with.
func page(main string) string {
	return `<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="/icon"><meta name="viewport" content="width=device-width">` +
		`<main><h1>A page</h1>` + main + `</main><script src="/page.js"></script></html>`
}

func TestTheVendoredFileIsThePublishedOne(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/axe-core-4.14.1/axe.min.js")
	require.NoError(t, err)
	sum := sha256.Sum256(file)
	readme, err := os.ReadFile("testdata/README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), hex.EncodeToString(sum[:]))
}

func TestATabSeesTypesAndPresses(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{
		"/": page(`<p id="late" hidden>Here&nbsp;I
			am</p><input aria-label="Words"><button>Go</button> <a href="/next">Next</a>`),
		"/page.js": `const late = document.getElementById("late")
			document.querySelector("button").addEventListener("click", () => requestAnimationFrame(() => { late.hidden = !late.hidden }))
			document.querySelector("input").addEventListener("keydown", e => { if (e.key === "Enter") document.title = e.target.value })`,
		"/next": `<!doctype html><title>Next</title><link rel="icon" href="/icon"><main>You came by {agent} and {language}</main>`,
	})
	p := browsertest.Start(t).Tab(t)
	p.Open(base + "/")
	p.Gone("#late")
	p.Click("button")
	p.Sees("#late", "Here I am")
	require.Equal(t, "Here I am", p.Text("#late"))
	p.Type("input", "two words")
	p.Sees("input", "two words")
	p.Press("Enter")
	p.Holds(`document.title === "two words"`)
	p.Press("Tab")
	p.Press("Tab")
	p.Press("Shift+Tab")
	p.Press("Space")
	p.Gone("#late")
	require.Equal(t, "3", p.JS(`Promise.resolve(1 + 2)`))
	p.Person().Speaks("ar-EG")
	p.Follow("a")
	p.Sees("main", "Android 10")
	p.Sees("main", "ar-EG,ar;q=0.9")
	require.Equal(t, "ar-EG ar-EG", p.JS(`navigator.language + " " + Intl.DateTimeFormat().resolvedOptions().locale`))
	p.Back()
	p.Sees("h1", "A page")
	p.Reload()
	p.Silent()
}

func TestReadingOutlivesAPageThatLoadsAgainByItself(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{
		"/": `<!doctype html><title>Again</title><meta http-equiv="refresh" content="0"><link rel="icon" href="/icon"><p hidden>Not this</p><p>Still here</p><a href="/next">Next</a>`,
	})
	p := browsertest.Start(t).Tab(t)
	p.Open(base + "/")
	for range 50 {
		require.Equal(t, "Still here", p.Text("p"))
		require.Equal(t, base+"/next", p.Link("a"))
		require.True(t, p.Has("a"))
		require.False(t, p.Has("p:not(:last-of-type)"), "what is hidden is not there")
	}
	p.Silent()
}

func TestLooks(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{"/": page(""), "/page.js": "document.body.dataset.ran = true"})
	p := browsertest.Start(t).Tab(t)
	p.Look(390, 844, true)
	p.Prefers("prefers-reduced-motion", "reduce")
	p.Skewed(-time.Hour)
	p.Slow(4)
	p.Open(base + "/")
	matches := func(query string) string { return p.JS(`matchMedia("` + query + `").matches`) }
	require.Equal(t, "390 844", p.JS(`innerWidth + " " + innerHeight`))
	require.Equal(t, "true", matches("(prefers-color-scheme: dark)"))
	require.Equal(t, "true", matches("(prefers-reduced-motion: reduce)"))
	require.Equal(t, "true", p.JS(`document.body.dataset.ran`))
	for _, now := range []string{`Date.now()`, `new Date().getTime()`} {
		require.Equal(t, "true", p.JS(now+` < performance.timeOrigin - 50 * 60_000`), now)
	}
	require.Equal(t, "2026", p.JS(`new Date("2026-06-01").getFullYear()`))
	p.Slow(1)
	p.NoScripts().Look(1280, 800, false)
	p.Open(base + "/")
	require.Equal(t, "undefined", p.JS(`document.body.dataset.ran`))
	require.Equal(t, "false", matches("(prefers-color-scheme: dark)"))
	p.Axe()
	p.Open(base + "/")
	require.Equal(t, "undefined", p.JS(`document.body.dataset.ran`), "the check does not give scripts back to the page")
	p.Shoot("a-page")
	p.Silent()
}

func TestTwoTabsShareAProfileThatLasts(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{"/": page(""), "/page.js": ""})
	profile := t.TempDir()
	b := browsertest.StartIn(t, profile)
	first, second := b.Tab(t), b.Tab(t)
	first.Open(base + "/")
	second.Open(base + "/")
	first.JS(`localStorage.setItem("kept", "yes")`)
	require.Equal(t, "yes", second.JS(`localStorage.getItem("kept")`))
	first.Close()
	b.Close()

	again := browsertest.StartIn(t, profile).Tab(t)
	again.Open(base + "/")
	require.Equal(t, "yes", again.JS(`localStorage.getItem("kept")`))
	stranger := browsertest.Start(t).Tab(t)
	stranger.Open(base + "/")
	require.Equal(t, "null", stranger.JS(`localStorage.getItem("kept")`))
}

func TestAPasskeyKnowsItsPersonOrNot(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{"/": page(""), "/page.js": `
		const bytes = n => crypto.getRandomValues(new Uint8Array(n))
		let id
		window.make = () => navigator.credentials.create({publicKey: {challenge: bytes(32), rp: {name: "Test"},
			user: {id: bytes(16), name: "ana", displayName: "Ana"}, pubKeyCredParams: [{type: "public-key", alg: -7}],
			authenticatorSelection: {userVerification: "required"}}}).then(c => { id = c.rawId; return c.type })
		window.use = () => navigator.credentials.get({publicKey: {challenge: bytes(32), userVerification: "required",
			allowCredentials: [{type: "public-key", id}]}}).then(c => c.type, e => e.name)`})
	p := browsertest.Start(t).Tab(t)
	key := p.Passkey(true)
	p.Open(base + "/")
	require.Equal(t, "public-key", p.JS(`make()`))
	require.Len(t, key.Credentials(), 1)
	require.Equal(t, "public-key", p.JS(`use()`))
	key.Verified(false)
	require.Equal(t, "NotAllowedError", p.JS(`use()`))
	key.Lose()
	require.Empty(t, p.Passkey(true).Credentials(), "another device")
	p.Silent()
}

func TestACameraSeesAPicture(t *testing.T) {
	t.Parallel()
	base := site(t, map[string]string{"/": page(`<video muted></video>`), "/page.js": `
		window.look = async () => {
			const video = document.querySelector("video")
			try { video.srcObject = await navigator.mediaDevices.getUserMedia({video: true}) } catch (e) { return e.name }
			await video.play()
			const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), c = canvas.getContext("2d")
			c.drawImage(video, 0, 0)
			const at = x => c.getImageData(x, canvas.height / 2, 1, 1).data[0] > 128 ? "white" : "black"
			return canvas.width + " " + at(canvas.width / 4) + " " + at(3 * canvas.width / 4)
		}`})
	picture := image.NewGray(image.Rect(0, 0, 640, 480))
	for y := range 480 {
		for x := range 320 {
			picture.SetGray(x, y, color.Gray{Y: 255})
		}
	}
	b := browsertest.Start(t, browsertest.Camera(t, picture))
	p := b.Tab(t)
	p.Open(base + "/")
	b.Permit(t, base, "camera", browser.PermissionSettingDenied)
	require.Equal(t, "NotAllowedError", p.JS(`look()`))
	b.Permit(t, base, "camera", browser.PermissionSettingGranted)
	require.Equal(t, "640 white black", p.JS(`look()`))
	p.Silent()
}
