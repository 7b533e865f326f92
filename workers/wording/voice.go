package wording

import (
	"strconv"
	"strings"

	"github.com/assent-io/assent/events"
)

// CodeCall greets, and says that the call brings a code.
func (w Wording) CodeCall(f Facts) string { return w.say(w.lang.words.callCode, f) }

// NoticeCall greets, and says that the call brings a message.
func (w Wording) NoticeCall(f Facts) string { return w.say(w.lang.words.callNotice, f) }

// PressForCode asks for the key press that proves a person is listening.
func (w Wording) PressForCode() string { return w.lang.words.callPress }

// SpokenFields says what a code is for, before the code; empty where it is for nothing in particular.
func (w Wording) SpokenFields(f Facts) string { return f.listed(w.lang.words.callCodeFor) }

// listed is an introduction and the fields, each as a sentence; empty where there are none.
func (f Facts) listed(introduction string) string {
	if len(f.Context.Fields) == 0 {
		return ""
	}
	said := []string{introduction}
	for _, field := range f.Context.Fields {
		said = append(said, sentence(field.Label+": "+field.Value))
	}
	return paragraph(said...)
}

// SpokenCode reads a code digit by digit, and letter by letter.
func (w Wording) SpokenCode(f Facts, code string) string {
	return w.say(w.lang.words.callDigits, f, "{digits}", digits(code))
}

// SpokenCodeAgain reads a code for the second time.
func (w Wording) SpokenCodeAgain(code string) string {
	return w.plain(w.lang.words.callAgain, Facts{}, "{digits}", digits(code))
}

// digits makes a voice read digits and letters one at a time, instead of a large number or a word.
func digits(code string) string { return strings.Join(strings.Split(code, ""), ", ") }

// ApprovalCall says who asks, what exactly is agreed to, what else is asked and from where. The network address is spoken only where
// no place is known: digits are hard to listen to.
func (w Wording) ApprovalCall(f Facts) string {
	var action, origin string
	if f.Context.Action != "" {
		action = w.spoken(w.lang.words.callAction, f)
	}
	switch {
	case f.Context.Place != "":
		origin = w.spoken(w.lang.words.callPlace, f)
	case f.Context.IP != "":
		origin = w.spoken(w.lang.words.callNetwork, f)
	}
	return paragraph(w.say(w.lang.words.callAsk, f), f.listed(w.lang.words.callFields), action, origin)
}

// spoken fills a sentence that ends with a fact, which may have brought its own full stop.
func (w Wording) spoken(text string, f Facts) string {
	for _, end := range []string{".", "?", "!"} {
		f.Context.Action = strings.TrimSuffix(f.Context.Action, end)
		f.Context.Place = strings.TrimSuffix(f.Context.Place, end)
	}
	return w.plain(text, f)
}

// ApprovalKeys says which key means what: 1 approves, 2 denies, 3 says it was somebody else.
func (w Wording) ApprovalKeys() string { return w.lang.words.callKeys }

// OtherKey says that the pressed key is none of them.
func (w Wording) OtherKey() string { return w.lang.words.callOtherKey }

// NumberKeys asks for the number on the person's screen, and says which keys refuse, and which say that it was
// somebody else.
func (w Wording) NumberKeys(digits int) string { return w.counted(w.lang.words.callNumber, digits) }

// OtherNumber says that what was keyed in has another number of digits.
func (w Wording) OtherNumber(digits int) string {
	return w.counted(w.lang.words.callOtherNumber, digits)
}

// Mismatch says that the number is not the one on the screen, and that one more may be tried.
func (w Wording) Mismatch() string { return w.lang.words.callMismatch }

// Matched says that the number was right.
func (w Wording) Matched() string { return w.lang.words.callMatched }

// NoMatch says that the number was wrong, and that no more may be tried.
func (w Wording) NoMatch() string { return w.lang.words.callNoMatch }

func (w Wording) counted(text string, n int) string {
	return strings.ReplaceAll(text, "{n}", strconv.Itoa(n))
}

// Acknowledged thanks for a decision. It confirms that the answer arrived and promises
// no more: whether it still counts is decided later. An empty decision is an answer that
// is still to be compared.
func (w Wording) Acknowledged(d events.Decision, f Facts) string {
	switch d {
	case events.Approve:
		return w.lang.words.callApproved
	case events.NotMe:
		return w.say(w.lang.words.callNotMe, f)
	case events.Deny:
		return w.lang.words.callDenied
	case "":
		return w.lang.words.callTaken
	default:
		return w.lang.words.callOtherKey
	}
}

// Closed says that there is nothing to answer any more.
func (w Wording) Closed() string { return w.lang.words.callClosed }

// Goodbye ends a call.
func (w Wording) Goodbye() string { return w.lang.words.callGoodbye }
