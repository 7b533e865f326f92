package voice

import (
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/wording"
)

// askForKey says who calls and speaks the code only to somebody who presses a key, so
// that no voicemail gets it. The question is repeated once.
func askForKey(locale string, f wording.Facts, keyURL string) script {
	w := speaker{wording.For(locale)}
	return script{
		gather(keyURL, w.say(w.CodeCall(f)), w.say(w.PressForCode())),
		gather(keyURL, w.say(w.PressForCode())),
		w.say(w.Goodbye()),
		hangup{},
	}
}

// askForDecision says who asks what from where, twice, and waits for the key that decides.
func askForDecision(locale string, f wording.Facts, answerURL string) script {
	w := speaker{wording.For(locale)}
	question := gather(answerURL, w.say(w.ApprovalCall(f)), w.say(w.ApprovalKeys()))
	return script{question, question, w.say(w.Goodbye()), hangup{}}
}

// askForNumber says who asks what from where, twice, and waits for the number that is shown where the
// request began: whoever is called must see that screen.
func askForNumber(locale string, f wording.Facts, digits int, answerURL string) script {
	w := speaker{wording.For(locale)}
	question := gatherNumber(answerURL, digits, w.say(w.ApprovalCall(f)), w.say(w.NumberKeys(digits)))
	return script{question, question, w.say(w.Goodbye()), hangup{}}
}

// tellCode is the whole call where there is no way back for a key press: it greets, waits
// until the phone is at the ear, and reads the code.
func tellCode(locale string, f wording.Facts, code string) script {
	w := speaker{wording.For(locale)}
	return append(script{w.say(w.CodeCall(f)), pause{Length: 1}}, w.code(f, code)...)
}

// tell is the call of a notification: it greets, waits until the phone is at the ear, and reads the text, twice.
func tell(locale string, f wording.Facts, text string) script {
	w := speaker{wording.For(locale)}
	read := say{Language: wording.SpokenLanguage(locale), Text: text}
	return script{w.say(w.NoticeCall(f)), pause{Length: 1}, read, pause{Length: 1}, read, hangup{}}
}

// CodeScript answers the key press: it says what the code is for, where it is for anything in particular, and
// reads it digit by digit, twice, with a pause between. The code is the last thing that is heard.
func CodeScript(locale, brand string, fields []events.Field, code string) (string, error) {
	w := speaker{wording.For(locale)}
	return w.code(wording.Facts{Brand: brand, Context: events.Context{Fields: fields}}, code).twiML()
}

// AnswerScript thanks for a decision and ends the call. It promises only that the answer
// arrived: whether it still counts is decided later. An empty decision stands for a number,
// which is compared later too.
func AnswerScript(locale, brand string, decision events.Decision) (string, error) {
	w := speaker{wording.For(locale)}
	return script{w.say(w.Acknowledged(decision, wording.Facts{Brand: brand})), w.say(w.Goodbye()), hangup{}}.twiML()
}

// RetryScript answers a key that decides nothing: it names the keys again, twice, and waits
// for one at the same URL.
func RetryScript(locale, answerURL string) (string, error) {
	w := speaker{wording.For(locale)}
	return script{
		gather(answerURL, w.say(w.OtherKey()), w.say(w.ApprovalKeys())),
		gather(answerURL, w.say(w.ApprovalKeys())),
		w.say(w.Goodbye()),
		hangup{},
	}.twiML()
}

// RetryNumberScript answers keys that are no number of so many digits: it asks again, twice, and waits
// at the same URL.
func RetryNumberScript(locale string, digits int, answerURL string) (string, error) {
	w := speaker{wording.For(locale)}
	return script{
		gatherNumber(answerURL, digits, w.say(w.OtherNumber(digits)), w.say(w.NumberKeys(digits))),
		gatherNumber(answerURL, digits, w.say(w.NumberKeys(digits))),
		w.say(w.Goodbye()),
		hangup{},
	}.twiML()
}

// MismatchScript says that a number was wrong and asks for it again, twice, at another URL: the next answer is
// another try, whatever its digits.
func MismatchScript(locale string, digits int, answerURL string) (string, error) {
	w := speaker{wording.For(locale)}
	return script{
		gatherNumber(answerURL, digits, w.say(w.Mismatch()), w.say(w.NumberKeys(digits))),
		gatherNumber(answerURL, digits, w.say(w.NumberKeys(digits))),
		w.say(w.Goodbye()),
		hangup{},
	}.twiML()
}

// ComparedScript tells what came of a number, and ends the call.
func ComparedScript(locale string, matched bool) (string, error) {
	w := speaker{wording.For(locale)}
	said := w.NoMatch()
	if matched {
		said = w.Matched()
	}
	return script{w.say(said), w.say(w.Goodbye()), hangup{}}.twiML()
}

// GoodbyeScript says that there is nothing to answer any more and ends the call.
func GoodbyeScript(locale string) (string, error) {
	w := speaker{wording.For(locale)}
	return script{w.say(w.Closed()), w.say(w.Goodbye()), hangup{}}.twiML()
}

// speaker says the sentences of one language in a voice of that language.
type speaker struct{ wording.Wording }

func (s speaker) say(text string) say { return say{Language: s.SpeechLanguage(), Text: text} }

func (s speaker) code(f wording.Facts, code string) script {
	read := script{s.say(s.SpokenCode(f, code)), pause{Length: 1}, s.say(s.SpokenCodeAgain(code)), hangup{}}
	if fields := s.SpokenFields(f); fields != "" {
		return append(script{s.say(fields), pause{Length: 1}}, read...)
	}
	return read
}
