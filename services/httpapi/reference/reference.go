// Package reference renders the OpenAPI document as a page for people, /docs: every
// operation with its fields, limits, answers, problems and a curl line that can be
// pasted. The page is complete without JavaScript, which only adds a filter and copy
// buttons, and it loads nothing from anywhere else. The HTTP server mounts the handler
// at /docs and /docs/; it knows no handler and no store.
package reference

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // template and assets
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

var (
	//go:embed assets/reference.html
	templateText string
	//go:embed assets/reference.css
	stylesheet []byte
	//go:embed assets/reference.js
	script []byte
)

// Config is what the page needs besides the document.
type Config struct {
	// PublicURL is the address that the examples call.
	PublicURL func() string
}

type handler struct {
	page      []byte // with origin where the public URL goes
	publicURL func() string
}

// New renders the document once. It fails when the document is no OpenAPI 3, has no operations,
// or holds a reference that leads nowhere.
func New(spec []byte, cfg Config) (http.Handler, error) {
	if cfg.PublicURL == nil {
		return nil, errors.New("make API reference: PublicURL is missing")
	}
	tree, err := parse(spec)
	if err != nil {
		return nil, err
	}
	d, err := (&reader{spec: tree}).read()
	if err != nil {
		return nil, err
	}
	d.Stylesheet, d.Script = asset(stylesheet, "css"), asset(script, "js")
	t, err := template.New("reference").Funcs(template.FuncMap{"lower": strings.ToLower}).Parse(templateText)
	if err != nil {
		return nil, fmt.Errorf("read template of API reference: %w", err)
	}
	var page bytes.Buffer
	if err := t.Execute(&page, d); err != nil {
		return nil, fmt.Errorf("render API reference: %w", err)
	}
	h := &handler{page: page.Bytes(), publicURL: cfg.PublicURL}
	mux := http.NewServeMux()
	mux.HandleFunc("/docs", h.show)
	mux.HandleFunc("/docs/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "../docs")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	mux.HandleFunc("/"+d.Stylesheet, immutable("text/css; charset=utf-8", stylesheet))
	mux.HandleFunc("/"+d.Script, immutable("text/javascript; charset=utf-8", script))
	return mux, nil
}

// asset is a path that changes with the content, relative to the page.
func asset(content []byte, suffix string) string {
	sum := sha256.Sum256(content)
	return "docs/assets/" + hex.EncodeToString(sum[:8]) + "." + suffix
}

func immutable(contentType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(content) // a browser that is gone needs nothing
	}
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The API reference can only be read.", http.StatusMethodNotAllowed)
		return
	}
	public := template.HTMLEscapeString(strings.TrimSuffix(h.publicURL(), "/"))
	page := bytes.ReplaceAll(h.page, []byte(origin), []byte(public))
	sum := sha256.Sum256(page)
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	for name, value := range map[string]string{
		"Content-Type": "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; " +
			"frame-ancestors 'none'; form-action 'self'",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
		"Cache-Control":          "no-cache",
		"ETag":                   etag,
	} {
		w.Header().Set(name, value)
	}
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(page) // a browser that is gone needs nothing
}
