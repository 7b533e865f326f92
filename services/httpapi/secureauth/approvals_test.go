package secureauth_test

import (
	"cmp"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

func TestAPhoneIsAskedAndItsAnswerRead(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, kind := range []string{"push_accept", "push_accept_biometric"} {
		for decision, state := range map[verification.Decision]string{verification.Approve: "ACCEPTED", verification.Deny: "DENIED"} {
			u := h.user()
			app := h.app(u)
			a := c.auth(u.Username, kind, given{"factor_id": factorID(app)}).says(http.StatusOK, "valid", "")
			reference := a.only("reference_id", "status", "message", "user_id").text("reference_id")
			require.Contains(t, a.header.Get("Set-Cookie"), "INGRESSCOOKIE=")
			sent := h.verifications.Last()
			require.Equal(t, reference, sent.Verification.ID)
			require.Equal(t, [3]string{app.Address, device.FCM, string(app.PublicKey)}, [3]string{sent.To, sent.Platform, string(sent.PublicKey)})
			require.Zero(t, sent.Verification.NumberLength, "there is no number to match in this contract")
			require.Empty(t, sent.Choices)
			c.get("/api/v1/auth/"+reference).says(http.StatusOK, "found", "PENDING")
			h.answers(reference, decision, "")
			c.get("/api/v1/auth/"+reference).says(http.StatusOK, "found", state).only("status", "message")
		}
	}
}

func TestOnlyTheSymbolThatIsShownAccepts(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	ask := func() (reference, symbol string, offered []string) {
		u := h.user()
		a := c.auth(u.Username, "push_accept_symbol", given{"factor_id": factorID(h.app(u))}).says(http.StatusOK, "valid", "")
		a.only("reference_id", "status", "message", "user_id", "symbol")
		sent := h.verifications.Last()
		require.Equal(t, sent.Secrets.Number.Reveal(), a.text("symbol"))
		require.Equal(t, 1, sent.Verification.MaxChecks)
		require.Len(t, sent.Choices, 4)
		require.Contains(t, sent.Choices, a.text("symbol"))
		return a.text("reference_id"), a.text("symbol"), sent.Choices
	}
	reference, symbol, _ := ask()
	require.Regexp(t, `^\d$`, symbol)
	h.answers(reference, verification.Approve, symbol)
	c.get("/api/v2/auth/"+reference).says(http.StatusOK, "found", "ACCEPTED")

	reference, symbol, offered := ask()
	offered = slices.DeleteFunc(slices.Clone(offered), func(s string) bool { return s == symbol })
	h.answers(reference, verification.Approve, offered[0])
	c.get("/api/v2/auth/"+reference).says(http.StatusOK, "found", "DENIED")

	reference, _, _ = ask()
	h.answers(reference, verification.Approve, "")
	c.get("/api/v2/auth/"+reference).says(http.StatusOK, "found", "PENDING")
}

func TestALinkIsSentAndItsAnswerRead(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, test := range []struct {
		kind    string
		more    given
		channel verification.Channel
		to      string // empty: the person's
	}{
		{"sms_link", given{"factor_id": "Phone2"}, verification.SMS, ""},
		{"sms_link", given{"token": "+44 7400 123456"}, verification.SMS, "+447400123456"},
		{"email_link", given{"factor_id": "email2"}, verification.Email, ""},
		{"email_link", given{"token": "bo@example.com"}, verification.Email, "bo@example.com"},
	} {
		p := h.person(c)
		a := c.auth(p.Username, test.kind, test.more).says(http.StatusOK, "valid", "")
		reference := a.only("reference_id", "status", "message", "user_id").text("reference_id")
		require.Contains(t, a.header.Get("Set-Cookie"), "INGRESSCOOKIE=")
		sent := h.verifications.Last()
		own := map[verification.Channel]string{verification.SMS: "+1212555" + p.last(), verification.Email: p.workMail()}
		require.Equal(t, cmp.Or(test.to, own[test.channel]), sent.To)
		require.Equal(t, test.channel, sent.Verification.Channel)
		require.Equal(t, verification.LinkChallenge, sent.Verification.Challenge)
		require.Zero(t, sent.Verification.NumberLength)
		c.get("/api/v1/auth/link/"+reference).says(http.StatusOK, "found", "PENDING")
		h.answers(reference, verification.Approve, "")
		c.get("/api/v1/auth/link/"+reference).says(http.StatusOK, "found", "ACCEPTED").only("status", "message")
	}
}

func TestAReferenceTakesNoCode(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	c.auth(u.Username, "push_accept_symbol", given{"factor_id": factorID(h.app(u))}).says(http.StatusOK, "valid", "")
	c.validate(u.Username, h.verifications.Last().Secrets.Number.Reveal()).says(http.StatusOK, "invalid", "OTP is invalid.")
}

func TestTheYesOfAUserWhoIsOutByThenLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for name, shutOut := range map[string]func(device.User){
		"disabled": func(u device.User) {
			c.post("/api/v1/users/"+u.Username+"/status", given{"status": "disable"}).is(http.StatusOK)
		},
		"locked by another door": func(u device.User) {
			u.Locked = true
			_, err := h.users.UpdateUser(t.Context(), u)
			require.NoError(t, err)
		},
		"removed": func(u device.User) { require.NoError(t, h.users.DeleteUser(t.Context(), shop, u.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := h.user()
			link := c.auth(u.Username, "email_link", given{"factor_id": "Email1"}).is(http.StatusOK).text("reference_id")
			push := c.auth(u.Username, "push_accept", given{"factor_id": factorID(h.app(u))}).is(http.StatusOK).text("reference_id")
			shutOut(u)
			h.answers(link, verification.Approve, "")
			h.answers(push, verification.Approve, "")
			for _, path := range []string{"/auth/link/" + link, "/auth/" + push} {
				c.get("/api/v2"+path).says(http.StatusOK, "found", "FAILED").only("status", "message")
			}
		})
	}
}
