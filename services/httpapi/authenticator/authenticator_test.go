package authenticator_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/authenticator"
	"github.com/assent-io/assent/services/internal/browsertest"
)

const (
	patience = time.Minute
	pause    = 20 * time.Millisecond
)

type answer struct {
	*http.Response
	body string
}

func get(t *testing.T, s *service, path string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/authenticator/"+path, nil)
	require.NoError(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	client := &http.Client{
		Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return answer{response, string(body)}
}

func shown(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

func TestNewWantsAPublicURL(t *testing.T) {
	t.Parallel()
	_, err := authenticator.New(authenticator.Config{})
	require.ErrorContains(t, err, "PublicURL is missing")
}

func TestHeadersAndPaths(t *testing.T) {
	t.Parallel()
	s := serve(t)
	page := get(t, s, "", nil)
	require.Equal(t, http.StatusOK, page.StatusCode)
	for name, value := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy": "camera=(self), publickey-credentials-get=(self), publickey-credentials-create=(self)",
		"Content-Security-Policy": "default-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; " +
			"object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types authenticator",
	} {
		require.Equal(t, value, page.Header.Get(name), name)
	}
	require.Equal(t, http.StatusNotModified, get(t, s, "", http.Header{"If-None-Match": {page.Header.Get("ETag")}}).StatusCode)
	require.NotContains(t, page.body, "{{")
	require.Contains(t, page.body, `<link rel="canonical" href="`+s.URL+`/authenticator/">`)
	require.NotRegexp(t, `(?:src|href)="(?:/|https?:)`, strings.ReplaceAll(page.body, `href="`+s.URL, ""), "addresses are relative")
	require.NotRegexp(t, `<script>|style=|<style`, page.body)

	style := regexp.MustCompile(`href="(assets/[0-9a-f]{16}/authenticator\.css)"`).FindStringSubmatch(page.body)
	require.NotNil(t, style)
	plain, small := get(t, s, style[1], nil), get(t, s, style[1], http.Header{"Accept-Encoding": {"gzip, br"}})
	require.Equal(t, "public, max-age=31536000, immutable", plain.Header.Get("Cache-Control"))
	require.Equal(t, "text/css; charset=utf-8", plain.Header.Get("Content-Type"))
	require.Equal(t, []string{"gzip", "Accept-Encoding"}, []string{small.Header.Get("Content-Encoding"), small.Header.Get("Vary")})
	unpacked, err := gzip.NewReader(strings.NewReader(small.body))
	require.NoError(t, err)
	text, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	require.Equal(t, plain.body, string(text))

	for _, missing := range []string{"nothing", "assets/0000000000000000/main.js", strings.Replace(style[1], "authenticator.css", "sw.js", 1), "icon.png"} {
		require.Equal(t, http.StatusNotFound, get(t, s, missing, nil).StatusCode, missing)
	}
	h, err := authenticator.New(authenticator.Config{PublicURL: func() string { return "https://x.example/auth/" }})
	require.NoError(t, err)
	w := shown(t, h, http.MethodGet, "/authenticator")
	require.Equal(t, []any{http.StatusMovedPermanently, "authenticator/"}, []any{w.Code, w.Header().Get("Location")}, "also below a path of its own")
	w = shown(t, h, http.MethodPost, "/authenticator/")
	require.Equal(t, []any{http.StatusMethodNotAllowed, "GET, HEAD"}, []any{w.Code, w.Header().Get("Allow")})
	require.Contains(t, shown(t, h, http.MethodGet, "/authenticator/").Body.String(), `href="https://x.example/auth/authenticator/"`)
}

func TestTheManifestAndItsIcons(t *testing.T) {
	t.Parallel()
	s := serve(t)
	a := get(t, s, "manifest.webmanifest", nil)
	require.Equal(t, "application/manifest+json", a.Header.Get("Content-Type"))
	var manifest struct {
		StartURL, Scope, Display string
		Icons                    []struct{ Src, Type, Sizes, Purpose string }
	}
	require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(a.body, "start_url", "starturl")), &manifest))
	require.Equal(t, []string{"./", "./", "standalone"}, []string{manifest.StartURL, manifest.Scope, manifest.Display})
	require.Len(t, manifest.Icons, 4)
	for _, icon := range manifest.Icons {
		got := get(t, s, icon.Src, nil)
		require.Equal(t, icon.Type, got.Header.Get("Content-Type"), icon.Src)
		if icon.Type != "image/png" {
			continue
		}
		size, err := png.DecodeConfig(strings.NewReader(got.body))
		require.NoError(t, err)
		require.Equal(t, icon.Sizes, strings.Join([]string{strconv.Itoa(size.Width), strconv.Itoa(size.Height)}, "x"))
	}
}

// The first load is what the page names, what those modules import, and one language.
func TestTheFirstLoadIsSmall(t *testing.T) {
	t.Parallel()
	const most = 100 << 10
	s := serve(t)
	gzipped := http.Header{"Accept-Encoding": {"gzip"}}
	plain := get(t, s, "", nil)
	sum := len(get(t, s, "", gzipped).body)
	var largest int
	base := regexp.MustCompile(`assets/[0-9a-f]+/`).FindString(plain.body)
	for _, link := range regexp.MustCompile(`(?:src|href)="([^":]+)"`).FindAllStringSubmatch(plain.body, -1) {
		a := get(t, s, link[1], gzipped)
		require.Equal(t, http.StatusOK, a.StatusCode, link[1])
		sum += len(a.body)
	}
	for _, language := range []string{"en", "de", "es", "pt", "fr", "hi", "ar"} {
		largest = max(largest, len(get(t, s, base+"words/"+language+".js", gzipped).body))
	}
	t.Logf("first load: %d bytes, and %d of the largest language", sum, largest)
	require.Less(t, sum+largest, most)
	require.NotContains(t, plain.body, "vendor/", "the reader of QR codes comes with the camera")
}

// What is vendored is the published file, byte for byte (vendor/README.md says where from).
func TestTheVendoredFilesAreThePublishedOnes(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("assets/vendor/README.md")
	require.NoError(t, err)
	err = filepath.WalkDir("assets/vendor", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "README.md" {
			return err
		}
		content, err := os.ReadFile(path)
		sum := sha256.Sum256(content)
		require.Contains(t, string(list), hex.EncodeToString(sum[:]), "%s is not listed", path)
		return err
	})
	require.NoError(t, err)
}

func TestNoModuleWritesMarkupOrReachesOut(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir("assets", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".js" || strings.Contains(path, "vendor") {
			return err
		}
		content, err := os.ReadFile(path)
		require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|console\.`, string(content), path)
		require.LessOrEqual(t, bytes.Count(content, []byte("\n")), 350, path)
		return err
	})
	require.NoError(t, err)
}

func TestAllLanguagesSayTheSame(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t)
	p.Open(s.page(""))
	require.Equal(t, "[]", p.JS(`(async () => {
		const load = async (tag) => (await import(new URL("words/" + tag + ".js", document.querySelector("script[type=module]").src))).default
		const { languages } = await import(new URL("words.js", document.querySelector("script[type=module]").src))
		const parts = (text) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]))].sort().join()
		const en = await load("en"), faults = []
		for (const tag of Object.keys(languages)) {
			const own = await load(tag)
			const forms = new Intl.PluralRules(tag).resolvedOptions().pluralCategories
			for (const key of new Set([...Object.keys(en), ...Object.keys(own)])) {
				if (typeof own[key] !== typeof en[key]) { faults.push(tag + ": " + key); continue }
				if (typeof own[key] === "string") {
					if (parts(own[key]) !== parts(en[key])) faults.push(tag + ": parts of " + key)
					continue
				}
				for (const form of Object.keys(own[key])) if (!forms.includes(form)) faults.push(tag + ": " + key + " has no form " + form)
				if (!own[key].other || parts(own[key].other) !== parts(en[key].other)) faults.push(tag + ": parts of " + key)
			}
		}
		return JSON.stringify(faults)
	})()`))
	p.Silent()
}

func TestEveryLanguage(t *testing.T) {
	t.Parallel()
	for language, text := range map[string]struct{ direction, join, question, settings string }{
		"de-DE": {"ltr", "Beitreten", "Sind Sie das?", "Einstellungen"},
		"es-MX": {"ltr", "Unirse", "¿Es usted?", "Ajustes"},
		"pt-BR": {"ltr", "Entrar", "É você?", "Ajustes"},
		"fr-FR": {"ltr", "Rejoindre", "Est-ce vous ?", "Réglages"},
		"hi-IN": {"ltr", "जुड़ें", "क्या यह आप हैं?", "सेटिंग"},
		"ar-EG": {"rtl", "الانضمام", "هل هذا أنت؟", "الإعدادات"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			p := browsertest.Start(t).Tab(t).Speaks(language)
			p.Look(390, 844, false)
			p.Open(s.page("join=" + s.invites("Example Bank", ana)))
			p.Sees("h1", text.join)
			require.Equal(t, text.direction, p.JS("document.documentElement.dir"))
			p.Click("form button[type=submit]")
			p.Sees("h1", "✓")
			p.Click("#main .lower > button:last-child")
			s.asks(ana)
			p.Sees("h1", text.question)
			shoot(p, "question-"+language)
			p.Axe()
			p.Type("#number", "12")
			p.Click("button.approve")
			p.Sees("#fault", " ")
			fits(p)
			p.Click(`button[value="deny"]`)
			p.Sees("h1.bad", "")
			p.Click(`nav a[href="#codes"]`)
			p.Sees(".codes .code", " ")
			fits(p)
			shoot(p, "codes-"+language)
			p.Axe()
			p.Click(`nav a[href="#settings"]`)
			p.Sees("h1", text.settings)
			fits(p)
			shoot(p, "settings-"+language)
			p.Axe()
			p.JS(`(() => { const s = document.getElementById("language"); s.value = "en"; s.dispatchEvent(new Event("change")); return true })()`)
			p.Sees("h1", "Settings")
			p.Reload()
			p.Sees("h1", "Settings")
			p.Silent()
		})
	}
}
