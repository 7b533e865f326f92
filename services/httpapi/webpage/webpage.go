// Package webpage is what the pages have in common that people see and that need no JavaScript: the languages, the clothes,
// the frame around what each page says, and the headers that keep others from using it.
package webpage

import (
	"bytes"
	_ "embed" // the frame
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

//go:embed assets/webpage.html
var frame string

// Frame is what every page has. The template of a page starts as those here do, see Template.
type Frame struct {
	Lang, Dir  string
	Languages  []Translation
	Stylesheet string
	Title      string
	Brand      string
	Mark       string // good, bad, wait or none: never said by colour alone
	Heading    []Part
	Fault      []Part // what kept a form from counting
}

// Translation is a link to the same page in another language.
type Translation struct{ Tag, Name, Link string }

// Entitle makes a heading the title too, with the brand behind it.
func (f *Frame) Entitle(heading []Part) {
	f.Heading, f.Title = heading, Plain(heading)
	if f.Brand != "" {
		f.Title += " – " + f.Brand
	}
}

// Blame says what kept a form from counting; word is "Error" in the language of the page.
func (f *Frame) Blame(word string, fault []Part) {
	f.Fault, f.Title = fault, word+": "+f.Title
}

// Template reads the template of a page. It may use those of the frame: "head", "brand", "heading", "fault" and "languages",
// which want a struct that embeds Frame and has the field Words.OtherLanguages, and "parts" for a sentence.
func Template(name, text string) *template.Template {
	return template.Must(template.Must(template.New("frame").Parse(frame)).New(name).Parse(text))
}

// Render writes a page in a language. Where the template fails it says that the page cannot be shown, and the error is for
// the log.
func Render(w http.ResponseWriter, status int, lang string, page *template.Template, data any) error {
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		http.Error(w, "This page can't be shown right now.", http.StatusInternalServerError)
		return fmt.Errorf("render page: %w", err)
	}
	// Every attribute of the templates stands in double quotes, so an apostrophe needs no escape, and
	// the words can be found in the source as they are written.
	body := bytes.ReplaceAll(b.Bytes(), []byte("&#39;"), []byte("'"))
	SecurityHeaders(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", lang)
	w.Header().Set("Vary", "Accept-Language, Cookie")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // net/http drops the body of a HEAD
	return nil
}

// SecurityHeaders sets the headers that keep a page to itself: nothing of others runs in it or frames it, and its address, which holds
// a secret, goes nowhere.
func SecurityHeaders(w http.ResponseWriter) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; " +
			"frame-ancestors 'none'; base-uri 'none'",
		"Referrer-Policy":            "no-referrer",
		"X-Robots-Tag":               "noindex, nofollow",
		"Cache-Control":              "no-store",
		"X-Content-Type-Options":     "nosniff",
		"X-Frame-Options":            "DENY",
		"Permissions-Policy":         "camera=(), microphone=(), geolocation=(), payment=()",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		w.Header().Set(name, value)
	}
}

// Foreign tells whether another site than that of the public URL sent a form. Browsers send "null" for a page that, like
// these, gives no referrer; the form's own token covers that case.
func Foreign(r *http.Request, publicURL string) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "null" {
		return false
	}
	public, err := url.Parse(publicURL)
	return err != nil || !strings.EqualFold(origin, public.Scheme+"://"+public.Host)
}

// Below is the path of a page as browsers see it: the public URL may have a path of its own.
func Below(publicURL, path string) string {
	public, err := url.Parse(publicURL)
	if err != nil {
		return path
	}
	return strings.TrimSuffix(public.EscapedPath(), "/") + path
}
