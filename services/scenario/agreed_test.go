package scenario_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

var payment = api.Context{Action: "Pay the rent", Fields: []api.ContextField{{Label: "Amount", Value: "49.00 EUR"}, {Label: "Payee", Value: "Café Lumière & Co"}}}

func TestEveryRoadShowsWhatExactlyIsAgreedTo(t *testing.T) {
	t.Parallel()
	s := Together(t)
	const lines, spoken = "Amount: 49.00 EUR\nPayee: Café Lumière & Co\n", "Amount: 49.00 EUR. Payee: Café Lumière & Co."
	for name, c := range map[string]struct {
		ask   func(*story, person) (question, string)
		shows string
		code  bool
	}{
		"the code of a text message": {func(_ *story, p person) (question, string) { return text(p), p.number }, lines, true},
		"the link of a text message": {func(_ *story, p person) (question, string) { return text(p).Link(), p.number }, lines, false},
		"a text message to answer":   {func(_ *story, p person) (question, string) { return text(p).Approval(), p.number }, lines, false},
		"the code of a call":         {func(_ *story, p person) (question, string) { return call(p), p.number }, spoken, true},
		"a call to answer":           {func(_ *story, p person) (question, string) { return call(p).Approval(), p.number }, spoken, false},
		"the code of a mail":         {func(_ *story, p person) (question, string) { return mail(p), p.mailbox }, lines, true},
		"the link of a mail":         {func(_ *story, p person) (question, string) { return mail(p).Link(), p.mailbox }, lines, false},
		"a push": {func(s *story, _ person) (question, string) {
			phone := s.Phone(api.PlatformAPNs)
			return push(phone), phone.Token
		}, lines, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			q, to := c.ask(s, somebody())
			v := s.Create(q.About(payment))
			m := s.Message(to)
			require.Contains(t, m.Text, c.shows)
			if c.code {
				require.True(t, s.Check(v, m.Code).Valid, "the code is found beside the amount")
				return
			}
			require.Empty(t, m.Code)
			if m.Data["context"] != "" {
				var signed struct{ Fields []api.ContextField }
				require.NoError(t, json.Unmarshal([]byte(m.Data["context"]), &signed))
				require.Equal(t, payment.Fields, signed.Fields)
			}
		})
	}
}

func TestATextMessageLongerThanAllowedIsRefusedWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	system, err := startUp(t.TempDir(), "ASSENT_SMS__MAX_SEGMENTS=2")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, system.stop()) })
	s, ana := &story{system, t}, somebody()
	about := payment
	s.Create(text(ana).Approval().About(about))
	require.Contains(t, s.Message(ana.number).Text, "Café Lumière", "two segments are allowed")
	for _, label := range []string{"Reference", "Account", "Due"} {
		about.Fields = append(about.Fields, api.ContextField{Label: label, Value: strings.Repeat("x", 70)})
	}
	p := s.Refused(s.Call(http.MethodPost, "/v1/verifications", text(ana).Approval().About(about)), http.StatusUnprocessableEntity, api.ProblemCodeInvalidRequest)
	require.Len(t, p.Errors, 1)
	require.Equal(t, "#/context/fields", p.Errors[0].Pointer)
	require.Equal(t, "makes a text message of 3 segments, and at most 2 are allowed", p.Errors[0].Detail)
	s.Create(mail(ana).About(about))
}
