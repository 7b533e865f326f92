package webpage_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/language"

	"github.com/assent-io/assent/services/httpapi/webpage"
)

type wording struct {
	webpage.Language
	OtherLanguages, Hello string
}

func greetings() webpage.Catalog[wording] {
	return webpage.NewCatalog(
		wording{webpage.English, "Other languages", "Hello {name}, until {time}."},
		wording{webpage.German, "Andere Sprachen", "Hallo {name}, bis {time}."},
		wording{webpage.Portuguese, "Outros idiomas", "Olá {name}, até {time}."},
		wording{webpage.Arabic, "لغات أخرى", "مرحبًا {name}، حتى {time}."},
	)
}

func get(t *testing.T, query, accepts string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x/y"+query, nil)
	if accepts != "" {
		r.Header.Set("Accept-Language", accepts)
	}
	return r
}

// The person's choice comes first, then the locale that was asked for, then what the browser says.
func TestALanguageIsChosenByWhoKnowsBest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, locale, accepts, want string }{
		{"", "", "", "en"},
		{"", "", "de-CH,en;q=0.5", "de"},
		{"", "", "ja,ar-EG;q=0.7", "ar"},
		{"", "", "ja", "en"},
		{"", "", ";;;", "en"},
		{"", "pt-BR", "de", "pt"},
		{"", "ja", "de", "de"},
		{"", "no language", "de", "de"},
		{"?lang=ar", "pt", "de", "ar"},
		{"?lang=xx", "pt", "de", "pt"},
		{"?lang=de-CH", "", "pt", "pt"},
	} {
		require.Equal(t, c.want, greetings().For(get(t, c.query, c.accepts), c.locale).Tag, "%v", c)
	}
}

func TestLinksToOtherLanguagesKeepWhatWasAsked(t *testing.T) {
	t.Parallel()
	require.Equal(t, []webpage.Translation{
		{Tag: "en", Name: "English", Link: "?lang=en&then=a+b"},
		{Tag: "pt", Name: "Português", Link: "?lang=pt&then=a+b"},
		{Tag: "ar", Name: "العربية", Link: "?lang=ar&then=a+b"},
	}, greetings().Others(get(t, "?lang=de&then=a+b", ""), webpage.German))
}

func TestEveryLanguageIsWhole(t *testing.T) {
	t.Parallel()
	for _, l := range []webpage.Language{
		webpage.English, webpage.German, webpage.Spanish, webpage.French, webpage.Portuguese, webpage.Hindi, webpage.Arabic,
	} {
		tag, err := language.Parse(l.Tag)
		require.NoError(t, err)
		require.Equal(t, l.Tag, tag.String())
		script, _ := tag.Script()
		require.Equal(t, script.String() == "Arab", l.Dir == "rtl", l.Name)
		letters := map[string]*unicode.RangeTable{"Latn": unicode.Latin, "Deva": unicode.Devanagari, "Arab": unicode.Arabic}[script.String()]
		seen := map[string]bool{}
		for _, text := range append(l.Months[:], l.Name) {
			require.NotEmpty(t, text)
			for _, r := range text {
				require.True(t, !unicode.IsLetter(r) || unicode.Is(letters, r), "%s: %q in %s", l.Name, r, text)
			}
			seen[text] = true
		}
		require.Len(t, seen, 13, l.Name)
		require.Equal(t, l.Months[10]+" 7, 2026", l.Date("{month} {day}, {year}", time.Date(2026, 11, 8, 1, 0, 0, 0, time.FixedZone("", 5400))))
	}
}

func TestASentenceIsCutAtItsNames(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 5, 59, 0, time.UTC)
	parts := webpage.Split("{name}, hello{nothing} until {time}", webpage.Named{"name": {Kind: webpage.Name, Text: "Ana"}, "time": webpage.Clock(at)})
	require.Equal(t, []webpage.Part{
		{Kind: webpage.Name, Text: "Ana"},
		{Kind: webpage.Text, Text: ", hello"},
		{Kind: webpage.Text, Text: " until "},
		{Kind: webpage.Time, Text: "10:05 UTC", At: at},
	}, parts)
	require.Equal(t, "Ana, hello until 10:05 UTC", webpage.Plain(parts))
	require.Empty(t, webpage.Split("", nil))
	require.Equal(t, "left open ", webpage.Plain(webpage.Split("left open {na", nil)))
}

// Whatever a name holds, it is text, and stands by itself among letters of the other direction.
func TestAPageIsolatesWhatItNames(t *testing.T) {
	t.Parallel()
	w := greetings().For(get(t, "?lang=ar", ""), "")
	page := struct {
		webpage.Frame

		Words wording
	}{webpage.Frame{
		Lang: w.Tag, Dir: w.Dir, Brand: "A&B", Mark: "good", Languages: greetings().Others(get(t, "?lang=ar", ""), w.Language), Stylesheet: "/s.css",
	}, w}
	page.Entitle(webpage.Split(w.Hello, webpage.Named{
		"name": {Kind: webpage.Name, Text: "<b>O'Neil</b>"}, "time": webpage.Clock(time.Date(2026, 11, 22, 10, 5, 0, 0, time.UTC)),
	}))
	page.Blame("خطأ", []webpage.Part{{Kind: webpage.Code, Text: "0 1-2"}})
	tmpl := webpage.Template("test", `<html lang="{{.Lang}}" dir="{{.Dir}}"><head>{{template "head" .}}</head><body>
{{- template "brand" .}}{{template "heading" .}}{{template "fault" .}}{{template "languages" .}}</body></html>`)
	rec := httptest.NewRecorder()
	require.NoError(t, webpage.Render(rec, http.StatusTeapot, w.Tag, tmpl, page))
	body := rec.Body.String()
	require.Equal(t, http.StatusTeapot, rec.Code)
	require.Contains(t, body, "<bdi>&lt;b&gt;O'Neil&lt;/b&gt;</bdi>")
	require.Contains(t, body, `<time datetime="2026-11-22T10:05:00Z"><bdi dir="ltr">10:05 UTC</bdi></time>`)
	require.Contains(t, body, `<title>خطأ: `)
	require.Contains(t, body, ` – A&amp;B</title>`)
	require.Contains(t, body, `<bdi dir="ltr">0 1-2</bdi>`)
	require.Contains(t, body, `<h1 class="good">`)
	require.Contains(t, body, `<a href="?lang=de" lang="de" hreflang="de">Deutsch</a>`)
	require.Equal(t, "ar", rec.Header().Get("Content-Language"))
	require.Contains(t, rec.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))

	rec = httptest.NewRecorder()
	require.Error(t, webpage.Render(rec, http.StatusOK, "en", webpage.Template("bad", `{{.Missing}}`), page))
	require.Equal(t, http.StatusInternalServerError, rec.Code)
	require.NotContains(t, rec.Body.String(), "Missing")
}

func TestFormsOfOtherSitesAreForeign(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		origin, site string
		foreign      bool
	}{
		{"", "", false},
		{"null", "same-origin", false},
		{"https://Assent.example", "", false},
		{"https://assent.example", "same-site", true},
		{"", "cross-site", true},
		{"http://assent.example", "", true},
		{"https://assent.example.evil", "", true},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/l/x", nil)
		r.Header.Set("Origin", c.origin)
		r.Header.Set("Sec-Fetch-Site", c.site)
		require.Equal(t, c.foreign, webpage.Foreign(r, "https://assent.example/below"), "%v", c)
	}
}

func TestPagesStandBelowThePublicURL(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/l/x", webpage.Below("https://assent.example", "/l/x"))
	require.Equal(t, "/a%20b/l/x", webpage.Below("https://assent.example/a%20b/", "/l/x"))
}

func TestAStylesheetIsKeptForEver(t *testing.T) {
	t.Parallel()
	one, other := webpage.NewStylesheet([]byte("p { color: red }")), webpage.NewStylesheet([]byte("p { color: blue }"))
	require.Regexp(t, regexp.MustCompile(`^assets/[0-9a-f]{16}\.css$`), one.Name)
	require.NotEqual(t, one.Name, other.Name)
	rec := httptest.NewRecorder()
	one.ServeHTTP(rec, get(t, "", ""))
	require.Equal(t, "text/css; charset=utf-8", rec.Header().Get("Content-Type"))
	require.Contains(t, rec.Header().Get("Cache-Control"), "immutable")
	require.True(t, strings.HasPrefix(rec.Body.String(), ":root {"))
	require.True(t, strings.HasSuffix(rec.Body.String(), "p { color: red }"), "its own rules win")
}

func TestWhatIsTypedIsReadInAnyScript(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"12 34\u00a056": "123456", "١٢-٣٤": "1234", "\u200e४२\u200f": "42", " 1−2–3 ": "123", "": "", "12a": "", "+12": "", "1.2": "",
	} {
		require.Equal(t, want, webpage.Digits(typed), typed)
	}
	require.Equal(t, "+49 30-1", webpage.Latin("\u2068＋٤٩ 30‑1\u2069\n"))
}
