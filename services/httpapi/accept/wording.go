package accept

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// phrase is a whole sentence with named parts: {brand}, {time}, {life} and {host}. Plain stands where a
// request has no brand. Closed phrases name the time it ended, others the time it ends.
type phrase struct {
	branded, plain string
	closed         bool
}

// state is what a page says about a request that cannot be answered.
type state struct {
	mark          string
	heading, text phrase
}

type says func(*wording) state

func sayUnknown(w *wording) state      { return w.unknown }
func sayElsewhere(w *wording) state    { return w.elsewhere }
func sayAway(w *wording) state         { return w.away }
func sayNotSaved(w *wording) state     { return w.notSaved }
func sayNotSavedOpen(w *wording) state { return w.notSavedOpen }
func sayApproved(w *wording) state     { return w.approved }
func sayDenied(w *wording) state       { return w.denied }
func sayNotMe(w *wording) state        { return w.notMe }
func sayRefused(w *wording) state      { return w.refused }
func sayExpired(w *wording) state      { return w.expired }
func sayAnswered(w *wording) state     { return w.answered }
func sayWithdrawn(w *wording) state    { return w.withdrawn }
func sayFailed(w *wording) state       { return w.failed }
func sayWaiting(w *wording) state      { return w.waiting }
func sayWaitingLong(w *wording) state  { return w.waitingLong }

func tooSoon(w *wording) phrase     { return w.tooSoon }
func cookieLost(w *wording) phrase  { return w.cookieLost }
func noDecision(w *wording) phrase  { return w.noDecision }
func noNumber(w *wording) phrase    { return w.noNumber }
func wrongNumber(w *wording) phrase { return w.wrongNumber }

// wording is everything the page says in one language.
type wording struct {
	tag, name string
	fromRight bool // is written from the right

	What, Where, Estimate, Device, Network, Asked string
	Number, NumberHint                            string // of verification.MatchedDigits digits
	Approve, Deny, NotMe                          string
	Error, LookAgain, OtherLanguages              string

	question, agree, note, open     phrase
	tooSoon, cookieLost, noDecision phrase
	noNumber, wrongNumber           phrase
	answeredAt, askedAt             string
	leading, onward                 string // with {host}

	unknown, elsewhere, away, notSaved, notSavedOpen           state
	approved, denied, notMe, refused                           state
	expired, answered, withdrawn, failed, waiting, waitingLong state

	minutes, seconds counted
	months           [12]string
	date             string // {day} and {month}, behind a time
}

// counted is a length of time by the plural forms that the language has, with {n}. Numbers are in Latin digits in
// every language, as on the other screen and in messages: they are compared by eye.
type counted map[plural.Form]string

func only(s string) phrase                       { return phrase{branded: s} }
func either(branded, plain string) phrase        { return phrase{branded: branded, plain: plain} }
func ended(s string) phrase                      { return phrase{branded: s, closed: true} }
func is(mark string, heading, text phrase) state { return state{mark, heading, text} }

func wordingOf(tag string) *wording {
	for _, w := range catalog {
		if w.tag == tag {
			return w
		}
	}
	return catalog[0]
}

func known(tag string) bool {
	for _, w := range catalog {
		if w.tag == tag {
			return true
		}
	}
	return false
}

// languageFor is the language of a page: the link that was chosen, the request's own locale, what
// the browser asks for, English.
func languageFor(r *http.Request, locale string) string {
	if chosen := r.URL.Query().Get("lang"); known(chosen) {
		return chosen
	}
	tags := make([]language.Tag, len(catalog))
	for i, w := range catalog {
		tags[i] = language.Make(w.tag)
	}
	matcher := language.NewMatcher(tags)
	if wanted, err := language.Parse(locale); err == nil {
		if _, i, confidence := matcher.Match(wanted); confidence >= language.Low {
			return catalog[i].tag
		}
	}
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return catalog[0].tag
	}
	_, i, _ := matcher.Match(wanted...)
	return catalog[i].tag
}

// named is what the named parts of a sentence stand for.
type named struct {
	brand, life, host string
	moment            part
}

// split cuts a sentence at its named parts, so that the template isolates each: a brand may be
// written in the other direction, and a time carries its machine form.
func (w *wording) split(sentence string, n named) []part {
	var parts []part
	for sentence != "" {
		before, rest, found := strings.Cut(sentence, "{")
		if before != "" {
			parts = append(parts, part{Kind: "text", Text: before})
		}
		if !found {
			break
		}
		name, after, _ := strings.Cut(rest, "}")
		switch name {
		case "brand":
			parts = append(parts, part{Kind: "name", Text: n.brand})
		case "host":
			parts = append(parts, part{Kind: "host", Text: n.host})
		case "time":
			parts = append(parts, n.moment)
		case "life":
			parts = append(parts, part{Kind: "text", Text: n.life})
		}
		sentence = after
	}
	return parts
}

// clock is a time of today. It names its zone: the page does not know where the person is.
func (w *wording) clock(t time.Time) part {
	t = t.UTC()
	return part{Kind: "time", Text: t.Format("15:04") + " UTC", At: t}
}

// moment is a time with its day.
func (w *wording) moment(t time.Time) part {
	p := w.clock(t)
	date := strings.ReplaceAll(w.date, "{day}", strconv.Itoa(p.At.Day()))
	p.Day = strings.ReplaceAll(date, "{month}", w.months[p.At.Month()-1])
	return p
}

func (w *wording) duration(d time.Duration) string {
	if d%time.Minute == 0 {
		return w.count(int(d/time.Minute), w.minutes)
	}
	return w.count(int(d/time.Second), w.seconds)
}

func (w *wording) count(n int, words counted) string {
	form := plural.Cardinal.MatchPlural(language.MustParse(w.tag), n, 0, 0, 0, 0)
	sentence, ok := words[form]
	if !ok {
		sentence = words[plural.Other]
	}
	return strings.ReplaceAll(sentence, "{n}", strconv.Itoa(n))
}

// Dir is the direction that the language is written in.
func (w *wording) Dir() string {
	if w.fromRight {
		return "rtl"
	}
	return "ltr"
}
