package onelogin_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// activate asks the owner of a device.
func (c *client) activate(u device.User, deviceID string, more ...fields) fields {
	c.h.t.Helper()
	body := fields{"device_id": deviceID}
	for _, m := range more {
		for name, value := range m {
			body[name] = value
		}
	}
	return c.post(mfa(u, "verifications"), body).is(http.StatusCreated).object()
}

// status is how the verification reads.
func (c *client) status(u device.User, id any) string {
	c.h.t.Helper()
	return c.get(mfa(u, "verifications", id.(string))).is(http.StatusOK).object()["status"].(string)
}

// prove sends a code to a verification.
func (c *client) prove(u device.User, id any, otp any) string {
	c.h.t.Helper()
	return c.put(mfa(u, "verifications", id.(string)), fields{"otp": otp}).is(http.StatusOK).object()["status"].(string)
}

func TestWhoWantsNoMessagesGetsNoneAndTheCallerIsTold(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user()
	d := c.vouched(u, sms)
	h.silence.All.Store(true)
	a := c.post(mfa(u, "verifications"), fields{"device_id": d}).is(http.StatusUnprocessableEntity)
	require.Contains(t, string(a.body), `"name":"device_id","message":"gets no messages: `)
	require.Equal(t, c.ClientID, h.silence.Asked.Load(), "one credential's own entries count as well")
	require.Zero(t, h.verifications.Count())
	h.silence.Asked.Store("")
	c.enrol(u, email)
	require.Equal(t, c.ClientID, h.silence.Asked.Load(), "for enrolments too")
	require.Zero(t, h.verifications.Count())
	h.silence.All.Store(false)
	c.activate(u, d)
	require.Equal(t, 1, h.verifications.Count())
}

func TestACodeThatWasSentVerifies(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, factorID := range []int{sms, email} {
		u := h.user()
		d := c.vouched(u, factorID)
		v := c.activate(u, d, fields{"expires_in": 900})
		require.Equal(t, d, v["device_id"])
		require.Equal(t, strconv.FormatInt(u.Number, 10), v["user_id"])
		require.Contains(t, v, "expires_at")
		sent := h.verifications.Last()
		require.Equal(t, 15*time.Minute, sent.Verification.ExpiresAt.Sub(sent.Verification.CreatedAt))
		require.Equal(t, "pending", c.status(u, v["id"]))
		require.Equal(t, "pending", c.prove(u, v["id"], h.wrong()))
		require.Equal(t, fields{
			"id": v["id"], "status": "accepted", "device_id": d, "error": false, "code": 200.0, "type": "success", "message": "Success",
		}, c.put(mfa(u, "verifications", v["id"].(string)), fields{"otp": h.sentCode(), "device_id": d}).is(http.StatusOK).object())
		require.Equal(t, "accepted", c.status(u, v["id"]))
		require.Equal(t, "rejected", c.prove(u, v["id"], h.sentCode()), "a code works once")
	}
}

func TestTheLastWrongCodeEndsAVerification(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	v := c.activate(u, c.vouched(u, sms))
	for range verification.MaxChecks - 1 {
		require.Equal(t, "pending", c.prove(u, v["id"], h.wrong()))
	}
	require.Equal(t, "rejected", c.prove(u, v["id"], h.wrong()))
	require.Equal(t, "rejected", c.prove(u, v["id"], h.sentCode()))
	require.Equal(t, "rejected", c.status(u, v["id"]))
}

func TestAVerificationExpires(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	v := c.activate(u, c.vouched(u, sms))
	h.clock.Forward(2 * time.Minute)
	require.Equal(t, "rejected", c.prove(u, v["id"], h.sentCode()))
	require.Equal(t, "rejected", c.status(u, v["id"]))
}

func TestANumberKeyedIntoACallVerifies(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d := c.vouched(u, voice)
	for number, want := range map[string]string{"": "accepted", "x": "rejected"} {
		v := c.activate(u, d)
		require.Contains(t, v, "expires_at")
		shown := v["factor_data"].(fields)["verification_token"].(string)
		require.Len(t, shown, 6)
		require.Equal(t, "pending", c.status(u, v["id"]))
		c.put(mfa(u, "verifications", v["id"].(string)), fields{"otp": shown}).refused(http.StatusUnprocessableEntity, "otp")
		c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": shown}).refused(http.StatusUnprocessableEntity, "otp")
		h.keyed(v["id"].(string), shown+number)
		require.Equal(t, want, c.status(u, v["id"]))
	}
}

func TestAClickVerifiesAndRefuses(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d := c.vouched(u, emailLink)
	for decision, want := range map[verification.Decision]string{
		verification.Approve: "accepted", verification.Deny: "rejected", verification.DecisionNotMe: "rejected",
	} {
		v := c.activate(u, d, fields{"redirect_to": "http://shop.example/"})
		require.Equal(t, "http://shop.example/", h.verifications.Last().RedirectTo)
		h.answered(v["id"].(string), decision)
		require.Equal(t, want, c.status(u, v["id"]))
	}
	c.post(mfa(u, "verifications"), fields{"device_id": d, "redirect_to": "ftp://x"}).refused(http.StatusUnprocessableEntity, "redirect_to")
}

func TestAPushVerifiesByAnswerAndByTheAppsOwnCode(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, secret := c.joined(u)

	v := c.activate(u, d)
	require.NotContains(t, v, "expires_at")
	sent := h.verifications.Last()
	require.Equal(t, verification.Push, sent.Verification.Channel)
	require.Equal(t, device.FCM, sent.Platform)
	require.Equal(t, "token-of-the-phone", sent.To)
	require.NotEmpty(t, sent.PublicKey)
	h.answered(v["id"].(string), verification.Approve)
	require.Equal(t, "accepted", c.status(u, v["id"]))
	require.Equal(t, "rejected", c.prove(u, v["id"], h.oneTime(secret)), "it is answered")

	v = c.activate(u, d)
	h.answered(v["id"].(string), verification.Deny)
	require.Equal(t, "rejected", c.status(u, v["id"]))

	v = c.activate(u, d)
	require.Equal(t, "pending", c.prove(u, v["id"], "x"))
	code := h.oneTime(secret)
	require.Equal(t, "accepted", c.prove(u, v["id"], code))
	require.Equal(t, "accepted", c.status(u, v["id"]))
	v = c.activate(u, d)
	require.Equal(t, "pending", c.prove(u, v["id"], code), "a code works once")
}

func TestAnAuthenticatorVerifiesWithAndWithoutAVerification(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, secret := c.paired(u)
	v := c.activate(u, d)
	require.NotContains(t, v, "expires_at")
	code := h.oneTime(secret)
	require.Equal(t, "accepted", c.prove(u, v["id"], code))
	require.Equal(t, "rejected", c.prove(u, v["id"], h.oneTime(secret)), "it is over")

	code = h.oneTime(secret)
	a := c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": code}).is(http.StatusOK).object()
	require.Equal(t, "accepted", a["status"])
	require.Equal(t, d, a["device_id"])
	require.NotEmpty(t, a["id"])
	require.Equal(t, "rejected", c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": code}).is(http.StatusOK).object()["status"])
	require.Equal(t, "rejected", c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": "x"}).is(http.StatusOK).object()["status"])
}

func TestWrongCodesOfAnAppAreLimited(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, _ := c.joined(u)
	status := http.StatusOK
	for i := 0; status == http.StatusOK; i++ {
		require.Less(t, i, 10)
		status = c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": "x"}).status
	}
	a := c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": "x"})
	a.refused(http.StatusTooManyRequests)
	require.NotEmpty(t, a.header.Get("Retry-After"))
}

func TestACodeWithoutAVerificationIsThatOfTheNewestMessage(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d := c.vouched(u, sms)
	loose := func(otp string) string {
		return c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": otp}).is(http.StatusOK).object()["status"].(string)
	}
	require.Equal(t, "rejected", loose("123456"), "nothing was sent")
	c.activate(u, d)
	older := h.sentCode()
	v := c.activate(u, d)
	if older != h.sentCode() {
		require.Equal(t, "pending", loose(older))
	}
	require.Equal(t, "accepted", loose(h.sentCode()))
	require.Equal(t, "accepted", c.status(u, v["id"]))
	require.Equal(t, "rejected", loose(h.sentCode()), "a code works once")
}

func TestOfManyWhoBringOneCodeOneIsAccepted(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	v := c.activate(u, c.vouched(u, sms))
	sent := h.sentCode()
	app, secret := c.paired(u)
	push, key := c.joined(u)
	pushed := c.activate(u, push)
	own, code := h.oneTime(key), h.oneTime(secret)
	for name, call := range map[string]func() answer{
		"sent":  func() answer { return c.put(mfa(u, "verifications", v["id"].(string)), fields{"otp": sent}) },
		"app":   func() answer { return c.post(mfa(u, "verifications"), fields{"device_id": app, "otp": code}) },
		"phone": func() answer { return c.put(mfa(u, "verifications", pushed["id"].(string)), fields{"otp": own}) },
	} {
		var accepted atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				var body struct {
					Status string `json:"status"`
				}
				if a := call(); json.Unmarshal(a.body, &body) == nil && body.Status == "accepted" {
					accepted.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, accepted.Load(), name)
	}
}

func TestWhatAVerificationIsRefusedFor(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d := c.vouched(u, sms)
	c.enrol(u, voice).is(http.StatusCreated)
	devices, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	pending := devices[0].Number
	for name, test := range map[string]struct {
		body      any
		parameter string
	}{
		"no device":              {`{}`, "device_id"},
		"no body":                {nil, "device_id"},
		"unknown device":         {fields{"device_id": 5}, "device_id"},
		"device that is no one":  {fields{"device_id": "x"}, "device_id"},
		"device not proved":      {fields{"device_id": pending}, "device_id"},
		"life too short":         {fields{"device_id": d, "expires_in": 60}, "expires_in"},
		"life too long":          {fields{"device_id": d, "expires_in": 901}, "expires_in"},
		"message without a code": {fields{"device_id": d, "custom_message": "Hi"}, "custom_message"},
		"empty code":             {fields{"device_id": d, "otp": ""}, "otp"},
		"code of another type":   {`{"device_id":"5","otp":{}}`, "otp"},
		"somebody's temporary":   {fields{"device_id": "user_temp_otp_5", "otp": "12345678"}, "device_id"},
	} {
		t.Log(name)
		c.post(mfa(u, "verifications"), test.body).refused(http.StatusUnprocessableEntity, test.parameter)
	}
	v := c.activate(u, d)
	path := mfa(u, "verifications", v["id"].(string))
	c.put(path, nil).refused(http.StatusUnprocessableEntity, "otp")
	c.put(path, fields{"otp": h.sentCode(), "device_id": pending}).refused(http.StatusUnprocessableEntity, "device_id")
	c.delete(mfa(u, "devices", d)).is(http.StatusOK)
	c.get(path).refused(http.StatusNotFound)
	c.put(path, fields{"otp": h.sentCode()}).refused(http.StatusNotFound)
	c.delete(mfa(u, "devices", d)).refused(http.StatusNotFound)
}

func TestATemporaryCodeStandsInForADevice(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	redeem := func(code any) string {
		return c.post(mfa(u, "verifications"), fields{"device_id": "user_temp_otp_" + strconv.FormatInt(u.Number, 10), "otp": code}).
			is(http.StatusOK).object()["status"].(string)
	}
	once := c.post(mfa(u, "mfa_token"), nil).is(http.StatusOK).object()
	require.Regexp(t, `^\d{8}$`, once["mfa_token"])
	require.Equal(t, false, once["reusable"])
	require.Equal(t, "user_temp_otp_"+strconv.FormatInt(u.Number, 10), once["device_id"])
	end, err := time.Parse(time.RFC3339, once["expires_at"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, h.clock.Now().Add(72*time.Hour), end, time.Minute)
	require.Equal(t, "rejected", redeem("x"))
	require.Equal(t, "accepted", redeem(once["mfa_token"]))
	require.Equal(t, "rejected", redeem(once["mfa_token"]))

	again := c.post(mfa(u, "mfa_token"), fields{"expires_in": "300", "reusable": "true"}).is(http.StatusOK).object()
	require.Equal(t, true, again["reusable"])
	for range 8 {
		require.Equal(t, "accepted", redeem(again["mfa_token"]))
	}
	h.clock.Forward(5 * time.Minute)
	require.Equal(t, "rejected", redeem(again["mfa_token"]))

	taken := c.post(mfa(u, "mfa_token"), nil).is(http.StatusOK).object()
	c.delete(mfa(u, "devices", taken["device_id"].(string))).is(http.StatusOK)
	require.Equal(t, "rejected", redeem(taken["mfa_token"]), "its device was deleted")
	h.clock.Forward(time.Second)
	later := c.post(mfa(u, "mfa_token"), nil).is(http.StatusOK).object()
	require.Equal(t, "accepted", redeem(later["mfa_token"]), "one that was made since")

	for _, life := range []any{119, 259201, "0", -5} {
		c.post(mfa(u, "mfa_token"), fields{"expires_in": life}).refused(http.StatusUnprocessableEntity, "expires_in")
	}
}

func TestTemporaryCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	body := fields{"device_id": "user_temp_otp_" + strconv.FormatInt(u.Number, 10), "otp": "00000000"}
	for range 5 {
		require.Equal(t, "rejected", c.post(mfa(u, "verifications"), body).is(http.StatusOK).object()["status"])
	}
	c.post(mfa(u, "verifications"), body).refused(http.StatusTooManyRequests)
}

func TestWithNumericIDsNumbersStandWhereIDsDo(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, plain := h.client(compat(credential.CompatGo), numericIDs), h.client()
	u := h.user()
	r := c.enrol(u, sms).is(http.StatusCreated).object()
	registration := strconv.FormatInt(int64(r["id"].(float64)), 10)
	path := mfa(u, "registrations", registration)
	require.Equal(t, r["id"], c.get(path).is(http.StatusOK).object()["id"])
	plain.get(path).refused(http.StatusNotFound)
	proved := c.put(path, fields{"otp": h.sentCode()}).is(http.StatusOK).object()
	require.Equal(t, "accepted", proved["status"])
	require.Equal(t, r["id"], proved["id"])
	d := proved["device_id"].(string)

	v := c.activate(u, d)
	number := v["id"].(float64)
	require.Positive(t, number)
	require.LessOrEqual(t, number, float64(1<<53-1))
	path = mfa(u, "verifications", strconv.FormatInt(int64(number), 10))
	require.Equal(t, fields{"id": number, "status": "pending", "device_id": d}, c.get(path).is(http.StatusOK).object())
	plain.get(path).refused(http.StatusNotFound)
	id := h.verifications.Last().Verification.ID
	require.Equal(t, "pending", plain.status(u, id))
	require.Equal(t, number, c.get(mfa(u, "verifications", id)).is(http.StatusOK).object()["id"], "the UUID is known too")
	require.Equal(t, "accepted", c.put(path, fields{"otp": h.sentCode()}).is(http.StatusOK).object()["status"])
	loose := c.post(mfa(u, "verifications"), fields{"device_id": d, "otp": "x"}).is(http.StatusOK).object()
	require.IsType(t, 0.0, loose["id"])
	c.get(mfa(u, "verifications", "9007199254740993")).refused(http.StatusNotFound)

	other := plain.activate(u, d)["id"].(string)
	require.Equal(t, other, c.get(mfa(u, "verifications", other)).is(http.StatusOK).object()["id"], "another client's has no number")
}
