package wording

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// counted is a length of time by the plural forms that the language has, with {n}. Numbers are in Latin digits in
// every language: phones find a code by them, and people compare them with what another screen shows.
type counted map[plural.Form]string

// sentences is everything Assent says, in one language. Named parts are in braces;
// the same ones stand in every language. A new sentence is a new field, and a test
// fails until every language has it.
type sentences struct {
	minutes, seconds counted

	// Text messages, in letters of the GSM 7-bit alphabet where the language is written in them. {code} comes first, so that
	// nothing else that has digits is taken for it.
	textCode    line
	textCodeFor line // the same, with the {fields} that the code is for
	textAsk     line
	textAnswer  string // by the link
	textReply   string // by a reply
	textNumber  string // by a reply with the number to match
	textExpires string

	// Calls.
	callCode        line // greets, and says what the call is about
	callNotice      line // the same, of a notification
	callPress       string
	callDigits      line
	callAgain       string
	callCodeFor     string // before the fields that the code is for
	callAsk         line
	callFields      string // before the fields that are agreed to
	callAction      string
	callPlace       string
	callNetwork     string
	callKeys        string
	callOtherKey    string
	callNumber      string // {n} digits
	callOtherNumber string
	callMismatch    string // one more try
	callMatched     string
	callNoMatch     string // no more tries
	callTaken       string // says nothing about what the answer was
	callApproved    string
	callDenied      string
	callNotMe       line
	callClosed      string
	callGoodbye     string

	// Mails.
	mailCodeSubject  line
	mailCodeHeadline string
	mailCodeLead     line
	mailCodeExpires  string
	mailCodeKeep     line
	mailCodeWhy      line
	mailLinkSubject  line
	mailLinkHeadline string
	mailLinkLead     line
	mailLinkButton   string
	mailLinkAddress  string
	mailLinkExpires  string
	mailLinkKeep     string
	mailLinkWhy      line

	// Pushes.
	pushTitle line
	pushBody  string

	labels labels
}

// labels name the facts of a request where they stand in a table.
type labels struct{ action, place, device, network string }

// catalog lists the languages; English comes first and stands in for all others.
func catalog() []*tongue {
	return []*tongue{&english, &german, &spanish, &french, &portuguese, &hindi, &arabic}
}

// languages chooses among the catalog. It is made once because making it is slow, and never changes.
var languages = language.NewMatcher(func() []language.Tag {
	var tags []language.Tag
	for _, t := range catalog() {
		tags = append(tags, t.tag)
	}
	return tags
}())
