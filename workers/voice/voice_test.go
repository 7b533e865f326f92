package voice_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/voice"
)

const public = "https://id.example.com"

// gateway keeps what it was given.
type gateway struct {
	calls []delivery.Call
	err   error
}

func (g *gateway) StartCall(_ context.Context, c delivery.Call) (delivery.Receipt, error) {
	g.calls = append(g.calls, c)
	if g.err != nil {
		return delivery.Receipt{}, g.err
	}
	return delivery.Receipt{ID: "CA1"}, nil
}

func message(challenge events.Challenge) delivery.Message {
	m := delivery.Message{
		ID: "vrf_01", Channel: events.Voice, Challenge: challenge, Send: 1, Attempt: 1,
		To: "+14155550100", Brand: "Example Bank",
		Context:   events.Context{Action: "Sign in", Place: "Lyon, France", IP: "203.0.113.7"},
		ExpiresAt: time.Now().Add(5 * time.Minute),
	}
	if challenge == events.Code {
		m.Code = "482913"
	}
	return m
}

// send gives the script and the call that a message becomes.
func send(t *testing.T, cfg voice.Config, m delivery.Message) (heard, delivery.Call) {
	t.Helper()
	g := &gateway{}
	receipt, err := voice.New(cfg, g).Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, delivery.Receipt{ID: "CA1"}, receipt)
	require.Len(t, g.calls, 1)
	return listen(t, g.calls[0].Script.Reveal()), g.calls[0]
}

func TestACodeIsSpokenOnlyToSomebodyWhoPressesAKey(t *testing.T) {
	t.Parallel()
	script, call := send(t, voice.Config{PublicURL: public + "/", Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, message(events.Code))
	require.Equal(t, []string{"Gather", "Gather", "Say", "Hangup"}, script.verbs())
	for _, g := range script.gathers() {
		require.Equal(t, map[string]string{
			"input": "dtmf", "numDigits": "1", "timeout": "8", "finishOnKey": "", "method": "POST",
			"action": public + "/callbacks/twilio/voice/vrf_01/code",
		}, g.attributes())
		require.Contains(t, g.text(), "Press any key to hear your code.")
	}
	require.Contains(t, script.text(), "Example Bank")
	require.Contains(t, script.text(), "Goodbye.")
	require.NotContains(t, call.Script.Reveal(), "4, 8", "the script of the call does not hold the code")
	require.NotContains(t, call.Script.Reveal(), "482913")
	require.Equal(t, public+"/callbacks/twilio/call/vrf_01/0/1/1", call.CallbackURL)
	require.Equal(t, 25*time.Second, call.RingFor)
	require.Greater(t, call.ValidFor, 4*time.Minute)
	require.Empty(t, call.Lines, "a carrier that takes no keys must not read half a script")
	require.Equal(t, "+14155550100", call.To.Reveal())
}

func TestWithoutAWayBackTheCodeStandsInTheScript(t *testing.T) {
	t.Parallel()
	for _, cfg := range []voice.Config{{}, {PublicURL: public}, {Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}} {
		script, call := send(t, cfg, message(events.Code))
		require.Equal(t, []string{"Say", "Pause", "Say", "Pause", "Say", "Hangup"}, script.verbs())
		require.Equal(t, 2, strings.Count(script.text(), "4, 8, 2, 9, 1, 3"))
		require.Contains(t, script.text(), "Hello. This is Example Bank")
		require.NotContains(t, script.text(), "482913", "digits are read one by one")
		require.Empty(t, call.CallbackURL)
		require.Len(t, call.Lines, 5, "what is spoken is told without TwiML too")
		for i, v := range script.Verbs[:5] {
			if v.XMLName.Local == "Pause" {
				require.Equal(t, delivery.Line{Pause: time.Second}, call.Lines[i])
				continue
			}
			require.Equal(t, delivery.Line{Language: "en-US", Text: delivery.Code(v.Text)}, call.Lines[i])
		}
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", call, call, call), "4, 8")
	}
}

func TestAnApprovalSaysWhoAsksWhatFromWhere(t *testing.T) {
	t.Parallel()
	script, call := send(t, voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, message(events.Approval))
	require.Equal(t, []string{"Gather", "Gather", "Say", "Hangup"}, script.verbs())
	require.Len(t, script.gathers(), 2)
	for _, g := range script.gathers() {
		require.Equal(t, public+"/callbacks/twilio/voice/vrf_01/answer", g.attributes()["action"])
		for _, part := range []string{"Example Bank", "Sign in", "Lyon, France", "Press 1 to approve, 2 to deny, or 3 if this wasn't you."} {
			require.Contains(t, g.text(), part)
		}
	}
	require.NotEmpty(t, call.CallbackURL)
}

// numberGather is how a call takes six digits, or a star: hash ends what is shorter.
var numberGather = map[string]string{
	"input": "dtmf", "numDigits": "6", "timeout": "15", "finishOnKey": "#", "method": "POST",
	"action": public + "/callbacks/twilio/voice/vrf_01/answer",
}

func TestANumberIsAskedForAndNeverSpoken(t *testing.T) {
	t.Parallel()
	m := message(events.Approval)
	m.NumberLength, m.Code = 6, "706152" // no activation holds the number; this one would be told
	script, call := send(t, voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, m)
	require.Equal(t, []string{"Gather", "Gather", "Say", "Hangup"}, script.verbs())
	require.Len(t, script.gathers(), 2)
	for _, g := range script.gathers() {
		require.Equal(t, numberGather, g.attributes())
		for _, part := range []string{
			"Example Bank", "Sign in", "Lyon, France",
			"Enter the 6-digit number shown on your screen, then press hash. To refuse, press star, then hash.",
		} {
			require.Contains(t, g.text(), part)
		}
		require.NotContains(t, g.text(), "Press 1")
	}
	require.NotContains(t, call.Script.Reveal(), "706152")
	require.NotContains(t, call.Script.Reveal(), "7, 0")
	require.NotEmpty(t, call.CallbackURL)
}

func TestFieldsAreSpokenBeforeTheQuestion(t *testing.T) {
	t.Parallel()
	cfg := voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}
	m := message(events.Approval)
	m.Context.Fields = fields
	for length, question := range map[int]string{0: "Press 1 to approve", 2: "Enter the 2-digit number shown on your screen"} {
		m.NumberLength = length
		script, _ := send(t, cfg, m)
		for _, g := range script.gathers() {
			require.Regexp(t, `(?s)You are agreeing to: Amount: 49.00 EUR. Payee: Café <Lumière> & Co\. The request is: Sign in\..*`+question, g.text())
		}
	}

	code := message(events.Code)
	code.Context.Fields = fields
	script, _ := send(t, cfg, code)
	require.NotContains(t, script.text(), "49.00 EUR", "it is told with the code, to somebody who pressed a key")
	script, call := send(t, voice.Config{}, code)
	require.Equal(t, []string{"Say", "Pause", "Say", "Pause", "Say", "Pause", "Say", "Hangup"}, script.verbs())
	require.Equal(t, "This code is for: Amount: 49.00 EUR. Payee: Café <Lumière> & Co.", script.Verbs[2].Text)
	require.Len(t, call.Lines, 7)
}

func TestTheLongestFieldsFitACallInEveryLanguage(t *testing.T) {
	t.Parallel()
	m := message(events.Approval)
	m.Brand, m.NumberLength = strings.Repeat("B", 30), 2
	m.Context.Action, m.Context.Place = strings.Repeat("a", 128), strings.Repeat("p", 128)
	for range 6 {
		m.Context.Fields = append(m.Context.Fields, events.Field{Label: strings.Repeat("l", 30), Value: strings.Repeat("v", 70)})
	}
	for _, m.Locale = range []string{"en", "de", "es", "fr", "pt"} {
		script, _ := send(t, voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, m)
		require.Equal(t, 12, strings.Count(script.text(), strings.Repeat("v", 70)+"."), m.Locale)
	}
}

func TestWhatACallCannotCarryIsRefusedForGood(t *testing.T) {
	t.Parallel()
	long := message(events.Approval)
	long.Context.Action = strings.Repeat("Pay 49.00 EUR. ", 140)
	number := message(events.Approval)
	number.NumberLength = 6
	empty := message(events.Code)
	empty.Code = ""
	on := voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}
	for _, c := range []struct {
		name   string
		cfg    voice.Config
		m      delivery.Message
		reason string
	}{
		{"an approval without callbacks", voice.Config{PublicURL: public}, message(events.Approval), events.ReasonNotConfigured},
		{"an approval without a public URL", voice.Config{Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, message(events.Approval), events.ReasonNotConfigured},
		{"a number without callbacks", voice.Config{PublicURL: public}, number, events.ReasonNotConfigured},
		{"a link", on, message(events.Link), events.ReasonNotConfigured},
		{"a script beyond the carrier's limit", on, long, events.ReasonMessageRefused},
		{"an empty code", on, empty, events.ReasonMessageRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := &gateway{}
			_, err := voice.New(c.cfg, g).Send(t.Context(), c.m)
			require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
			require.Equal(t, c.reason, delivery.ReasonOf(err))
			require.Empty(t, g.calls, "nobody is called")
		})
	}
}

func TestThePhoneRingsNoLongerThanTheRequestLives(t *testing.T) {
	t.Parallel()
	m := message(events.Code)
	m.ExpiresAt = time.Now().Add(10 * time.Second)
	_, call := send(t, voice.Config{}, m)
	require.LessOrEqual(t, call.RingFor, 10*time.Second)
	m.ExpiresAt = time.Now().Add(-time.Second)
	_, call = send(t, voice.Config{}, m)
	require.Equal(t, time.Second, call.RingFor)
}

func TestTheGatewaysErrorComesBackAsItIs(t *testing.T) {
	t.Parallel()
	g := &gateway{err: delivery.Unknown(errors.New("no answer"))}
	_, err := voice.New(voice.Config{}, g).Send(t.Context(), message(events.Code))
	require.ErrorIs(t, err, g.err)
	require.Equal(t, delivery.ClassUnknown, delivery.ClassOf(err))
}

func TestANotificationIsReadTwiceAndAsksForNoKey(t *testing.T) {
	t.Parallel()
	m := message("")
	m.Locale, m.Notice = "nl", &delivery.Notice{Text: "Uw pakket <hier> is er."}
	script, call := send(t, voice.Config{PublicURL: public, Callbacks: "/callbacks/twilio/call", Keys: "/callbacks/twilio/voice"}, m)
	require.Equal(t, []string{"Say", "Pause", "Say", "Pause", "Say", "Hangup"}, script.verbs())
	require.Equal(t, 2, strings.Count(script.text(), "Uw pakket <hier> is er."))
	require.Contains(t, script.text(), "This is Example Bank with a message for you.")
	require.Contains(t, call.Script.Reveal(), `language="nl-NL"`)
	require.Len(t, call.Lines, 5, "a carrier that knows no TwiML reads it too")
	require.Equal(t, "Uw pakket <hier> is er.", call.Lines[2].Text.Reveal())
	require.Equal(t, "nl-NL", call.Lines[2].Language)
	require.Equal(t, public+"/callbacks/twilio/call/vrf_01/0/1/1", call.CallbackURL)

	m.Notice = &delivery.Notice{}
	_, err := voice.New(voice.Config{}, &gateway{}).Send(t.Context(), m)
	require.Equal(t, events.ReasonMessageRefused, delivery.ReasonOf(err))
}
