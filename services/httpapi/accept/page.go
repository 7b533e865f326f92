package accept

import (
	"bytes"
	_ "embed" // the template
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

//go:embed assets/accept.html
var templateText string

var pageTemplate = template.Must(template.New("accept").Parse(templateText))

// page is what the template shows: a question with its form, or a state.
type page struct {
	Lang       string
	Languages  []translation
	Stylesheet string
	Title      string
	Brand      string
	Heading    []part
	Text       []part
	Words      *wording

	// A question.
	Form   string
	Fault  []part
	Bound  []row // what is agreed to
	Rows   []row
	Number bool   // asks for the number on the other screen
	Typed  string // and this was typed before
	Amiss  bool   // the fault is about the number
	Note   []part
	Open   []part

	// A state.
	Mark    string // good, bad, wait or none: never said by colour alone
	When    []part
	Refresh string // the URL that the page goes to next, by itself
	Again   bool   // offers to look again by hand
	// Onward is the web address that an approval leads to, Continue the words of its link.
	Onward   string
	Continue []part

	result string
	say    facts
}

// row is one line of what a person is told about the request.
type row struct {
	Kind, Label, Value string
	At                 []part // instead of Value
	Note               string
}

// translation is a link to the same page in another language.
type translation struct{ Tag, Name string }

// fault is why an answer does not count yet.
type fault struct {
	say    func(*wording) phrase
	result string
}

func (h *handler) blank(r *http.Request, v verification.Verification) page {
	tag := languageFor(r, v.Locale)
	// From whatever stands below /l/: a link with something behind it is a page too.
	up := strings.Repeat("../", max(strings.Count(r.URL.EscapedPath(), "/")-2, 0))
	p := page{Lang: tag, Stylesheet: up + h.stylesheetPath, Brand: v.Brand, Words: wordingOf(tag)}
	for _, c := range catalog {
		if c.tag != tag {
			p.Languages = append(p.Languages, translation{c.tag, c.name})
		}
	}
	return p
}

// question asks, with the caller's form token.
func (h *handler) question(r *http.Request, v verification.Verification, form string) page {
	p := h.blank(r, v)
	w, say := p.Words, factsOf(v, p.Words)
	asks := w.question
	if len(v.Context.Fields) > 0 {
		asks = w.agree
	}
	p.Heading, p.Note, p.Open = say.phrase(asks), say.phrase(w.note), say.phrase(w.open)
	p.Title, p.say = say.title(asks), say
	p.Form, p.Number, p.result = form, v.NumberLength > 0, resultAsked
	for _, f := range v.Context.Fields {
		p.Bound = append(p.Bound, row{Label: f.Label, Value: f.Value})
	}
	add := func(kind, label, value, note string) {
		if value != "" {
			p.Rows = append(p.Rows, row{Kind: kind, Label: label, Value: value, Note: note})
		}
	}
	add("what", w.What, v.Context.Action, "")
	add("text", w.Where, v.Context.Place, w.Estimate)
	add("text", w.Device, v.Context.Device, "")
	add("code", w.Network, v.Context.IP, "")
	p.Rows = append(p.Rows, row{Label: w.Asked, At: []part{w.moment(v.CreatedAt)}})
	return p
}

// blame says above a question what kept an answer from counting.
func (p *page) blame(f fault) {
	p.Fault, p.result = p.say.phrase(f.say(p.Words)), f.result
	p.Amiss = f.result == resultNoNumber || f.result == resultWrongNumber
	p.Title = p.Words.Error + ": " + p.Title
}

// notice is a state of no verification in particular.
func (h *handler) notice(r *http.Request, say says, result string) page {
	return h.state(r, verification.Verification{}, say, result)
}

// state says how a request stands: the brand and a time, but nothing of what was asked from where,
// because the link may be opened later by somebody else.
func (h *handler) state(r *http.Request, v verification.Verification, say says, result string) page {
	p := h.blank(r, v)
	s, facts := say(p.Words), factsOf(v, p.Words)
	p.Mark, p.Heading, p.Text = s.mark, facts.phrase(s.heading), facts.phrase(s.text)
	p.Title, p.result = facts.title(s.heading), result
	return p
}

// closed is the state of a request that has ended. Its outcome is told to the browser that
// answered; to everybody else only that there was an answer.
func (h *handler) closed(r *http.Request, v verification.Verification, sees visitor) page {
	say, answered := sayFailed, true
	switch v.Status {
	case verification.Approved:
		say = sayAnswered
		if sees.answered == events.Approve {
			say = sayApproved
		}
	case verification.Denied:
		say = sayAnswered
		notMe := v.Reason == verification.NotMe
		if sees.answered == events.NotMe && notMe {
			say = sayNotMe
		}
		if sees.answered == events.Deny && v.Reason == "" {
			say = sayDenied
		}
		if sees.answered == events.Approve && v.Reason == verification.WrongNumber {
			say = sayRefused
		}
	case verification.Expired:
		say, answered = sayExpired, false
	case verification.Canceled:
		say, answered = sayWithdrawn, false
	case verification.Failed, verification.Pending:
		answered = false
	}
	p := h.state(r, v, say, resultClosed)
	if answered {
		p.When = p.Words.split(p.Words.answeredAt, named{moment: p.Words.moment(v.ClosedAt)})
	} else {
		p.When = p.Words.split(p.Words.askedAt, named{moment: p.Words.moment(v.CreatedAt)})
	}
	return p
}

// leads makes the page lead on: with a link, and by itself where it may.
func (p *page) leads(to *url.URL, byItself bool) {
	there := named{host: to.Host}
	p.Onward, p.Continue = to.String(), p.Words.split(p.Words.onward, there)
	if byItself {
		p.Refresh, p.Text = p.Onward, p.Words.split(p.Words.leading, there)
	}
}

// waiting is shown between a saved answer and the verifier's word. It looks again by itself, but
// not for ever.
func (h *handler) waiting(r *http.Request, v verification.Verification) page {
	looks, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || looks < 0 {
		looks = 0
	}
	if looks >= maxLooks {
		p := h.state(r, v, sayWaitingLong, resultWaiting)
		p.Again = true
		return p
	}
	p := h.state(r, v, sayWaiting, resultWaiting)
	next := url.Values{"n": {strconv.Itoa(looks + 1)}}
	if lang := r.URL.Query().Get("lang"); known(lang) {
		next.Set("lang", lang)
	}
	p.Refresh = "?" + next.Encode()
	return p
}

func headers(w http.ResponseWriter) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; " +
			"frame-ancestors 'none'; base-uri 'none'",
		"Referrer-Policy":            "no-referrer", // the token is in the path
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

func (h *handler) render(w http.ResponseWriter, r *http.Request, status int, p page) {
	h.pages.WithLabelValues(p.result).Inc()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		h.Log.ErrorContext(r.Context(), "accept page not rendered", "err", err)
		http.Error(w, "This page can't be shown right now.", http.StatusInternalServerError)
		return
	}
	// Every attribute of the template stands in double quotes, so an apostrophe needs no escape, and
	// the words can be found in the source as they are written.
	body := bytes.ReplaceAll(b.Bytes(), []byte("&#39;"), []byte("'"))
	headers(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", p.Lang)
	w.Header().Set("Vary", "Accept-Language, Cookie")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // net/http drops the body of a HEAD
}

// facts are what a sentence about one verification may name.
type facts struct {
	words *wording
	brand string
	until part
	at    part
	life  string
}

func factsOf(v verification.Verification, w *wording) facts {
	f := facts{words: w, brand: v.Brand, life: w.duration(v.ExpiresAt.Sub(v.CreatedAt))}
	f.until, f.at = w.clock(v.ExpiresAt), w.clock(v.ClosedAt)
	return f
}

func (f facts) phrase(p phrase) []part {
	s := p.branded
	if f.brand == "" && p.plain != "" {
		s = p.plain
	}
	moment := f.until
	if p.closed {
		moment = f.at
	}
	return f.words.split(s, named{brand: f.brand, moment: moment, life: f.life})
}

// title is a phrase without mark-up, followed by the brand.
func (f facts) title(p phrase) string {
	var title string
	for _, t := range f.phrase(p) {
		title += t.Text + t.Day
	}
	if f.brand != "" {
		title += " – " + f.brand
	}
	return title
}

// part is a piece of a sentence: plain text, the name of a brand or host to isolate, or a time.
type part struct {
	Kind string // text, name, host or time
	Text string
	Day  string // what stands behind the clock of a time
	At   time.Time
}
