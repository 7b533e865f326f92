package sandbox_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	twilio "github.com/twilio/twilio-go/client"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/voice"
)

const codeScript = `<?xml version="1.0" encoding="UTF-8"?><Response>
<Say language="en-US">Your Example Bank code is</Say><Pause length="1"/><Say>4, 8, 2, 9, 1, 3</Say>
<Say>Again, your code is</Say><Say>4, 8, 2, 9, 1, 3</Say></Response>`

func (b *bundle) phoneCall(t *testing.T, twiml string, change url.Values) answered {
	t.Helper()
	form := url.Values{"To": {ana}, "From": {b.account.TwilioFrom}, "Twiml": {twiml}}
	for k, v := range change {
		form[k] = v
		if len(v) == 0 {
			form.Del(k)
		}
	}
	return b.twilio(t, "Calls.json", form)
}

func (b *bundle) twiml(path, script string) {
	b.assent.on(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = fmt.Fprint(w, script)
	})
}

func TestACallPressesAKeyAndEndsWithTheCode(t *testing.T) {
	b := setup(t)
	action := b.assent.url + "/callbacks/twilio/voice/v1/code"
	b.twiml("/callbacks/twilio/voice/v1/code", codeScript)
	res := b.phoneCall(t, `<Response><Gather numDigits="1" finishOnKey="" action="`+action+`" method="POST"><Say>This is Example Bank. Press any key to hear your code.</Say></Gather><Say>Goodbye.</Say></Response>`,
		url.Values{
			"Timeout": {"25"}, "MachineDetection": {"Enable"}, "StatusCallback": {b.assent.url + "/status"},
			"StatusCallbackEvent": {"initiated", "ringing", "answered", "completed"},
		})
	require.Equal(t, http.StatusCreated, res.status, "%s", res.body)
	require.Regexp(t, `^CA[0-9a-f]{32}$`, res.json(t)["sid"])

	m := b.one(t, "?channel=voice")
	require.Equal(t, "482913", m.Code)
	require.Equal(t, "completed", m.Status)
	require.Contains(t, m.Text, "Press any key to hear your code.\nYour Example Bank code is\n4, 8, 2, 9, 1, 3\n")
	require.NotContains(t, m.Text, "Goodbye")

	validator := twilio.NewRequestValidator(b.account.TwilioAuthToken)
	var states []string
	for range 5 {
		got := b.assent.next(t)
		require.True(t, validator.ValidateBody(got.url, got.body, got.header.Get("X-Twilio-Signature")))
		form := got.form(t)
		require.Equal(t, res.json(t)["sid"], form.Get("CallSid"))
		if got.path == "/status" {
			states = append(states, form.Get("CallStatus"))
			if form.Get("CallStatus") == "completed" {
				require.Equal(t, "human", form.Get("AnsweredBy"))
				require.NotEmpty(t, form.Get("CallDuration"))
			}
			continue
		}
		require.Equal(t, "1", form.Get("Digits"))
	}
	require.Equal(t, []string{"initiated", "ringing", "in-progress", "completed"}, states)
}

func TestACallWithAnInlineCodeNeedsNoKey(t *testing.T) {
	b := setup(t)
	require.Equal(t, http.StatusCreated, b.phoneCall(t, codeScript, nil).status)
	require.Equal(t, "482913", b.one(t, "").Code)
	require.Empty(t, b.assent.got, "completed is reported only where a callback was asked for")
}

func TestAnApprovalWaitsForItsKey(t *testing.T) {
	b := setup(t)
	action := b.assent.url + "/callbacks/twilio/voice/v1/answer"
	b.twiml("/callbacks/twilio/voice/v1/answer", `<Response><Say>Thank you. You approved.</Say><Hangup/></Response>`)
	script := `<Response><Gather numDigits="1" action="` + action + `"><Say>Press 1 to approve, 2 to deny.</Say></Gather><Say>Goodbye.</Say></Response>`
	require.Equal(t, http.StatusCreated, b.phoneCall(t, script, nil).status)
	m := b.one(t, "?to=%2B14155550100")
	require.Empty(t, m.Code)
	require.Equal(t, "in-progress", m.Status)

	res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"keys":"1"}`)
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	v := res.json(t)
	require.Equal(t, true, v["answered"])
	require.EqualValues(t, 200, v["status"])
	require.Contains(t, v["body"], "You approved")
	require.Equal(t, "1", b.assent.next(t).form(t).Get("Digits"))

	m = b.one(t, "")
	require.Equal(t, "completed", m.Status)
	require.Contains(t, m.Text, "Thank you. You approved.")

	res = b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"keys":"1"}`)
	require.Equal(t, http.StatusConflict, res.status)
	require.Contains(t, res.json(t)["detail"], "has ended")
}

func TestKeysBeyondOneQuestionAnswerTheNext(t *testing.T) {
	b := setup(t)
	ask := func(words string) string {
		return `<Response><Gather numDigits="1" action="/callbacks/answer"><Say>` + words + `</Say></Gather></Response>`
	}
	b.twiml("/callbacks/answer", ask("Not a choice. Press 1 or 2."))
	require.Equal(t, http.StatusCreated, b.phoneCall(t, "", url.Values{"Twiml": {}, "Url": {b.assent.url + "/script"}}).status)
	_ = b.assent.next(t)
	m := b.one(t, "")
	require.Contains(t, m.Text, "An application error has occurred", "204 is no script")

	b.twiml("/script", ask("Press 1 or 2."))
	require.Equal(t, http.StatusCreated, b.phoneCall(t, "", url.Values{"Twiml": {}, "Url": {b.assent.url + "/script"}}).status)
	m = b.messages(t, "?wait=10&after="+m.ID)[0]
	_ = b.assent.next(t)
	require.Equal(t, http.StatusOK, b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"keys":"47"}`).status)
	require.Equal(t, "4", b.assent.next(t).form(t).Get("Digits"))
	require.Equal(t, "7", b.assent.next(t).form(t).Get("Digits"))

	res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"hang_up":true}`)
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	eventually(t, func() bool { return b.messages(t, "?limit=1")[0].Status == "completed" })
}

func TestAFinishKeyEndsTheInput(t *testing.T) {
	b := setup(t)
	script := `<Response><Gather action="` + b.assent.url + `/a"><Say>Type your number, then hash.</Say></Gather></Response>`
	require.Equal(t, http.StatusCreated, b.phoneCall(t, script, nil).status)
	m := b.one(t, "")
	b.twiml("/a", `<Response><Redirect>`+b.assent.url+`/b</Redirect></Response>`)
	b.twiml("/b", `<Response><Say loop="2">Bye.</Say></Response>`)
	require.Equal(t, http.StatusOK, b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"keys":"47#"}`).status)
	form := b.assent.next(t).form(t)
	require.Equal(t, "47", form.Get("Digits"))
	require.Equal(t, "#", form.Get("FinishedOnKey"))
	require.Contains(t, b.one(t, "").Text, "Bye.\nBye.")
}

func TestANumberIsKeyedInOrRefused(t *testing.T) {
	b := setup(t)
	b.twiml("/callbacks/twilio/voice/v1/answer", `<Response><Say>Thank you. We have received your answer.</Say><Hangup/></Response>`)
	script := `<Response><Gather input="dtmf" numDigits="6" finishOnKey="#" timeout="15" action="` + b.assent.url +
		`/callbacks/twilio/voice/v1/answer"><Say>Enter the 6-digit number shown on your screen.</Say></Gather></Response>`
	for keys, want := range map[string][2]string{
		"123456": {"123456", ""}, "123456#": {"123456", ""}, "*#": {"*", "#"}, "*": {"*", ""}, "12#": {"12", "#"}, "#": {"", "#"},
	} {
		require.Equal(t, http.StatusCreated, b.phoneCall(t, script, nil).status)
		var m inboxMessage
		eventually(t, func() bool {
			newest := b.messages(t, "?limit=1")
			if len(newest) == 0 || newest[0].Status != "in-progress" {
				return false
			}
			m = newest[0]
			return true
		})
		require.Empty(t, m.Code, "the call tells no code")
		res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"keys":"`+keys+`"}`)
		require.Equal(t, http.StatusOK, res.status, "%s", res.body)
		require.Contains(t, res.json(t)["body"], "received your answer")
		form := b.assent.next(t).form(t)
		require.Equal(t, want, [2]string{form.Get("Digits"), form.Get("FinishedOnKey")}, keys)
		require.Equal(t, "completed", b.messages(t, "?limit=1")[0].Status)
	}
}

func TestAKeyThatEndsOneNumberLeavesTheRestToTheNext(t *testing.T) {
	b := setup(t)
	script := `<Response><Gather numDigits="6" finishOnKey="#" action="` + b.assent.url + `/a"><Say>Enter the number.</Say></Gather></Response>`
	b.twiml("/a", script)
	require.Equal(t, http.StatusCreated, b.phoneCall(t, script, nil).status)
	m := b.one(t, "")
	require.Equal(t, http.StatusOK, b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"keys":"12#123456*#"}`).status)
	for _, want := range []string{"12", "123456", "*"} {
		require.Equal(t, want, b.assent.next(t).form(t).Get("Digits"))
	}
}

func TestAScriptThatNeverEndsIsEnded(t *testing.T) {
	b := setup(t)
	b.twiml("/loop", `<Response><Redirect>`+b.assent.url+`/loop</Redirect></Response>`)
	require.Equal(t, http.StatusCreated, b.phoneCall(t, "", url.Values{"Twiml": {}, "Url": {b.assent.url + "/loop"}}).status)
	require.Contains(t, b.one(t, "").Text, "An application error has occurred")
}

func TestReservedNumbersDoNotAnswerCalls(t *testing.T) {
	b := setup(t)
	for to, want := range map[string]string{"+14155550194": "no-answer", "+14155550195": "busy"} {
		require.Equal(t, http.StatusCreated, b.phoneCall(t, codeScript, url.Values{"To": {to}, "StatusCallback": {b.assent.url + "/status"}}).status)
		require.Equal(t, want, b.assent.next(t).form(t).Get("CallStatus"))
		m := b.one(t, "?to="+url.QueryEscape(to))
		require.Equal(t, want, m.Status)
		require.Empty(t, m.Code)
	}
}

func TestTwilioRefusesACallThatTwilioWouldRefuse(t *testing.T) {
	b := setup(t)
	for _, c := range []struct {
		name   string
		change url.Values
		code   int
	}{
		{"no To", url.Values{"To": {}}, 21201},
		{"To is not a number", url.Values{"To": {"+12"}}, 21211},
		{"no From", url.Values{"From": {}}, 21213},
		{"somebody else's From", url.Values{"From": {"+14155550111"}}, 21210},
		{"no script", url.Values{"Twiml": {}}, 21205},
		{"a script URL that is none", url.Values{"Twiml": {}, "Url": {"ftp://x"}}, 21205},
		{"a callback that is no URL", url.Values{"StatusCallback": {"x"}}, 21609},
		{"an unknown event", url.Values{"StatusCallbackEvent": {"hello"}}, 21626},
		{"a timeout out of range", url.Values{"Timeout": {"601"}}, 20422},
		{"unknown parameter", url.Values{"Colour": {"blue"}}, 20001},
		{"not XML", url.Values{"Twiml": {"<Response><Say>"}}, 12100},
		{"an unknown verb", url.Values{"Twiml": {"<Response><Sing>la</Sing></Response>"}}, 12100},
		{"a misspelt attribute", url.Values{"Twiml": {`<Response><Gather numdigits="1"/></Response>`}}, 12100},
		{"text outside of a verb", url.Values{"Twiml": {`<Response>hello</Response>`}}, 12100},
		{"a verb that may not be nested", url.Values{"Twiml": {`<Response><Gather><Hangup/></Gather></Response>`}}, 12100},
		{"two documents", url.Values{"Twiml": {`<Response/><Response/>`}}, 12100},
		{"nothing to say", url.Values{"Twiml": {`<Response><Say> </Say></Response>`}}, 12100},
		{"reserved: not a number", url.Values{"To": {"+14155550190"}}, 21211},
		{"reserved: country", url.Values{"To": {"+14155550192"}}, 21215},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := b.phoneCall(t, codeScript, c.change)
			require.Equal(t, http.StatusBadRequest, res.status, "%s", res.body)
			require.EqualValues(t, c.code, res.json(t)["code"], "%s", res.body)
		})
	}
	require.Empty(t, b.messages(t, "?unspoken=true"))
}

func TestSpelledDigitsAreSpokenOneByOne(t *testing.T) {
	b := setup(t)
	require.Equal(t, http.StatusCreated, b.phoneCall(t, `<Response><Say>Your code: <say-as interpret-as="digits">482913</say-as></Say></Response>`, nil).status)
	m := b.one(t, "")
	require.Equal(t, "482913", m.Code)
	require.Equal(t, "Your code: 4, 8, 2, 9, 1, 3", m.Text)
}

func TestASpokenCodeKeepsItsLetterInEveryLanguage(t *testing.T) {
	b := setup(t)
	fields := []events.Field{{Label: "Amount", Value: "1 2 3 4 EUR"}}
	for _, locale := range []string{"en", "de", "es", "fr", "pt"} {
		for _, code := range []string{"B41832", "482913", "0042"} {
			script, err := voice.CodeScript(locale, "Bank A", fields, code)
			require.NoError(t, err)
			require.Equal(t, http.StatusCreated, b.phoneCall(t, strings.TrimPrefix(script, xml.Header), nil).status)
			eventually(t, func() bool {
				m := b.messages(t, "?limit=1")
				return len(m) == 1 && m[0].Status == "completed" && m[0].Code == code
			})
		}
	}
}
