package webpage

import (
	"crypto/sha256"
	_ "embed" // the stylesheet
	"encoding/hex"
	"net/http"
	"slices"
)

//go:embed assets/webpage.css
var common []byte

// Stylesheet is what all pages wear, and what one adds.
type Stylesheet struct {
	// Name changes with the content, so that browsers may keep it for ever.
	Name    string
	content []byte
}

// NewStylesheet adds the rules of one page to those of all.
func NewStylesheet(own []byte) Stylesheet {
	content := slices.Concat(common, own)
	sum := sha256.Sum256(content)
	return Stylesheet{"assets/" + hex.EncodeToString(sum[:8]) + ".css", content}
}

// ServeHTTP serves it.
func (s Stylesheet) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(s.content) // a browser that is gone needs no style
}
