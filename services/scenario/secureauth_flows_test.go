package scenario_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func TestSecureAuthPushesWaitForThePhone(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		ana := s.Realm(goSDK(), fields{"brand": "Example Bank"}).Has(somebody(), nil)
		phone := ana.Joins()
		factor := ana.Factor("push")
		require.Regexp(t, `^[0-9a-f]{32}$`, factor.ID)
		require.Contains(t, factor.Capabilities, "push_accept")
		require.Contains(t, factor.Capabilities, "push_accept_symbol")

		for _, c := range []struct{ kind, decision, message string }{
			{"push_accept", "approve", "ACCEPTED"}, {"push_accept", "deny", "DENIED"}, {"push_accept_biometric", "not-me", "DENIED"},
		} {
			asked := ana.Sent(c.kind, fields{"factor_id": factor.ID, "push_accept_details": fields{
				"company_name": "Shop & Söhne", "application_description": "Pay 20 EUR", "enduser_ip": "203.0.113.7",
			}})
			require.Nil(t, asked.OTP)
			require.Empty(t, asked.Symbol)
			require.Equal(t, "PENDING", ana.Reads(ofPush, asked))
			shown := phone.Answers(c.decision)
			require.Contains(t, shown, "Pay 20 EUR")
			require.Contains(t, shown, "203.0.113.7")
			ana.Polls(ofPush, asked, c.message)
		}
	})
}

func TestSecureAuthSymbolsAreChosenOnThePhone(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		ana := s.Realm(csharpSDK(), nil).Has(somebody(), nil)
		phone := ana.Joins()
		device := fields{"factor_id": ana.Factor("push").ID}

		asked := ana.Sent("push_accept_symbol", device)
		require.Regexp(t, `^[0-9]$`, asked.Symbol)
		status, _, log := phone.runs("answer", "--state", phone.state, "approve", "--wait", "30")
		require.NotZero(t, status, "an approval without the symbol is none")
		require.Contains(t, log, asked.Symbol, "it says which can be chosen")
		require.Equal(t, "PENDING", ana.Reads(ofPush, asked))
		phone.AnswersWith("approve", asked.Symbol)
		ana.Polls(ofPush, asked, "ACCEPTED")

		asked = ana.Sent("push_accept_symbol", device)
		phone.Answers("deny") // which needs no symbol
		ana.Polls(ofPush, asked, "DENIED")
	})
}

func TestSecureAuthOneWrongSymbolRefuses(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		ana := s.Realm(javaSDK(), nil).Has(somebody(), nil)
		token := ana.Carries()
		device := fields{"factor_id": ana.Factor("push").ID}
		asked := ana.Sent("push_accept_symbol", device)
		m := ana.Message(token)
		choices := choicesOf(t, m)
		require.Len(t, choices, 4)
		require.Contains(t, choices, asked.Symbol)
		other := choices[(slices.Index(choices, asked.Symbol)+1)%4]
		require.NotEqual(t, asked.Symbol, other)

		require.Equal(t, http.StatusAccepted, ana.Picks(m, other).Status)
		ana.Polls(ofPush, asked, "DENIED")
		ana.Picks(m, asked.Symbol)
		require.Equal(t, "DENIED", ana.Reads(ofPush, asked), "there is no second choice")

		asked = ana.Sent("push_accept_symbol", device)
		require.Equal(t, http.StatusAccepted, ana.Picks(ana.next(m), asked.Symbol).Status)
		ana.Polls(ofPush, asked, "ACCEPTED")
	})
}

// choicesOf are the symbols that a push offers.
func choicesOf(t *testing.T, m message) (choices []string) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(m.Data["choices"]), &choices), "data: %v", m.Data)
	for i, c := range choices {
		require.NotContains(t, choices[:i], c, "all differ")
	}
	return choices
}

// Picks is a person choosing a symbol on their phone.
func (s *story) Picks(m message, symbol string) heard {
	s.t.Helper()
	return s.reply(m, map[string]string{"decision": string(api.DecisionApprove), "number": symbol})
}

// next waits for a later message than that to reach the same address.
func (s *story) next(than message) (m message) {
	s.t.Helper()
	eventually(s.t, "another message arrives", func() bool {
		m = s.Messages(than.To)[0]
		return m.ID != than.ID
	})
	return m
}

func TestSecureAuthCodesAreValidatedHere(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		for kind, c := range map[string]struct {
			factor  string
			channel api.Channel
		}{"sms": {"Phone1", api.ChannelSMS}, "call": {"phone1", api.ChannelVoice}, "email": {"Email1", api.ChannelEmail}, "help_desk": {"HelpDesk1", api.ChannelSMS}} {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				p := somebody()
				a := s.in(t).Realm(nodeSDK(), nil)
				desk := somebody().number
				ana := a.Has(p, fields{"helpDesk1": desk})
				to := map[string]string{"sms": p.number, "call": p.number, "email": p.mailbox, "help_desk": desk}[kind]
				require.Nil(t, ana.Sent(kind, fields{"factor_id": c.factor}).OTP, "the code is the person's")
				m := ana.Message(to)
				if kind != "help_desk" {
					require.Equal(t, c.channel, m.Channel)
				}
				require.Regexp(t, `^[1-9][0-9]{5}$`, m.Code)

				refused := ana.Types(wrong(m.Code))
				require.Equal(t, "invalid", refused.Status)
				require.Equal(t, "OTP is invalid.", refused.Message)
				right := ana.Types(m.Code)
				require.Equal(t, said{Status: "valid"}, right)
				require.Equal(t, "invalid", ana.Types(m.Code).Status, "a code works once")
			})
		}
	})
}

func TestSecureAuthAnAppShowsACodeOfAPush(t *testing.T) {
	t.Parallel()
	ana := Together(t).Realm(goSDK(), nil).Has(somebody(), nil)
	token := ana.Carries()
	ana.Sent("push", fields{"factor_id": ana.Factor("push").ID})
	m := ana.Message(token)
	require.Equal(t, api.ChannelPush, m.Channel)
	require.Regexp(t, `^[1-9][0-9]{5}$`, m.Code)
	require.Equal(t, "invalid", ana.Types(wrong(m.Code)).Status)
	require.Equal(t, "valid", ana.Types(m.Code).Status)
}

func TestSecureAuthARealmMayGetItsCodes(t *testing.T) {
	t.Parallel()
	ana := Together(t).Realm(javaSDK(), fields{"echo_otp": true}).Has(somebody(), nil)
	asked := ana.Sent("sms", fields{"factor_id": "Phone1", "evaluate_number": true})
	require.NotNil(t, asked.OTP)
	require.Equal(t, ana.Message(ana.number).Code, *asked.OTP)
	require.Equal(t, "valid", ana.Types(*asked.OTP).Status)
}

func TestSecureAuthOnlyTheLastCodeCounts(t *testing.T) {
	t.Parallel()
	ana := Apart(t).Realm(goSDK(), nil).Has(somebody(), nil)
	ana.Sent("sms", fields{"factor_id": "Phone1"})
	first := ana.Message(ana.number)
	ana.Sent("sms", fields{"token": ana.number}) // the same number, ad hoc
	second := ana.next(first)
	if first.Code != second.Code { // one time in 900,000 they are the same
		require.Equal(t, "invalid", ana.Types(first.Code).Status)
	}
	require.Equal(t, "valid", ana.Types(second.Code).Status)
}

func TestSecureAuthLinksAreApprovedByPeople(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		for name, c := range map[string]struct {
			kind   string
			factor func(person) fields
			to     func(person) string
			button string
			want   string
		}{
			"in a text message":          {"sms_link", func(person) fields { return fields{"factor_id": "Phone1"} }, func(p person) string { return p.number }, "Approve", "ACCEPTED"},
			"in a mail":                  {"email_link", func(person) fields { return fields{"factor_id": "Email1"} }, func(p person) string { return p.mailbox }, "Approve", "ACCEPTED"},
			"to an address that is told": {"email_link", func(p person) fields { return fields{"token": "ad.hoc." + p.mailbox} }, func(p person) string { return "ad.hoc." + p.mailbox }, "Deny", "DENIED"},
			"and refused":                {"sms_link", func(person) fields { return fields{"factor_id": "Phone1"} }, func(p person) string { return p.number }, "This wasn't me", "DENIED"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := somebody()
				ana := s.in(t).Realm(csharpSDK(), fields{"brand": "Example Bank"}).Has(p, nil)
				asked := ana.Sent(c.kind, c.factor(p))
				link := ana.Message(c.to(p)).Link
				b := Opens(t, link)
				require.Contains(t, b.page.text, "Example Bank")
				hasty := Opens(t, link)
				require.NotEmpty(t, hasty.load(http.MethodPost, hasty.page.form(t, c.button)).buttons, "a scanner is not heard")
				require.Equal(t, "PENDING", ana.Reads(ofLink, asked))
				b.Presses(c.button) // and no number is asked for
				ana.Polls(ofLink, asked, c.want)
				require.Equal(t, http.StatusNotFound, ana.Call(http.MethodGet, ofPush+asked.ReferenceID, nil).status, "a link is read where links are")
			})
		}
	})
}

func TestSecureAuthWhatAPersonKnowsIsChecked(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		ana := s.Realm(goSDK(), nil).Has(somebody(), fields{"pin": "4711"})
		set := ana.Says(http.MethodPut, ana.path(""), fields{"knowledgeBase": fields{"kbq1": fields{"question": "What city were you born in?", "answer": "São Paulo"}}})
		require.Equal(t, "success", set.Status, set.Message)
		question := ana.Factor("kbq")
		require.Equal(t, secureFactor{Type: "kbq", ID: "KBQ1", Value: "What city were you born in?"}, question)
		require.Empty(t, ana.Factor("pin").ID)

		for kind, c := range map[string]struct{ id, right, wrong, message string }{
			"password": {"", password, "not the password", "User Id or password is invalid."},
			"kba":      {"KBQ1", " são paulo ", "Lisbon", "Request validation failed with:"},
			"pin":      {"", "4711", "4712", "PIN is invalid"},
		} {
			body := fields{"token": c.wrong}
			if c.id != "" {
				body["factor_id"] = c.id
			}
			refused := ana.Auth(kind, body)
			require.Equal(t, "invalid", refused.Status, kind)
			require.Contains(t, refused.Message, c.message)
			body["token"] = c.right
			got := ana.Auth(kind, body)
			require.Equal(t, "valid", got.Status, "%s: %s", kind, got.Message)
		}
		require.Equal(t, "found", ana.Auth("user_id", nil).Status)
		profile := ana.Call(http.MethodGet, ana.path(""), nil)
		for _, secret := range []string{"4711", "Paulo", password} {
			require.NotContains(t, string(profile.body), secret)
		}
	})
}

func TestSecureAuthOneTimeCodesOfAPhoneWorkOnce(t *testing.T) {
	t.Parallel()
	ana := Together(t).Realm(goSDK(), nil).Has(somebody(), nil)
	phone := ana.Joins()
	status, code, log := phone.runs("code", "--state", phone.state)
	require.Zero(t, status, "assent phone code: %s", log)
	code = strings.TrimSpace(code)
	device := ana.Factor("oath").ID
	refused := ana.Auth("oath", fields{"factor_id": device, "token": wrong(code)})
	require.Equal(t, "invalid", refused.Status)
	require.Equal(t, "OTP is invalid.", refused.Message)
	require.Equal(t, "valid", ana.Auth("oath", fields{"factor_id": device, "token": code}).Status)
	require.Equal(t, "invalid", ana.Auth("oath", fields{"factor_id": device, "token": code}).Status, "once")
}
