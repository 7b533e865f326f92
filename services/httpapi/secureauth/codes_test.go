package secureauth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

func TestACodeGoesWhereTheFactorSays(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, test := range []struct {
		kind, factor string
		channel      verification.Channel
		to           func(person) string
	}{
		{"sms", "Phone1", verification.SMS, func(p person) string { return p.Phone }},
		{"call", "Phone1", verification.Voice, func(p person) string { return p.Phone }},
		{"sms", "Phone2", verification.SMS, func(p person) string { return "+1212555" + p.last() }},
		{"email", "Email1", verification.Email, func(p person) string { return p.Email }},
		{"email", "Email2", verification.Email, person.workMail},
		{"help_desk", "HelpDesk1", verification.Voice, func(p person) string { return "+44207946" + p.last() }},
		{"help_desk", "helpdesk2", verification.Email, person.deskMail},
		{"push", "", verification.Push, func(p person) string { return p.phone.Address }},
	} {
		p := h.person(c)
		to, factor := test.to(p), test.factor
		if test.kind == "push" {
			factor = factorID(p.phone)
		}
		a := c.auth(p.Username, test.kind, given{"factor_id": factor}).says(http.StatusOK, "valid", "").only("status", "message", "user_id")
		require.Equal(t, p.Username, a.text("user_id"))
		require.NotContains(t, string(a.body), h.sentCode(), "the code goes to the person only")
		sent := h.verifications.Last()
		require.Equal(t, to, sent.To)
		require.Equal(t, test.channel, sent.Verification.Channel)
		require.Equal(t, verification.CodeChallenge, sent.Verification.Challenge)
		require.Regexp(t, `^[1-9]\d{5}$`, h.sentCode())
		require.Equal(t, realm.DefaultLife, sent.Verification.ExpiresAt.Sub(sent.Verification.CreatedAt))
		require.NotContains(t, sent.Verification.ToMasked, to)
		c.validate(p.Username, h.sentCode()).says(http.StatusOK, "valid", "")
	}
}

func TestWhoWantsNoMessagesGetsNoneAndTheCallerIsTold(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	h.silence.All.Store(true)
	a := c.auth(p.Username, "sms", given{"factor_id": "Phone1"})
	require.Equal(t, http.StatusOK, a.status, "the SDKs read no other")
	require.Equal(t, "invalid", a.text("status"))
	require.Contains(t, a.text("message"), "No messages are sent to this factor: ")
	require.Zero(t, h.verifications.Count())
	h.silence.All.Store(false)
	c.auth(p.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
}

func TestACodeGoesToANumberOrAddressOfTheRequest(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, test := range []struct{ kind, token, to string }{
		{"sms", "+4915123456789", "+4915123456789"},
		{"call", "0049 1512 3456789", "+4915123456789"},
		{"sms", "(415) 555-0111", "+14155550111"},
		{"call", "415.555.0112", "+14155550112"},
		{"sms", "1-415-555-0113", "+14155550113"},
		{"email", "Bo@EXAMPLE.com", "Bo@example.com"},
	} {
		u := h.user(func(u *device.User) { u.Phone, u.Email = "", "" })
		c.auth(u.Username, test.kind, given{"token": test.token}).says(http.StatusOK, "valid", "")
		require.Equal(t, test.to, h.verifications.Last().To)
		c.validate(u.Username, h.sentCode()).says(http.StatusOK, "valid", "")
	}
	u := h.user()
	for _, token := range []string{"555-0123", "0151 2345678", "+1999", "ana@example.com", "call me", "+1415555010111111111"} {
		a := c.auth(u.Username, "sms", given{"token": token}).is(http.StatusBadRequest)
		require.True(t, strings.HasPrefix(a.text("message"), "Request validation failed with: token "), "%s", a.body)
		require.NotContains(t, a.text("message"), token)
	}
}

func TestANumberOfTheProfileThatCannotBeCalledIsNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	c.put("/api/v1/users/"+u.Username, given{"properties": given{"phone2": "123-456-7890"}}).says(http.StatusOK, "success", "")
	require.Equal(t, []any{u.Phone, "123-456-7890"}, values(c.get("/api/v1/users/"+u.Username+"/factors"), "phone"))
	a := c.auth(u.Username, "sms", given{"factor_id": "Phone2"}).is(http.StatusBadRequest)
	require.True(t, strings.HasPrefix(a.text("message"), "Request validation failed with: Phone2 "), "%s", a.body)
	require.Zero(t, h.verifications.Count())
}

func TestEvaluatedNumbersAreNotSentToWhereTheRealmForbids(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(settings(func(s *realm.Settings) {
		s.Block = realm.Block{Countries: []string{"DE"}, NetworkTypes: []string{"landline"}}
	}))
	for _, kind := range []string{"sms", "call", "sms_link"} {
		u := h.user()
		for token, reasons := range map[string]string{
			"+4915123456789": "country", "+4930901820": "networkType, country", "+442079460958": "networkType",
		} {
			for _, yes := range []any{true, "true", "True"} {
				c.auth(u.Username, kind, given{"token": token, "evaluate_number": yes}).says(http.StatusOK, "invalid",
					"The phone number is blocked by its "+reasons+".").golden("refused", "blocked_"+strings.ReplaceAll(reasons, ", ", "_"))
			}
		}
		require.Zero(t, c.count(u.Username, "throttle"))
		sent := h.verifications.Count()
		c.auth(u.Username, kind, given{"token": "+447400123456", "evaluate_number": "True"}).says(http.StatusOK, "valid", "")
		c.auth(u.Username, kind, given{"token": "+4915123456789", "evaluate_number": false}).says(http.StatusOK, "valid", "")
		require.Equal(t, sent+2, h.verifications.Count())
	}
}

func TestOnlyTheCodeThatWasSentLastIsValidAndOnlyOnce(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	c.validate(p.Username, "123456").golden("validate", "invalid").only("status", "message")
	c.auth(p.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
	first := h.sentCode()
	c.auth(p.Username, "email", given{"factor_id": "Email1"}).says(http.StatusOK, "valid", "")
	if first != h.sentCode() {
		c.validate(p.Username, first).says(http.StatusOK, "invalid", "OTP is invalid.")
	}
	c.validate(p.Username, h.wrongCode()).says(http.StatusOK, "invalid", "OTP is invalid.")
	other := h.user()
	c.validate(other.Username, h.sentCode()).says(http.StatusOK, "invalid", "OTP is invalid.")
	c.validate(p.Username, h.sentCode()).golden("validate", "valid").only("status", "message")
	c.validate(p.Username, h.sentCode()).golden("validate", "invalid")

	c.auth(p.Username, "call", given{"factor_id": "Phone2"}).says(http.StatusOK, "valid", "")
	h.clock.Forward(realm.DefaultLife + time.Second)
	c.validate(p.Username, h.sentCode()).says(http.StatusOK, "invalid", "OTP is invalid.")
}

func TestACodeIsValidatedByAnyProcessInEveryForm(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(settings(func(s *realm.Settings) { s.Life = realm.MinLife }))
	other := c.of(h.process())
	u := h.user()
	for _, form := range []string{
		`{"user_id":"%u","otp":"%o"}`, `{"user_id":"%u","otp":%o,"domain":null}`, `{"otp":" %o ","user_id":"%u","domain":"ACME","more":1}`,
	} {
		c.auth(u.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
		require.Equal(t, realm.MinLife, h.question().ExpiresAt.Sub(h.question().CreatedAt))
		body := strings.NewReplacer("%u", u.Username, "%o", h.sentCode()).Replace(form)
		other.post("/api/v2/otp/validate", body).says(http.StatusOK, "valid", "").only("status", "message")
	}
	for body, message := range map[string]string{
		`{"otp":"123456"}`:                                  "Request validation failed with: user_id is required.",
		`{"user_id":"` + u.Username + `"}`:                  "Request validation failed with: otp is required.",
		`{"user_id":"` + u.Username + `","otp":""}`:         "Request validation failed with: otp is required.",
		`{"user_id":"` + u.Username + `","otp":["123456"]}`: "Request validation failed with: otp must be a string.",
	} {
		c.post("/api/v1/otp/validate", body).says(http.StatusBadRequest, "invalid", message).only("status", "message")
	}
	c.validate("nobody", "123456").says(http.StatusNotFound, "not_found", "User Id was not found.").only("status", "message")
}

func TestACodeClosesAfterItsWrongChecks(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	c.auth(u.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
	for range verification.MaxChecks {
		c.validate(u.Username, h.wrongCode()).says(http.StatusOK, "invalid", "OTP is invalid.")
	}
	c.validate(u.Username, h.sentCode()).says(http.StatusOK, "invalid", "OTP is invalid.")
}

func TestTheLimitsOfSendsHoldHereToo(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	sent := 0
	for range 8 {
		if c.auth(u.Username, "sms", given{"factor_id": "Phone1"}).is(http.StatusOK).text("status") == "valid" {
			sent++
		}
	}
	require.Equal(t, 5, sent)
	a := c.auth(u.Username, "sms", given{"factor_id": "Phone1"}).is(http.StatusOK)
	require.Equal(t, "invalid", a.text("status"))
	require.Contains(t, a.text("message"), "Too many requests for this ")
	require.NotEmpty(t, a.header.Get("Retry-After"))
}
