package sandbox

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"path"
)

const pageCSP = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; frame-src 'self'"

// plainMessages is how many messages the page lists for a browser without JavaScript.
const plainMessages = 50

//go:embed assets
var assets embed.FS

// page is the inbox as HTML. Its script fills it; without one it is a plain list.
type page struct {
	APIURL    string
	ClientID  string
	Curl      string
	Messages  []summary
	Phones    []reservation
	Mailboxes []reservation
	Tokens    []reservation
}

func parsePage() *template.Template {
	return template.Must(template.ParseFS(assets, "assets/inbox.html")) // embedded: it parses or no test passes
}

func (s *Sandbox) servePage(w http.ResponseWriter, _ *http.Request) {
	api := s.apiURL
	if api == "" {
		api = s.publicURL()
	}
	var b bytes.Buffer
	err := s.html.Execute(&b, page{
		APIURL: s.apiURL, ClientID: s.clientID, Messages: s.inbox.list(filter{limit: plainMessages}),
		Phones: reservedPhones(), Mailboxes: reservedMailboxes(), Tokens: reservedTokens(),
		Curl: fmt.Sprintf("curl -u %s:SECRET %s/v1/verifications \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"to\":\"+14155550100\",\"channel\":\"sms\"}'", s.clientID, api),
	})
	if err != nil {
		s.log.Error("sandbox cannot show its page", "err", err)
		writeProblem(w, problem{http.StatusInternalServerError, "internal", "The page could not be made.", nil})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func (s *Sandbox) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	b, err := assets.ReadFile(path.Join("assets", name))
	if err != nil || name == "inbox.html" {
		writeProblem(w, problem{http.StatusNotFound, "not_found", "The sandbox has nothing at this path.", nil})
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "no-cache") // the next version of Assent has other assets at the same path
	_, _ = w.Write(b)
}
