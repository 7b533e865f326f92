package accept

import (
	_ "embed" // the template
	"net/http"
	"net/url"
	"strconv"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/verification"
)

//go:embed assets/accept.html
var templateText string

var pageTemplate = webpage.Template("accept", templateText)

// page is what the template shows: a question with its form, or a state.
type page struct {
	webpage.Frame

	Words *wording
	Text  []webpage.Part

	// A question.
	Form   string
	Bound  []row // what is agreed to
	Rows   []row
	Number bool   // asks for the number on the other screen
	Typed  string // and this was typed before
	Amiss  bool   // the fault is about the number
	Note   []webpage.Part
	Open   []webpage.Part

	// A state.
	When    []webpage.Part
	Refresh string // the URL that the page goes to next, by itself
	Again   bool   // offers to look again by hand
	// Onward is the web address that an approval leads to, Continue the words of its link.
	Onward   string
	Continue []webpage.Part

	result string
	say    facts
}

// row is one line of what a person is told about the request.
type row struct {
	Kind, Label, Value string
	At                 []webpage.Part // instead of Value
	Note               string
}

// fault is why an answer does not count yet.
type fault struct {
	say    func(*wording) phrase
	result string
}

func (h *handler) blank(r *http.Request, v verification.Verification) page {
	w := catalog.For(r, v.Locale)
	return page{Words: w, Frame: webpage.Frame{
		Lang: w.Tag, Dir: w.Dir, Languages: catalog.Others(r, w.Language), Brand: v.Brand,
		Stylesheet: webpage.Below(h.PublicURL(), "/l/"+h.stylesheet.Name),
	}}
}

// question asks, with the caller's form token.
func (h *handler) question(r *http.Request, v verification.Verification, form string) page {
	p := h.blank(r, v)
	w, say := p.Words, factsOf(v, p.Words)
	asks := w.question
	if len(v.Context.Fields) > 0 {
		asks = w.agree
	}
	p.Entitle(say.phrase(asks))
	p.Note, p.Open, p.say = say.phrase(w.note), say.phrase(w.open), say
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
	p.Rows = append(p.Rows, row{Label: w.Asked, At: []webpage.Part{w.moment(v.CreatedAt)}})
	return p
}

// blame says above a question what kept an answer from counting.
func (p *page) blame(f fault) {
	p.Blame(p.Words.Error, p.say.phrase(f.say(p.Words)))
	p.Amiss, p.result = f.result == resultNoNumber || f.result == resultWrongNumber, f.result
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
	p.Entitle(facts.phrase(s.heading))
	p.Mark, p.Text, p.result = s.mark, facts.phrase(s.text), result
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
		p.When = webpage.Split(p.Words.answeredAt, webpage.Named{"time": p.Words.moment(v.ClosedAt)})
	} else {
		p.When = webpage.Split(p.Words.askedAt, webpage.Named{"time": p.Words.moment(v.CreatedAt)})
	}
	return p
}

// leads makes the page lead on: with a link, and by itself where it may.
func (p *page) leads(to *url.URL, byItself bool) {
	there := webpage.Named{"host": {Kind: webpage.Code, Text: to.Host}}
	p.Onward, p.Continue = to.String(), webpage.Split(p.Words.onward, there)
	if byItself {
		p.Refresh, p.Text = p.Onward, webpage.Split(p.Words.leading, there)
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
	if lang := catalog.Chosen(r); lang != "" {
		next.Set("lang", lang)
	}
	p.Refresh = "?" + next.Encode()
	return p
}

func (h *handler) render(w http.ResponseWriter, r *http.Request, status int, p page) {
	h.pages.WithLabelValues(p.result).Inc()
	if err := webpage.Render(w, status, p.Lang, pageTemplate, p); err != nil {
		h.Log.ErrorContext(r.Context(), "accept page not rendered", "err", err)
	}
}

// facts are what a sentence about one verification may name.
type facts struct {
	named   webpage.Named
	branded bool
}

func factsOf(v verification.Verification, w *wording) facts {
	return facts{
		named: webpage.Named{
			"brand":  {Kind: webpage.Name, Text: v.Brand},
			"life":   {Kind: webpage.Text, Text: w.duration(v.ExpiresAt.Sub(v.CreatedAt))},
			"time":   webpage.Clock(v.ExpiresAt),
			"closed": webpage.Clock(v.ClosedAt),
		},
		branded: v.Brand != "",
	}
}

func (f facts) phrase(p phrase) []webpage.Part {
	s := p.branded
	if !f.branded && p.plain != "" {
		s = p.plain
	}
	return webpage.Split(s, f.named)
}
