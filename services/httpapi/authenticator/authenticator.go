// Package authenticator serves the web authenticator, /authenticator/: a page that is a real
// device of a person. It holds a key that never leaves the browser, shows who asks what from
// where, signs the answer, and makes one-time codes, also without a connection. The page speaks
// to the phones API like every other app; this package only serves its files, and knows no
// handler and no store. The HTTP server mounts the handler at /authenticator/.
package authenticator

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed assets
var embedded embed.FS

// root is the path that the handler is mounted at.
const root = "/authenticator/"

// Config is what the page needs besides its files.
type Config struct {
	// PublicURL is where the deployment is reached: join codes of this address belong to this page.
	PublicURL func() string
}

type file struct {
	contentType string
	content     []byte
	// small is the content compressed, once somebody asks for it: a start need not wait for that. Nil where it gains nothing.
	small func() []byte
}

type handler struct {
	publicURL func() string
	version   string          // changes with every file
	files     map[string]file // by their name below assets
	// What names other files, with marks where they go, and what is of every version.
	page, worker, manifest, late string
}

// New reads the embedded files. It fails where one is missing, which tests rule out.
func New(cfg Config) (http.Handler, error) {
	if cfg.PublicURL == nil {
		return nil, errors.New("make web authenticator: PublicURL is missing")
	}
	h := &handler{publicURL: cfg.PublicURL, files: map[string]file{}}
	if err := h.read(); err != nil {
		return nil, fmt.Errorf("make web authenticator: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/authenticator", redirect)
	mux.HandleFunc(root+"{$}", h.showPage)
	mux.HandleFunc(root+"sw.js", h.showWorker)
	mux.HandleFunc(root+lateName, h.showLate)
	mux.HandleFunc(root+"manifest.webmanifest", h.showManifest)
	mux.HandleFunc(root+"{icon}", h.showIcon)
	mux.HandleFunc(root+"assets/{version}/{name...}", h.showAsset)
	return readOnly(mux), nil
}

// The files that are not among the assets: those that name others, and the one that is there when those are not.
const (
	pageName     = "index.html"
	workerName   = "sw.js"
	manifestName = "manifest.webmanifest"
	lateName     = "late.js"
)

func (h *handler) read() error {
	texts := map[string]*string{pageName: &h.page, workerName: &h.worker, manifestName: &h.manifest, lateName: &h.late}
	sum := sha256.New()
	err := fs.WalkDir(embedded, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "assets/")
		fmt.Fprintf(sum, "%s %d\n", name, len(content))
		sum.Write(content)
		if text := texts[name]; text != nil {
			*text = string(content)
			return nil
		}
		h.files[name], err = prepare(name, content)
		return err
	})
	if err != nil {
		return err
	}
	h.version = hex.EncodeToString(sum.Sum(nil)[:8])
	loaded, err := h.loads("main.js")
	if err != nil {
		return err
	}
	h.link(loaded)
	return nil
}

var contentTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
	"": "text/plain; charset=utf-8", ".md": "text/markdown; charset=utf-8", // licences, and what is vendored
}

func prepare(name string, content []byte) (file, error) {
	f := file{content: content, contentType: contentTypes[path.Ext(name)]}
	if f.contentType == "" {
		return f, fmt.Errorf("%s: there is no content type for it", name)
	}
	f.small = sync.OnceValue(func() []byte { return smaller(content) })
	return f, nil
}

// smaller is a content compressed; nil where that gains nothing.
func smaller(content []byte) []byte {
	small, err := compressed(content)
	if err != nil || len(small) >= len(content) {
		return nil // the whole does without
	}
	return small
}

func compressed(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

var imported = regexp.MustCompile(`(?m)^import .*from "(\.[^"]+)";$`)

// loads lists the modules that one needs before it runs, itself first.
func (h *handler) loads(first string) ([]string, error) {
	names := []string{first}
	for i := 0; i < len(names); i++ {
		f, there := h.files[names[i]]
		if !there {
			return nil, fmt.Errorf("the module %s is missing", names[i])
		}
		for _, found := range imported.FindAllSubmatch(f.content, -1) {
			if name := path.Join(path.Dir(names[i]), string(found[1])); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// link writes the names of the assets into the texts. The worker keeps all files but those that only the camera
// and readers of licences need.
func (h *handler) link(loaded []string) {
	assets := "assets/" + h.version
	var preloads strings.Builder
	for _, name := range loaded[1:] {
		fmt.Fprintf(&preloads, "  <link rel=\"modulepreload\" href=\"%s/%s\">\n", assets, name)
	}
	var kept []string
	for name := range h.files {
		if !strings.HasPrefix(name, "vendor/") && path.Ext(name) != ".png" {
			kept = append(kept, assets+"/"+name)
		}
	}
	slices.Sort(kept)
	h.page = strings.NewReplacer("{{assets}}", assets, "{{preloads}}\n", preloads.String()).Replace(h.page)
	h.manifest = strings.ReplaceAll(h.manifest, "{{assets}}", assets)
	h.worker = strings.ReplaceAll(h.worker, "{{files}}", strings.Join(append(kept, "icon-192.png", lateName), " "))
}

func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "The authenticator can only be read.", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

var headers = map[string]string{
	"Content-Security-Policy": "default-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; " +
		"object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; " +
		"require-trusted-types-for 'script'; trusted-types authenticator",
	"Permissions-Policy":         "camera=(self), publickey-credentials-get=(self), publickey-credentials-create=(self)",
	"Cross-Origin-Opener-Policy": "same-origin",
	"X-Content-Type-Options":     "nosniff",
	"X-Frame-Options":            "DENY",
	"Referrer-Policy":            "no-referrer",
	"Cache-Control":              "no-cache",
}

// redirect is relative: the public URL may have a path of its own.
func redirect(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "authenticator/")
	w.WriteHeader(http.StatusMovedPermanently)
}

func (h *handler) public() string { return strings.TrimRight(h.publicURL(), "/") }

func (h *handler) showPage(w http.ResponseWriter, r *http.Request) {
	text(w, r, "text/html; charset=utf-8", strings.ReplaceAll(h.page, "{{public}}", html.EscapeString(h.public())))
}

func (h *handler) showManifest(w http.ResponseWriter, r *http.Request) {
	text(w, r, "application/manifest+json", h.manifest)
}

func (h *handler) showLate(w http.ResponseWriter, r *http.Request) {
	text(w, r, "text/javascript; charset=utf-8", h.late)
}

// showWorker is never old: a browser that asks learns of every change. The page holds the public URL, so that
// another one is a change too.
func (h *handler) showWorker(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256([]byte(h.version + h.public()))
	text(w, r, "text/javascript; charset=utf-8", strings.ReplaceAll(h.worker, "{{version}}", hex.EncodeToString(sum[:8])))
}

// text answers with what is made for the request, which a browser may keep and asks about again.
func text(w http.ResponseWriter, r *http.Request, contentType, content string) {
	sum := sha256.Sum256([]byte(content))
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	f := file{contentType: contentType, content: []byte(content)}
	f.small = func() []byte { return smaller(f.content) }
	f.serve(w, r)
}

// showIcon serves an icon at an address that does not change: phones keep it with the installed app.
func (h *handler) showIcon(w http.ResponseWriter, r *http.Request) {
	f, there := h.files["icons/"+r.PathValue("icon")]
	if !there {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=86400")
	f.serve(w, r)
}

func (h *handler) showAsset(w http.ResponseWriter, r *http.Request) {
	f, there := h.files[r.PathValue("name")]
	if !there || r.PathValue("version") != h.version { // a file of another version is another file
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	f.serve(w, r)
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.contentType)
	w.Header().Add("Vary", "Accept-Encoding")
	content := f.content
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if small := f.small(); small != nil {
			w.Header().Set("Content-Encoding", "gzip")
			content = small
		}
	}
	_, _ = w.Write(content) // a browser that is gone needs nothing
}
