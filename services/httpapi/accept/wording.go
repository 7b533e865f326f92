package accept

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/assent-io/assent/services/httpapi/webpage"
)

// phrase is a whole sentence with named parts: {brand}, {life}, {time} when the request ends, and {closed} when it did.
// Plain stands where it has no brand.
type phrase struct{ branded, plain string }

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
	webpage.Language

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
	date             string // {day} and {month}, behind a time
}

// counted is a length of time by the plural forms that the language has, with {n}. Numbers are in Latin digits in
// every language, as on the other screen and in messages: they are compared by eye.
type counted map[plural.Form]string

func only(s string) phrase                       { return phrase{branded: s} }
func either(branded, plain string) phrase        { return phrase{branded: branded, plain: plain} }
func is(mark string, heading, text phrase) state { return state{mark, heading, text} }

// moment is a time with its day.
func (w *wording) moment(t time.Time) webpage.Part {
	p := webpage.Clock(t)
	p.Words = w.Date(w.date, t)
	return p
}

func (w *wording) duration(d time.Duration) string {
	if d%time.Minute == 0 {
		return w.count(int(d/time.Minute), w.minutes)
	}
	return w.count(int(d/time.Second), w.seconds)
}

func (w *wording) count(n int, words counted) string {
	form := plural.Cardinal.MatchPlural(language.MustParse(w.Tag), n, 0, 0, 0, 0)
	sentence, ok := words[form]
	if !ok {
		sentence = words[plural.Other]
	}
	return strings.ReplaceAll(sentence, "{n}", strconv.Itoa(n))
}
