package enrol

import (
	_ "embed" // the template
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/webpage"
)

//go:embed assets/enrol.html
var templateText string

var pageTemplate = webpage.Template("enrol", templateText)

// page is what the template shows: the list, a step with its form, or a notice.
type page struct {
	webpage.Frame

	Words     *wording
	View      view
	Lead      []webpage.Part
	Said      []webpage.Part // what was done just now
	Form      string
	Action    string // where the form goes
	Back      string // the page before, by the words of BackWords
	BackWords string
	Return    string // the client's own page
	ReturnTo  []webpage.Part
	Until     []webpage.Part

	list
	fields

	Refresh bool   // looks again by itself
	Still   string // the same page, which does not
	Look    string // the same page by hand
}

// view is which part of the template a page is made of.
type view string

const (
	viewList    view = "list"
	viewAdd     view = "add"
	viewCode    view = "code"
	viewCall    view = "call"
	viewSecret  view = "secret"
	viewJoin    view = "join"
	viewRename  view = "rename"
	viewConfirm view = "confirm"
	viewProof   view = "proof"
	viewApprove view = "approve"
	viewRecover view = "recover"
	viewNotice  view = "notice"
)

// list is what the first page shows.
type list struct {
	For     []webpage.Part
	Devices []row
	Begun   []row
	Offers  []offer
	Done    string
}

// row is one device.
type row struct {
	Kind, Name, Address   string
	Default               bool
	Added                 []webpage.Part
	Rename, First, Remove string
	Continue, Cancel      string
}

// offer is a kind that may be added.
type offer struct{ Link, Words, Note string }

// fields are what the steps show.
type fields struct {
	Kind    device.Kind
	Typed   string // as it was typed before
	Name    string
	Hint    []webpage.Part
	Number  string // to be carried over to the other screen
	Spelled string // the same, as it is read out
	QR      *drawing
	QRLabel string
	Groups  string // the secret or code, as it is typed
	URI     template.URL
	Ended   bool // the code is no good any more
	Again   string
	MayCall bool   // in place of a text
	Confirm string // the words of the button
	Do      string // what the button says to the program, where there are several
	Danger  bool   // which takes something away
	Choices []choice
	Recover string // where a recovery code is typed
	Other   string // another way
	None    []webpage.Part
}

// choice is one way to prove oneself.
type choice struct {
	Way   string
	Words []webpage.Part
}

// blank is a page with all that every page has.
func (h *handler) blank(v *visit, view view, heading string, n webpage.Named) page {
	p := page{Words: v.words, View: view, Frame: webpage.Frame{
		Lang: v.words.Tag, Dir: v.words.Dir, Languages: catalog.Others(v.r, v.words.Language), Brand: v.link.Brand,
		Stylesheet: h.root() + h.stylesheet.Name,
	}}
	p.Entitle(v.say(heading, n))
	return p
}

// step is a page with a form that goes to below, and a way back to the list.
func (h *handler) step(v *visit, view view, below, heading string, n webpage.Named) page {
	p := h.blank(v, view, heading, n)
	p.Action = h.path(v, below, kept(v, "then")...)
	p.Back, p.BackWords = h.path(v, ""), v.words.BackToList
	return p
}

// kept are the parameters that a page hands on to itself.
func kept(v *visit, names ...string) []string {
	var query []string
	for _, name := range names {
		if value := v.r.URL.Query().Get(name); value != "" {
			query = append(query, name, value)
		}
	}
	return query
}

// shows puts a number onto the page that is carried over to another screen. It stands in the title too, for who comes
// back from that screen on the same phone.
func (p *page) shows(number string) {
	digits := strings.ReplaceAll(number, " ", "")
	p.Number, p.Spelled = number, strings.Join(strings.Split(digits, ""), " ")
	p.Title = number + " – " + p.Title
}

// blame says above a form what kept it from counting.
func (p *page) blame(v *visit, sentence string, n webpage.Named) {
	p.Blame(v.words.Error, v.say(sentence, n))
}

// says is what a notice is made of.
type says func(*wording) (mark, heading, text string)

func sayUnknown(w *wording) (_, _, _ string)     { return "bad", w.Unknown, w.UnknownText }
func sayExpired(w *wording) (_, _, _ string)     { return "none", w.Expired, w.AskForAnother }
func sayWithdrawn(w *wording) (_, _, _ string)   { return "none", w.Withdrawn, w.AskForAnother }
func sayLocked(w *wording) (_, _, _ string)      { return "bad", w.Locked, w.LockedText }
func sayAway(w *wording) (_, _, _ string)        { return "wait", w.Away, w.AwayText }
func sayNotSaved(w *wording) (_, _, _ string)    { return "bad", w.NotSaved, w.AwayText }
func sayElsewhere(w *wording) (_, _, _ string)   { return "bad", w.Elsewhere, w.ElsewhereText }
func sayCookieLost(w *wording) (_, _, _ string)  { return "bad", w.CookieLost, w.CookieLostText }
func sayGone(w *wording) (_, _, _ string)        { return "none", w.Gone, w.GoneText }
func sayTooLate(w *wording) (_, _, _ string)     { return "none", w.TooLate, w.TooLateText }
func sayCrowded(w *wording) (_, _, _ string)     { return "bad", w.Crowded, w.CrowdedText }
func sayNothingLeft(w *wording) (_, _, _ string) { return "bad", w.NothingLeft, w.NothingLeftText }
func sayBegunOften(w *wording) (_, _, _ string)  { return "bad", w.BegunOften, w.BegunOftenText }

// notice is a page without a step: it says what is the case, and the way on where there is one.
func (h *handler) notice(v *visit, status int, result string, say says) {
	mark, heading, text := say(v.words)
	p := h.blank(v, viewNotice, heading, nil)
	p.Mark, p.Lead = mark, v.say(text, nil)
	switch result {
	case resultUnavailable, resultForeign, resultNoCookie, resultMalformed:
		p.Back, p.BackWords = h.path(v, belowOf(v), kept(v, "then")...), v.words.TryAgain
	default:
		if v.listed {
			p.Back, p.BackWords = h.path(v, ""), v.words.BackToList
		} else {
			h.leadBack(v, &p)
		}
	}
	h.render(v, status, result, p)
}

// leadBack offers the client's own page, where it gave one.
func (h *handler) leadBack(v *visit, p *page) {
	if host := hostOf(v.link.ReturnTo); host != "" {
		p.Return, p.ReturnTo = v.link.ReturnTo, v.say(v.words.BackTo, webpage.Named{"host": {Kind: webpage.Code, Text: host}})
	}
}

// render writes a page. Of a look it also says what was done just now, once.
func (h *handler) render(v *visit, status int, result string, p page) {
	h.pages.WithLabelValues(result).Inc()
	if p.View != viewNotice {
		if v.r.Method == http.MethodGet {
			if say := v.words.said(v.sees.said); say != "" {
				p.Said = v.say(say, webpage.Named{"n": count(v.sees.count)})
			}
			v.tell("", 0)
		}
		h.remember(v)
		p.Form = h.form(v)
		p.Until = v.say(v.words.Open, webpage.Named{"time": webpage.Clock(v.link.ExpiresAt)})
	}
	if p.Refresh {
		v.out.Header().Set("Refresh", strconv.Itoa(lookEvery)+"; url="+h.path(v, belowOf(v), next(v)...))
	}
	if err := webpage.Render(v.out, status, p.Lang, pageTemplate, p); err != nil {
		h.Log.ErrorContext(v.r.Context(), "enrolment page not rendered", "err", err)
	}
}

const (
	// lookEvery is how many seconds a page waits before it looks again, and maxLooks how often it does so by itself.
	lookEvery = 3
	maxLooks  = 200
)

// looksAgain makes a page look again by itself for a while, unless the person stopped that.
func (h *handler) looksAgain(v *visit, p *page) {
	n, _ := strconv.Atoi(v.r.URL.Query().Get("n"))
	here := belowOf(v)
	p.Look = h.path(v, here, kept(v, "then")...)
	if v.r.URL.Query().Has("still") || n >= maxLooks || n < 0 {
		return
	}
	p.Refresh = true
	p.Still = h.path(v, here, append(kept(v, "then"), "still", "1")...)
}

// next counts how often a page has looked by itself.
func next(v *visit) []string {
	n, _ := strconv.Atoi(v.r.URL.Query().Get("n"))
	return append(kept(v, "then"), "n", strconv.Itoa(max(n, 0)+1))
}

// belowOf is the page that was asked for, below that of its link.
func belowOf(v *visit) string {
	_, below, _ := strings.Cut(strings.TrimPrefix(v.r.URL.Path, "/enrol/"), "/")
	return below
}
