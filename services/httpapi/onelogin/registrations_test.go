package onelogin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/verification"
)

func TestACodeProvesAPhoneAndAMailbox(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, factorID := range []int{sms, email} {
		u := h.user()
		r := c.enrol(u, factorID).is(http.StatusCreated).object()
		require.Equal(t, "pending", r["status"])
		require.NotContains(t, r, "device_id")
		require.NotContains(t, r, "factor_data")
		require.Contains(t, r, "expires_at")
		require.Empty(t, c.get(mfa(u, "devices")).list(), "not proved yet")

		path := mfa(u, "registrations", r["id"].(string))
		require.Equal(t, fields{"id": r["id"], "status": "pending"}, c.put(path, fields{"otp": h.wrong()}).is(http.StatusOK).object())
		require.Equal(t, "pending", c.get(path).is(http.StatusOK).object()["status"])
		proved := c.put(path, fields{"otp": h.sentCode()}).is(http.StatusOK).object()
		require.Equal(t, "accepted", proved["status"])
		require.Equal(t, proved, c.get(path).is(http.StatusOK).object())

		devices := c.get(mfa(u, "devices")).is(http.StatusOK).list()
		require.Len(t, devices, 1)
		require.Equal(t, proved["device_id"], devices[0]["device_id"])
		require.Equal(t, true, devices[0]["default"])
		require.Equal(t, "rejected", c.put(path, fields{"otp": h.sentCode()}).is(http.StatusOK).object()["status"], "a code works once")
	}
}

func TestAnIntegerCodeGetsItsLeadingZerosBack(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.enrolments.Random = zeros{}
	c, u := h.client(), h.user()
	r := c.enrol(u, sms).is(http.StatusCreated).object()
	require.Equal(t, "000000", h.sentCode())
	a := c.put(mfa(u, "registrations", r["id"].(string)), `{"otp":0}`).is(http.StatusOK).object()
	require.Equal(t, "accepted", a["status"])
}

// zeros is a broken source of randomness.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestTheLastWrongCodeEndsAnEnrolment(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	r := c.enrol(u, sms).is(http.StatusCreated).object()
	path := mfa(u, "registrations", r["id"].(string))
	for i := range verification.MaxChecks {
		want := "pending"
		if i == verification.MaxChecks-1 {
			want = "rejected"
		}
		require.Equal(t, want, c.put(path, fields{"otp": h.wrong()}).is(http.StatusOK).object()["status"])
	}
	require.Equal(t, "rejected", c.put(path, fields{"otp": h.sentCode()}).is(http.StatusOK).object()["status"])
	require.Equal(t, "rejected", c.get(path).is(http.StatusOK).object()["status"])
	require.Empty(t, c.get(mfa(u, "devices")).list())
}

func TestAnEnrolmentExpires(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, factorID := range []int{sms, voice, email, emailLink, authenticator, protect} {
		u := h.user()
		r := c.enrol(u, factorID, fields{"expires_in": "120"}).is(http.StatusCreated).object()
		code := "123456"
		if factorID == sms || factorID == email {
			code = h.sentCode()
		}
		h.clock.Forward(2 * time.Minute)
		path := mfa(u, "registrations", r["id"].(string))
		require.Equal(t, "rejected", c.get(path).is(http.StatusOK).object()["status"], "factor %d", factorID)
		if factorID != voice && factorID != emailLink {
			require.Equal(t, "rejected", c.put(path, fields{"otp": code}).is(http.StatusOK).object()["status"], "factor %d", factorID)
		}
	}
}

func TestANumberKeyedIntoACallProvesAPhone(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	r := c.enrol(u, voice).is(http.StatusCreated).object()
	number := r["factor_data"].(fields)["verification_token"].(string)
	require.Len(t, number, 6)
	path := mfa(u, "registrations", r["id"].(string))
	require.Equal(t, "pending", c.get(path).is(http.StatusOK).object()["status"])
	c.put(path, fields{"otp": number}).refused(http.StatusUnprocessableEntity, "otp")
	h.keyed(h.verifications.Last().Verification.ID, number)
	require.Equal(t, "accepted", c.get(path).is(http.StatusOK).object()["status"])
	require.Len(t, c.get(mfa(u, "devices")).list(), 1)

	u = h.user()
	r = c.enrol(u, voice).is(http.StatusCreated).object()
	h.keyed(h.verifications.Last().Verification.ID, "0"+r["factor_data"].(fields)["verification_token"].(string)[:5]+"x")
	require.Equal(t, "rejected", c.get(mfa(u, "registrations", r["id"].(string))).is(http.StatusOK).object()["status"])
}

func TestAClickProvesAMailbox(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	r := c.enrol(u, emailLink, fields{"redirect_to": "https://shop.example/done?x=1"}).is(http.StatusCreated).object()
	sent := h.verifications.Last()
	require.Equal(t, "https://shop.example/done?x=1", sent.RedirectTo)
	require.Equal(t, u.Email, sent.To)
	path := mfa(u, "registrations", r["id"].(string))
	require.Equal(t, "pending", c.get(path).is(http.StatusOK).object()["status"])
	c.put(path, fields{"otp": "123456"}).refused(http.StatusUnprocessableEntity, "otp")
	h.answered(sent.Verification.ID, verification.Approve)
	require.Equal(t, "accepted", c.get(path).is(http.StatusOK).object()["status"])
}

func TestAnAuthenticatorProvesItselfWithACode(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	r := c.enrol(u, authenticator).is(http.StatusCreated).object()
	data := r["factor_data"].(fields)
	secret := h.secret(data["verification_token"].(string))
	require.Equal(t,
		"otpauth://totp/Assent:"+u.Username+"?secret="+data["verification_token"].(string)+"&issuer=Assent&algorithm=SHA1&digits=6&period=30",
		data["totp_url"])
	path := mfa(u, "registrations", r["id"].(string))
	require.Equal(t, "pending", c.put(path, fields{"otp": "x"}).is(http.StatusOK).object()["status"])
	code := h.oneTime(secret)
	require.Equal(t, "accepted", c.put(path, fields{"otp": code}).is(http.StatusOK).object()["status"])
	require.Equal(t, "rejected", c.put(path, fields{"otp": code}).is(http.StatusOK).object()["status"])
	require.Zero(t, h.verifications.Count(), "nothing is sent")
}

func TestTooManyWrongCodesEndTheEnrolmentOfAnAuthenticatorForGood(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	r := c.enrol(u, authenticator, fields{"expires_in": 900}).is(http.StatusCreated).object()
	secret := h.secret(r["factor_data"].(fields)["verification_token"].(string))
	path := mfa(u, "registrations", r["id"].(string))
	status := "pending"
	for i := 0; status == "pending"; i++ {
		require.Less(t, i, 10, "wrong codes are counted")
		status = c.put(path, fields{"otp": "x"}).is(http.StatusOK).object()["status"].(string)
	}
	require.Equal(t, "rejected", status)
	require.Equal(t, "rejected", c.put(path, fields{"otp": h.oneTime(secret)}).is(http.StatusOK).object()["status"])
	require.Equal(t, "rejected", c.get(path).is(http.StatusOK).object()["status"])
}

func TestAPhoneJoinsWithItsActivationCode(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	r := c.enrol(u, protect).is(http.StatusCreated).object()
	require.NotContains(t, r, "expires_at")
	data := r["factor_data"].(fields)
	code := data["verification_token"].(string)
	require.Regexp(t, `^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$`, code)
	require.Contains(t, data["totp_url"], "otpauth://totp/Assent:"+u.Username+"?secret="+code+"&issuer=Assent")
	path := mfa(u, "registrations", r["id"].(string))
	require.Equal(t, "pending", c.get(path).is(http.StatusOK).object()["status"])
	require.Equal(t, "pending", c.put(path, fields{"otp": "123456"}).is(http.StatusOK).object()["status"])
	j := h.join(code)
	require.Equal(t, "Work", j.Device.Name)
	require.Equal(t, "accepted", c.get(path).is(http.StatusOK).object()["status"])
	require.Equal(t, "accepted", c.put(path, fields{"otp": h.oneTime(h.secret(j.Secret))}).is(http.StatusOK).object()["status"])
	require.Equal(t, "pending", c.put(path, fields{"otp": "x"}).is(http.StatusOK).object()["status"])
	devices := c.get(mfa(u, "devices")).is(http.StatusOK).list()
	require.Len(t, devices, 1)
	require.Equal(t, "OneLogin", devices[0]["auth_factor_name"])
}

func TestTheClientCanVouchForPhonesAndMailboxesOnly(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for _, factorID := range []int{sms, voice, email, emailLink} {
		r := c.enrol(u, factorID, fields{"verified": true}).is(http.StatusCreated).object()
		require.Equal(t, "accepted", r["status"])
		require.NotEmpty(t, r["device_id"])
		require.NotContains(t, r, "expires_at")
		require.NotContains(t, r, "factor_data")
		require.Equal(t, r["device_id"], c.get(mfa(u, "registrations", r["id"].(string))).is(http.StatusOK).object()["device_id"])
	}
	require.Zero(t, h.verifications.Count())
	require.Len(t, c.get(mfa(u, "devices")).list(), 4)
	for _, factorID := range []int{protect, authenticator} {
		c.enrol(u, factorID, fields{"verified": "true"}).refused(http.StatusUnprocessableEntity, "verified")
	}
	c.enrol(u, sms, fields{"verified": true}).refused(http.StatusUnprocessableEntity, "factor_id")
	c.enrol(u, sms).refused(http.StatusUnprocessableEntity, "factor_id")
}

func TestWhatAnEnrolmentIsRefusedFor(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for name, test := range map[string]struct {
		body      any
		parameter string
	}{
		"no factor":                {`{"display_name":"x"}`, "factor_id"},
		"unknown factor":           {fields{"factor_id": 999, "display_name": "x"}, "factor_id"},
		"factor of another type":   {`{"factor_id":"many","display_name":"x"}`, "factor_id"},
		"no name":                  {fields{"factor_id": sms}, "display_name"},
		"blank name":               {fields{"factor_id": sms, "display_name": "  "}, "display_name"},
		"long name":                {fields{"factor_id": sms, "display_name": strings.Repeat("x", 101)}, "display_name"},
		"name with a line break":   {fields{"factor_id": sms, "display_name": "a\nb"}, "display_name"},
		"name of another type":     {`{"factor_id":102,"display_name":{}}`, "display_name"},
		"flag of another type":     {`{"factor_id":102,"display_name":"x","verified":"maybe"}`, "verified"},
		"life too short":           {fields{"factor_id": sms, "display_name": "x", "expires_in": 119}, "expires_in"},
		"life too long":            {fields{"factor_id": sms, "display_name": "x", "expires_in": "901"}, "expires_in"},
		"no life":                  {fields{"factor_id": sms, "display_name": "x", "expires_in": 0}, "expires_in"},
		"huge life":                {`{"factor_id":102,"display_name":"x","expires_in":9223372036854775807}`, "expires_in"},
		"life of another type":     {fields{"factor_id": sms, "display_name": "x", "expires_in": "soon"}, "expires_in"},
		"life out of bounds, push": {fields{"factor_id": protect, "display_name": "x", "expires_in": 10}, "expires_in"},
		"message without a code":   {fields{"factor_id": sms, "display_name": "x", "custom_message": "Hello"}, "custom_message"},
		"message of another type":  {`{"factor_id":102,"display_name":"x","custom_message":5}`, "custom_message"},
		"message with a control":   {fields{"factor_id": sms, "display_name": "x", "custom_message": "{{otp_code}}\x07"}, "custom_message"},
		"relative redirect":        {fields{"factor_id": emailLink, "display_name": "x", "redirect_to": "/done"}, "redirect_to"},
		"script as a redirect":     {fields{"factor_id": emailLink, "display_name": "x", "redirect_to": "javascript:alert(1)"}, "redirect_to"},
		"redirect with a password": {fields{"factor_id": emailLink, "display_name": "x", "redirect_to": "https://bank.example@evil.example/"}, "redirect_to"},
	} {
		t.Log(name)
		c.post(mfa(u, "registrations"), test.body).refused(http.StatusUnprocessableEntity, test.parameter)
	}
	c.post(mfa(u, "registrations"), `[]`).refused(http.StatusBadRequest)
	c.post(mfa(u, "registrations"), `{"factor_id":`).refused(http.StatusBadRequest)
	require.Zero(t, h.verifications.Count())
	require.Empty(t, c.get(mfa(u, "devices")).list())
}

func TestAnAddressThatTheUserLacksIsNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user(func(u *device.User) { u.Phone, u.Email = "", "" })
	for factorID, parameter := range map[int]string{sms: "phone", voice: "phone", email: "email", emailLink: "email"} {
		c.enrol(u, factorID).refused(http.StatusUnprocessableEntity, parameter)
		c.enrol(u, factorID, fields{"verified": true}).refused(http.StatusUnprocessableEntity, parameter)
	}
}

func TestAClientsOwnWordingGoesIntoTheTextMessage(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for text, want := range map[string]string{
		"Your code: {{otp_code}}, {{otp_expiry}} min":                 "Your code: {{otp_code}}, {{otp_expiry}} min",
		"{{ otp_code }} for {{ otp_expiry }}":                         "{{otp_code}} for {{otp_expiry}}",
		"{{otp_code}}" + strings.Repeat("x", 154):                     "{{otp_code}}" + strings.Repeat("x", 154),
		"{{otp_code}}{{otp_expiry}}" + strings.Repeat("ж", 160-6-1-1): "{{otp_code}}{{otp_expiry}}" + strings.Repeat("ж", 160-6-1-1),
	} {
		c.enrol(h.user(), sms, fields{"custom_message": text}).is(http.StatusCreated)
		require.Equal(t, want, h.verifications.Last().Text)
	}
	for _, text := range []string{
		"{{otp_code}}" + strings.Repeat("x", 155), "{{otp_code}}{{otp_expiry}}" + strings.Repeat("ж", 154),
	} {
		c.enrol(u, sms, fields{"custom_message": text}).refused(http.StatusUnprocessableEntity, "custom_message")
	}
	c.enrol(u, email, fields{"custom_message": strings.Repeat("x", 500), "redirect_to": "nowhere"}).is(http.StatusCreated)
	require.Empty(t, h.verifications.Last().Text, "other factors ignore it")
	require.Empty(t, h.verifications.Last().RedirectTo)
}

func TestAClientsOwnWordingLeavesRoomForTheLastLine(t *testing.T) {
	t.Parallel()
	const line = len("\n@example.com #000000")
	h := setup(t, func(c *onelogin.Config) { c.Autofill = autofill.Hint{Origin: "example.com", AppHash: "FA+9qCX9VSu"} })
	c, u := h.client(), h.user()
	for _, text := range []string{"{{otp_code}}", "{{otp_code}}" + strings.Repeat("x", 154-line)} { // the app's hash is left out of the second
		c.enrol(h.user(), sms, fields{"custom_message": text}).is(http.StatusCreated)
		require.Equal(t, text, h.verifications.Last().Text)
	}
	for _, text := range []string{"{{otp_code}}" + strings.Repeat("x", 155-line), "{{otp_code}}" + strings.Repeat("ж", 155-line)} {
		c.enrol(u, sms, fields{"custom_message": text}).refused(http.StatusUnprocessableEntity, "custom_message")
	}
}

func TestThePolicyShortensAndTestsMayAskForLess(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *onelogin.Config) { c.Settings.MinExpiresIn, c.Settings.MaxExpiresIn = 2, 600 })
	c := h.client()
	for asked, want := range map[any]time.Duration{900: 10 * time.Minute, "300": 5 * time.Minute, 2: 2 * time.Second, nil: 2 * time.Minute} {
		c.enrol(h.user(), sms, fields{"expires_in": asked}).is(http.StatusCreated)
		v := h.verifications.Last().Verification
		require.Equal(t, want, v.ExpiresAt.Sub(v.CreatedAt), "asked for %v", asked)
	}
	c.enrol(h.user(), sms, fields{"expires_in": 1}).refused(http.StatusUnprocessableEntity, "expires_in")
}

func TestTheDefaultDeviceIsTheFirstInTheOrderThatWasSet(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	c.vouched(u, sms)
	c.vouched(u, email)
	defaults := func() (ids []string) { // the numbers of those that are, in both versions
		for _, d := range c.get(mfa(u, "devices")).is(http.StatusOK).list() {
			if d["default"] == true {
				ids = append(ids, d["auth_factor_name"].(string))
			}
		}
		for _, d := range c.get(v1(u, "otp_devices")).is(http.StatusOK).data()["otp_devices"].([]any) {
			if one := d.(fields); one["default"] == true {
				ids = append(ids, one["auth_factor_name"].(string))
			}
		}
		return ids
	}
	before := defaults()
	stored, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Len(t, stored, 2)
	_, err = h.users.OrderDevices(t.Context(), shop, u.ID, []string{stored[0].ID}) // the one that was enrolled last
	require.NoError(t, err)
	after := defaults()
	require.Len(t, before, 2)
	require.Len(t, after, 2)
	require.NotEqual(t, before, after)
	require.NoError(t, h.users.DeleteDevice(t.Context(), shop, stored[0].ID))
	require.Equal(t, before, defaults())
}
