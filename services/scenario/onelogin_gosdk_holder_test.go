package scenario_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 as all apps know it
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/models"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// holder is somebody with a phone and a mailbox, who enrols factors.
type holder struct {
	*customer
	models.User
	id      int
	factors map[string]int // ids by display name
}

const (
	protectName       = "OneLogin Protect"
	textName          = "OneLogin SMS"
	textDeviceType    = "OneLogin OTP SMS" // what a login calls the same
	callName          = "OneLogin Voice"
	mailName          = "OneLogin Email"
	linkName          = "OneLogin Email Link"
	authenticatorName = "Authenticator"
)

// Holder makes somebody new, who may enrol everything.
func (c *customer) Holder() *holder {
	c.t.Helper()
	h := &holder{customer: c, User: c.Somebody()}
	h.id = c.Makes(h.User)
	available := c.List(c.sdk.GetAvailableMFAFactors(h.id))
	c.Asked(http.MethodGet, h.path("factors"))
	h.factors = map[string]int{}
	names := map[string]string{}
	for _, f := range available {
		h.factors[f.text(c.t, "name")] = f.number(c.t, "factor_id")
		names[f.text(c.t, "name")] = f.text(c.t, "auth_factor_name")
	}
	require.Equal(c.t, map[string]string{
		protectName: "OneLogin", textName: "SMS", callName: "OneLogin Voice", mailName: "OneLogin Email",
		linkName: "OneLogin Email", authenticatorName: "Google Authenticator",
	}, names)
	return h
}

func (h *holder) path(rest ...string) string {
	return strings.Join(append([]string{"/api/2/mfa/users", strconv.Itoa(h.id)}, rest...), "/")
}

// Enrols begins to enrol a factor.
func (h *holder) Enrols(name string, more models.EnrollFactorRequest) values {
	h.t.Helper()
	more.FactorID, more.DisplayName = h.factors[name], "Ana's "+name
	require.NotZero(h.t, more.FactorID, name)
	r := h.Object(http.StatusCreated)(h.sdk.EnrollMFAFactor(more, h.id))
	h.Asked(http.MethodPost, h.path("registrations"))
	require.Equal(h.t, name, r.text(h.t, "type_display_name"))
	require.Equal(h.t, more.DisplayName, r.text(h.t, "user_display_name"))
	require.Regexp(h.t, `^[0-9]+$`, registration(h.t, r))
	return r
}

// registration is the id of an enrolment as the SDK's methods take it.
func registration(t *testing.T, r values) string {
	t.Helper()
	if s, ok := r["id"].(string); ok {
		require.NotEmpty(t, s)
		return s
	}
	return strconv.Itoa(r.number(t, "id"))
}

// Proves hands a code in, and is how the enrolment stands. The SDK sends codes as integers.
func (h *holder) Proves(r values, code string) values {
	h.t.Helper()
	digits, err := strconv.Atoi(code)
	require.NoError(h.t, err)
	id := registration(h.t, r)
	now := h.Object(http.StatusOK)(h.sdk.VerifyMFAEnrollment(h.id, id, models.VerifyEnrollmentFactorRequest{OTP: digits}))
	require.JSONEq(h.t, fmt.Sprintf(`{"otp":%d}`, digits), h.Asked(http.MethodPut, h.path("registrations", id)).sent)
	require.Equal(h.t, id, registration(h.t, now))
	return now
}

// Enrolled polls an enrolment until it has come to this.
func (h *holder) Enrolled(r values, status string) values {
	h.t.Helper()
	id := registration(h.t, r)
	var now values
	eventually(h.t, "the enrolment is "+status, func() bool {
		now = h.Object(http.StatusOK)(h.sdk.VerifyMFAEnrollmentGet(h.id, id))
		return now["status"] == status
	})
	h.Asked(http.MethodGet, h.path("registrations", id))
	return now
}

// Has expects that an enrolment made a device, the holder's only one, and is its number.
func (h *holder) Has(r values, name string) int {
	h.t.Helper()
	device := r.number(h.t, "device_id")
	devices := h.List(h.sdk.GetEnrolledFactor(h.id))
	h.Asked(http.MethodGet, h.path("devices"))
	require.Len(h.t, devices, 1)
	require.Equal(h.t, device, devices[0].number(h.t, "device_id"))
	require.Equal(h.t, name, devices[0].text(h.t, "type_display_name"))
	require.Equal(h.t, "Ana's "+name, devices[0].text(h.t, "user_display_name"))
	require.NotEmpty(h.t, devices[0].text(h.t, "auth_factor_name"))
	require.IsType(h.t, true, devices[0]["default"])
	for _, f := range h.List(h.sdk.GetAvailableMFAFactors(h.id)) {
		require.NotEqual(h.t, h.factors[name], f.number(h.t, "factor_id"), "it is enrolled")
	}
	return device
}

// Loses removes the holder's only device.
func (h *holder) Loses(device int) {
	h.t.Helper()
	_, err := h.sdk.RemoveMFAFactor(h.id, device)
	require.NoError(h.t, err)
	h.Asked(http.MethodDelete, h.path("devices", strconv.Itoa(device)))
	require.Empty(h.t, h.List(h.sdk.GetEnrolledFactor(h.id)))
	h.Fails(http.StatusNotFound)(h.sdk.RemoveMFAFactor(h.id, device))
}

// Activates asks the holder on a device.
func (h *holder) Activates(device int, more models.ActivateFactorRequest) values {
	h.t.Helper()
	more.DeviceID = device
	v := h.Object(http.StatusCreated)(h.sdk.ActivateMFAFactor(h.id, more))
	h.Asked(http.MethodPost, h.path("verifications"))
	require.IsType(h.t, 0.0, v["id"], "the SDK takes integers only")
	require.Equal(h.t, device, v.number(h.t, "device_id"))
	require.Equal(h.t, h.id, v.number(h.t, "user_id"))
	h.Stands(v, "pending")
	return v
}

// Stands expects how a verification is now.
func (h *holder) Stands(v values, status string) {
	h.t.Helper()
	id := v.number(h.t, "id")
	now := h.Object(http.StatusOK)(h.sdk.VerifyAuthFactorGet(h.id, id))
	h.Asked(http.MethodGet, h.path("verifications", strconv.Itoa(id)))
	require.Equal(h.t, status, now["status"])
	require.Equal(h.t, id, now.number(h.t, "id"))
	require.Equal(h.t, v.number(h.t, "device_id"), now.number(h.t, "device_id"))
}

// Ends polls a verification until it has come to this.
func (h *holder) Ends(v values, status string) {
	h.t.Helper()
	eventually(h.t, "the verification is "+status, func() bool {
		now := h.Object(http.StatusOK)(h.sdk.VerifyAuthFactorGet(h.id, v.number(h.t, "id")))
		return now["status"] == status
	})
	h.Stands(v, status)
}

// Answers hands in the code of a verification, and is what came of it.
func (h *holder) Answers(v values, code string, device int) values {
	h.t.Helper()
	id := v.number(h.t, "id")
	now := h.Object(http.StatusOK)(h.sdk.VerifyAuthFactor(h.id, id, models.VerificationFactorRequest{OTP: code, DeviceID: device}))
	require.JSONEq(h.t, fmt.Sprintf(`{"otp":%q,"device_id":%d}`, code, device), h.Asked(http.MethodPut, h.path("verifications", strconv.Itoa(id))).sent)
	return now
}

// succeeds expects the body that all who read a success read.
func (h *holder) succeeds(now values) {
	h.t.Helper()
	require.Equal(h.t, "accepted", now["status"])
	require.Equal(h.t, "success", now["type"])
	require.Equal(h.t, "Success", now["message"])
	require.InDelta(h.t, 200, now["code"], 0)
	require.Equal(h.t, false, now["error"])
}

// RepliesAtOnce hands in a code for a device, without the id of a verification.
func (h *holder) RepliesAtOnce(device int, code string) values {
	h.t.Helper()
	now := h.Object(http.StatusOK)(h.sdk.ActivateMFAFactor(h.id, models.ActivateFactorRequest{DeviceID: device, OTP: code}))
	require.JSONEq(h.t, fmt.Sprintf(`{"device_id":%d,"otp":%q}`, device, code), h.Asked(http.MethodPost, h.path("verifications")).sent)
	return now
}

// following waits for the message after this one.
func (h *holder) following(to string, before message) message {
	h.t.Helper()
	var newest message
	eventually(h.t, "another message reaches "+to, func() bool {
		newest = h.Message(to)
		return newest.ID != before.ID
	})
	return newest
}

// inSeconds expects when something ends.
func inSeconds(t *testing.T, v values, seconds int) {
	t.Helper()
	end, err := time.Parse(time.RFC3339, v.text(t, "expires_at"))
	require.NoError(t, err)
	want := time.Now().Add(time.Duration(seconds) * time.Second)
	require.WithinRange(t, end, want.Add(-time.Minute), want.Add(time.Second))
}

// Joins puts the app on a sandbox phone, which joins with an activation code.
func (c *customer) Joins(code string) (pushToken string, joined api.JoinedPhone) {
	c.t.Helper()
	a, err := c.ask(c.t.Context(), http.MethodPost, c.system.inbox+"/sandbox/phones", map[string]string{"platform": "fcm", "name": "Ana's phone"})
	require.NoError(c.t, err)
	p := read[phone](c.t, a, http.StatusCreated)
	a = c.Call(http.MethodPost, "/v1/phones", map[string]string{"code": code, "platform": "fcm", "push_token": p.Token, "public_key": p.PublicKey})
	return p.Token, read[api.JoinedPhone](c.t, a, http.StatusCreated)
}

// oneTimeCode is what any authenticator app shows (RFC 6238: SHA-1, six digits, 30 seconds).
func oneTimeCode(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	require.NoError(t, err)
	require.Len(t, key, 20)
	mac := hmac.New(sha1.New, key)
	require.NoError(t, binary.Write(mac, binary.BigEndian, at.Unix()/30))
	sum := mac.Sum(nil)
	from := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[from:from+4])&0x7fffffff%1_000_000)
}
