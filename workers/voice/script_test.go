package voice_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/voice"
)

// heard is a script as a carrier parses it.
type heard struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Verbs   []heard    `xml:",any"`
}

func listen(t *testing.T, script string) heard {
	t.Helper()
	require.True(t, strings.HasPrefix(script, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>"), script)
	var h heard
	require.NoError(t, xml.Unmarshal([]byte(script), &h))
	require.Equal(t, "Response", h.XMLName.Local)
	return h
}

func (h heard) verbs() []string {
	var names []string
	for _, v := range h.Verbs {
		names = append(names, v.XMLName.Local)
	}
	return names
}

func (h heard) gathers() []heard {
	var gs []heard
	for _, v := range h.Verbs {
		if v.XMLName.Local == "Gather" {
			gs = append(gs, v)
		}
	}
	return gs
}

func (h heard) attributes() map[string]string {
	m := map[string]string{}
	for _, a := range h.Attrs {
		m[a.Name.Local] = a.Value
	}
	return m
}

// text is all that is spoken, in order.
func (h heard) text() string {
	spoken := h.Text
	for _, v := range h.Verbs {
		spoken += v.text() + "\n"
	}
	return spoken
}

// languages are those of every spoken sentence.
func (h heard) languages() map[string]bool {
	found := map[string]bool{}
	if h.XMLName.Local == "Say" {
		found[h.attributes()["language"]] = true
	}
	for _, v := range h.Verbs {
		for l := range v.languages() {
			found[l] = true
		}
	}
	return found
}

var fields = []events.Field{{Label: "Amount", Value: "49.00 EUR"}, {Label: "Payee", Value: "Café <Lumière> & Co"}}

// scripts writes every script that answers a callback.
func scripts(t *testing.T, locale, brand string) map[string]heard {
	t.Helper()
	all := map[string]heard{}
	add := func(name string) func(string, error) {
		return func(script string, err error) {
			require.NoError(t, err)
			all[name] = listen(t, script)
		}
	}
	add("code")(voice.CodeScript(locale, brand, nil, "482913"))
	add("approve")(voice.AnswerScript(locale, brand, events.Approve))
	add("deny")(voice.AnswerScript(locale, brand, events.Deny))
	add("not_me")(voice.AnswerScript(locale, brand, events.NotMe))
	add("retry")(voice.RetryScript(locale, public+"/callbacks/twilio/voice/vrf_01/answer"))
	add("number taken")(voice.AnswerScript(locale, brand, ""))
	add("retry number")(voice.RetryNumberScript(locale, 6, public+"/callbacks/twilio/voice/vrf_01/answer"))
	add("mismatch")(voice.MismatchScript(locale, 6, public+"/callbacks/twilio/voice/vrf_01/answer?try=2"))
	add("matched")(voice.ComparedScript(locale, true))
	add("refused")(voice.ComparedScript(locale, false))
	add("code for a payment")(voice.CodeScript(locale, brand, fields, "482913"))
	add("goodbye")(voice.GoodbyeScript(locale))
	return all
}

func TestEveryScriptSpeaksTheLanguageAsked(t *testing.T) {
	t.Parallel()
	for locale, language := range map[string]string{
		"": "en-US", "en-GB": "en-GB", "de": "de-DE", "de-AT": "de-DE", "es-MX": "es-MX", "fr": "fr-FR", "pt-PT": "pt-PT", "ja": "en-US",
	} {
		for name, script := range scripts(t, locale, "Example Bank") {
			assert.Equal(t, map[string]bool{language: true}, script.languages(), "%s %s", locale, name)
			assert.Equal(t, "Hangup", script.verbs()[len(script.Verbs)-1], "%s %s ends the call", locale, name)
		}
		m := message(events.Approval)
		m.Locale = locale
		for _, m.NumberLength = range []int{0, 6} {
			call, _ := send(t, voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, m)
			assert.Equal(t, map[string]bool{language: true}, call.languages(), locale)
		}
	}
}

func TestTheCodeIsReadDigitByDigitTwiceAndIsTheLastThingHeard(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"4829", "0070070070", "B41832"} {
		script, err := voice.CodeScript("en", "Example Bank", nil, code)
		require.NoError(t, err)
		h := listen(t, script)
		spoken := strings.Join(strings.Split(code, ""), ", ")
		require.Equal(t, []string{"Say", "Pause", "Say", "Hangup"}, h.verbs())
		require.Equal(t, "Your Example Bank code is: "+spoken+".", h.Verbs[0].Text)
		require.Equal(t, "Once more, your code is: "+spoken+".", h.Verbs[2].Text)
		require.NotContains(t, script, code)
	}
}

func TestTheAnswersDifferByDecision(t *testing.T) {
	t.Parallel()
	s := scripts(t, "en", "Example Bank")
	require.Contains(t, s["approve"].text(), "received your approval")
	require.Contains(t, s["deny"].text(), "received your refusal")
	require.Contains(t, s["not_me"].text(), "Example Bank will learn that this wasn't you")
	require.Contains(t, s["goodbye"].text(), "no longer open")
	require.Contains(t, s["number taken"].text(), "received your answer")
	require.NotContains(t, s["number taken"].text(), "approv", "nobody has compared it yet")
}

func TestAnotherKeyIsAskedForAtTheSameAddress(t *testing.T) {
	t.Parallel()
	retry := scripts(t, "en", "")["retry"]
	require.Equal(t, []string{"Gather", "Gather", "Say", "Hangup"}, retry.verbs())
	for _, g := range retry.gathers() {
		require.Equal(t, public+"/callbacks/twilio/voice/vrf_01/answer", g.attributes()["action"])
		require.Empty(t, g.attributes()["finishOnKey"])
		require.Contains(t, g.attributes(), "finishOnKey", "left out, # would end the input unheard")
		require.Contains(t, g.text(), "Press 1 to approve")
	}
}

func TestAnotherNumberIsAskedForAtTheSameAddress(t *testing.T) {
	t.Parallel()
	retry := scripts(t, "en", "")["retry number"]
	require.Equal(t, []string{"Gather", "Gather", "Say", "Hangup"}, retry.verbs())
	for _, g := range retry.gathers() {
		require.Equal(t, numberGather, g.attributes())
		require.Contains(t, g.text(), "Enter the 6-digit number shown on your screen")
	}
	require.Equal(t, 1, strings.Count(retry.text(), "That is not a 6-digit number."))
}

func TestAnotherNumberIsAskedForAfterAWrongOne(t *testing.T) {
	t.Parallel()
	again := scripts(t, "en", "")["mismatch"]
	require.Equal(t, []string{"Gather", "Gather", "Say", "Hangup"}, again.verbs())
	for _, g := range again.gathers() {
		require.Equal(t, public+"/callbacks/twilio/voice/vrf_01/answer?try=2", g.attributes()["action"], "the next answer is another try")
		require.Equal(t, "6", g.attributes()["numDigits"])
		require.Contains(t, g.text(), "Enter the 6-digit number shown on your screen")
	}
	require.Equal(t, 1, strings.Count(again.text(), "That number doesn't match. Please enter it once more."))
	require.Contains(t, scripts(t, "en", "")["matched"].text(), "The request is approved.")
	require.Contains(t, scripts(t, "en", "")["refused"].text(), "The request is refused.")
}

func TestACodeForAPaymentSaysWhatItIsForBeforeItIsRead(t *testing.T) {
	t.Parallel()
	for locale, introduction := range map[string]string{
		"en": "This code is for:", "de": "Dieser Code gilt für:", "es": "Este código es para:", "fr": "Ce code est pour :", "pt": "Este código é para:",
	} {
		h := scripts(t, locale, "Example Bank")["code for a payment"]
		require.Equal(t, []string{"Say", "Pause", "Say", "Pause", "Say", "Hangup"}, h.verbs())
		require.Equal(t, introduction+" Amount: 49.00 EUR. Payee: Café <Lumière> & Co.", h.Verbs[0].Text)
		require.Contains(t, h.Verbs[2].Text, "4, 8, 2, 9, 1, 3.")
		require.Contains(t, h.Verbs[4].Text, "4, 8, 2, 9, 1, 3.")
	}
}

func TestTextFromOutsideCannotBecomeScript(t *testing.T) {
	t.Parallel()
	const hostile = `<Dial>+1900</Dial> & "quoted" 'single' ]]> <!-- x`
	m := message(events.Approval)
	m.ID, m.Brand, m.Context.Action, m.Context.Place = `a/"><Hangup/>`, hostile, hostile, hostile
	call, sent := send(t, voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, m)
	require.Equal(t, []string{"Gather", "Gather", "Say", "Hangup"}, call.verbs())
	for _, g := range call.gathers() {
		require.Equal(t, []string{"Say", "Say"}, g.verbs())
		require.Equal(t, 3, strings.Count(g.text(), hostile), "spoken as it was written")
		require.Equal(t, public+"/callbacks/twilio/voice/a%2F%22%3E%3CHangup%2F%3E/answer", g.attributes()["action"])
	}
	require.NotContains(t, sent.Script.Reveal(), "<Dial>")

	for name, script := range scripts(t, "en", hostile) {
		for _, v := range script.verbs() {
			require.Contains(t, []string{"Say", "Pause", "Gather", "Hangup"}, v, name)
		}
	}
}

func TestWithoutABrandNothingIsMissing(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"en", "de", "es", "fr", "pt"} {
		for name, script := range scripts(t, locale, "") {
			require.NotContains(t, script.text(), "  ", "%s %s", locale, name)
			require.NotContains(t, script.text(), " ,", "%s %s", locale, name)
		}
	}
}
