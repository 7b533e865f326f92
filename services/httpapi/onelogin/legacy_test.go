package onelogin_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/verification"
)

// v1 is a path of MFA of a user in version 1.
func v1(u device.User, parts ...string) string {
	return "/api/1/users/" + strconv.FormatInt(u.Number, 10) + "/" + strings.Join(parts, "/")
}

// legacy registers a phone and returns its number with its state token.
func (c *client) legacy(u device.User, more ...fields) (deviceID, state string) {
	c.h.t.Helper()
	body := fields{"factor_id": sms, "display_name": "Work", "number": "+1 415 555 0123"}
	for _, m := range more {
		for name, value := range m {
			body[name] = value
		}
	}
	d := c.post(v1(u, "otp_devices"), body).is(http.StatusOK).data()
	return idText(d["id"]), d["state_token"].(string)
}

// trigger asks and returns the state token.
func (c *client) trigger(u device.User, deviceID string, body any) string {
	c.h.t.Helper()
	return c.post(v1(u, "otp_devices", deviceID, "trigger"), body).is(http.StatusOK).data()["state_token"].(string)
}

// verify is the status type of a verification in version 1.
func (c *client) verify(u device.User, deviceID string, body any) string {
	c.h.t.Helper()
	return c.post(v1(u, "otp_devices", deviceID, "verify"), body).is(http.StatusOK).object()["status"].(fields)["type"].(string)
}

const failed = "Failed authentication with this factor"

func TestEveryAnswerOfVersion1HasItsForm(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	c.get(v1(u, "auth_factors")).golden("v1", "auth_factors")
	c.get(v1(u, "auth_factor")).golden("v1", "auth_factors")
	enrolled := c.post(v1(u, "otp_devices"), fields{"factor_id": sms, "display_name": "Work", "number": "+14155550000"}).golden("v1", "enrol")
	d := idText(enrolled.data()["id"])
	c.get(v1(u, "otp_devices")).golden("v1", "otp_devices_pending")
	state := c.post(v1(u, "otp_devices", d, "trigger"), nil).golden("v1", "trigger").data()["state_token"]
	c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state}).golden("v1", "verify_pending")
	c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state, "otp_token": "x"}).golden("v1", "verify_wrong")
	c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state, "otp_token": h.sentCode()}).golden("v1", "verify")
	c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state, "otp_token": h.sentCode()}).golden("v1", "verify_again")
	c.post(v1(u, "otp_devices", d, "verify"), fields{"otp_token": "x"}).golden("v1", "refused_state_missing")
	c.joined(u)
	c.paired(u)
	c.get(v1(u, "otp_devices")).golden("v1", "otp_devices")
	c.post(v1(u, "mfa_token"), fields{"reusable": true}).golden("v1", "mfa_token")
	c.delete(v1(u, "otp_devices", d)).golden("v1", "delete")
	c.delete(v1(u, "otp_devices", d)).golden("v1", "refused_device")
	c.get(v1(device.User{Number: 123456789}, "auth_factors")).golden("v1", "refused_user")
	c.post(v1(device.User{Number: 123456789}, "otp_devices", "1", "verify"), nil).golden("v1", "refused_verify_user")
	c.post(v1(u, "otp_devices"), fields{"display_name": "Work", "number": "0123"}).golden("v1", "refused_number")
	h.client(scope(credential.ReadAll)).delete(v1(u, "otp_devices", d)).golden("v1", "refused_scope")
}

func TestAPhoneIsEnrolledTriggeredAndVerifiedInVersion1(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, state := c.legacy(u)
	require.Zero(t, h.verifications.Count(), "only trigger sends")
	require.Equal(t, "pending", c.verify(u, d, fields{"state_token": state}))
	require.Empty(t, c.get(mfa(u, "devices")).list())
	listed := c.get(v1(u, "otp_devices")).is(http.StatusOK).data()["otp_devices"].([]any)
	require.Len(t, listed, 1)
	require.Equal(t, false, listed[0].(fields)["active"])
	require.Equal(t, "+14155550123", listed[0].(fields)["phone_number"])

	answer := c.post(v1(u, "otp_devices", d, "trigger"), nil).is(http.StatusOK)
	require.Equal(t, float64(u.Number), answer.data()["id"], "the user's number")
	require.Equal(t, d, idText(answer.data()["device_id"]))
	require.Equal(t, "SMS token sent to your mobile device. Authentication pending.", answer.object()["status"].(fields)["message"])
	require.Regexp(t, `^[A-Z]\d{5}$`, h.sentCode())
	state = answer.data()["state_token"].(string)
	wrong := c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state, "otp_token": "111111"})
	require.Equal(t, failed, wrong.refusedV1(http.StatusBadRequest))
	require.Equal(t, "success", c.verify(u, d, fields{"state_token": state, "otp_token": strings.ToLower(h.sentCode())}))
	require.Len(t, c.get(mfa(u, "devices")).list(), 1)

	state = c.trigger(u, d, fields{"numeric_sms_otp": true, "state_token_expires_in": "300"})
	require.Regexp(t, `^\d{6}$`, h.sentCode())
	require.Equal(t, "pending", c.verify(u, d, fields{"state_token": state}))
	require.Equal(t, "success", c.verify(u, d, fields{"state_token": state, "otp_token": h.sentCode()}))
	require.Equal(t, "State token is invalid or expired",
		c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state}).refusedV1(http.StatusBadRequest), "a proof counts once")
}

func TestAStateTokenExpires(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, _ := c.legacy(u)
	state := c.trigger(u, d, nil)
	h.clock.Forward(2 * time.Minute)
	refused := c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state, "otp_token": h.sentCode()})
	require.Equal(t, "State token is invalid or expired", refused.refusedV1(http.StatusBadRequest))
	state = c.trigger(u, d, nil)
	require.Equal(t, "success", c.verify(u, d, fields{"state_token": state, "otp_token": h.sentCode()}), "the device still waits")
}

func TestTheLastWrongCodeEndsAStateTokenButNotTheDevice(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, _ := c.legacy(u)
	state := c.trigger(u, d, nil)
	for range verification.MaxChecks {
		c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state, "otp_token": "x"}).refusedV1(http.StatusBadRequest)
	}
	require.Equal(t, failed,
		c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state, "otp_token": h.sentCode()}).refusedV1(http.StatusBadRequest))
	state = c.trigger(u, d, nil)
	require.Equal(t, "success", c.verify(u, d, fields{"state_token": state, "otp_token": h.sentCode()}))
}

func TestAClientThatSendsNoFactorEnrolsTextMessages(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d := c.post(v1(u, "otp_devices"), fields{"display_name": "Work", "number": "+14155550123", "verified": true}).is(http.StatusOK).data()
	require.Equal(t, "OneLogin SMS", d["auth_factor_name"])
	require.Equal(t, true, d["active"])
	require.Equal(t, true, d["default"])
	require.Equal(t, true, d["needs_trigger"])
}

func TestAClientsOwnWordingInVersion1(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, _ := c.legacy(u)
	c.trigger(u, d, fields{"sms_message": "{{otp_code}} for {{expiration}} min"})
	require.Equal(t, "{{otp_code}} for {{otp_expiry}} min", h.verifications.Last().Text)
	message := c.post(v1(u, "otp_devices", d, "trigger"), fields{"sms_message": "{{otp_code}}" + strings.Repeat("x", 155)}).refusedV1(http.StatusBadRequest)
	require.Contains(t, message, "sms_message")
	message = c.post(v1(u, "otp_devices", d, "trigger"), fields{"state_token_expires_in": 901}).refusedV1(http.StatusBadRequest)
	require.Contains(t, message, "state_token_expires_in")
}

func TestACallInVersion1ShowsItsNumber(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, _ := c.legacy(u, fields{"factor_id": voice})
	for range 2 { // pending, then active
		a := c.post(v1(u, "otp_devices", d, "trigger"), nil).is(http.StatusOK).data()
		shown := a["factor_data"].(fields)["verification_token"].(string)
		require.Equal(t, "pending", c.verify(u, d, fields{"state_token": a["state_token"]}))
		c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": a["state_token"], "otp_token": shown}).refusedV1(http.StatusBadRequest)
		h.keyed(h.verifications.Last().Verification.ID, shown)
		require.Equal(t, "success", c.verify(u, d, fields{"state_token": a["state_token"]}))
	}
}

func TestAPushInVersion1IsPolledOrAnsweredByCode(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d, secret := c.joined(u)
	listed := c.get(v1(u, "otp_devices")).is(http.StatusOK).data()["otp_devices"].([]any)
	require.Len(t, listed, 2)
	require.Equal(t, true, listed[0].(fields)["needs_trigger"])
	require.Equal(t, false, listed[1].(fields)["needs_trigger"])
	require.Equal(t, listed[0].(fields)["id"], listed[1].(fields)["id"])

	state := c.trigger(u, d, nil)
	require.Equal(t, "pending", c.verify(u, d, fields{"state_token": state}))
	h.answered(h.verifications.Last().Verification.ID, verification.Approve)
	require.Equal(t, "success", c.verify(u, d, fields{"state_token": state}))

	state = c.trigger(u, d, nil)
	h.answered(h.verifications.Last().Verification.ID, verification.Deny)
	require.Equal(t, failed, c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": state}).refusedV1(http.StatusBadRequest))

	code := h.oneTime(secret)
	require.Equal(t, "success", c.verify(u, d, fields{"otp_token": code}))
	require.Equal(t, failed, c.post(v1(u, "otp_devices", d, "verify"), fields{"otp_token": code}).refusedV1(http.StatusBadRequest))
	c.post(v1(u, "otp_devices", d, "verify"), nil).refusedV1(http.StatusBadRequest)
}

func TestAnAuthenticatorInVersion1NeedsNoTrigger(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	r := c.enrol(u, authenticator).is(http.StatusCreated).object()
	secret := h.secret(r["factor_data"].(fields)["verification_token"].(string))
	listed := c.get(v1(u, "otp_devices")).is(http.StatusOK).data()["otp_devices"].([]any)
	require.Len(t, listed, 1)
	require.Equal(t, false, listed[0].(fields)["needs_trigger"])
	d := idText(listed[0].(fields)["id"])
	require.Equal(t, failed, c.post(v1(u, "otp_devices", d, "verify"), fields{"otp_token": "x"}).refusedV1(http.StatusBadRequest))
	c.post(v1(u, "otp_devices", d, "trigger"), nil).refusedV1(http.StatusBadRequest)
	require.Equal(t, "success", c.verify(u, d, fields{"otp_token": h.oneTime(secret)}), "the first success makes it active")
	require.Len(t, c.get(mfa(u, "devices")).list(), 1)
	require.Equal(t, "success", c.verify(u, d, fields{"otp_token": h.oneTime(secret)}))
	state := c.trigger(u, d, nil)
	require.Equal(t, "success", c.verify(u, d, fields{"state_token": state, "otp_token": h.oneTime(secret)}), "but takes one")
}

func TestDeviceZeroTakesATemporaryCode(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	token := c.post(v1(u, "mfa_token"), fields{"expires_in": 300}).is(http.StatusOK).object()
	require.NotContains(t, token, "device_id")
	require.Equal(t, "success", c.verify(u, "0", fields{"otp_token": token["mfa_token"]}))
	require.Equal(t, failed, c.post(v1(u, "otp_devices", "0", "verify"), fields{"otp_token": token["mfa_token"]}).refusedV1(http.StatusBadRequest))
	c.post(v1(u, "otp_devices", "0", "verify"), nil).refusedV1(http.StatusBadRequest)
}

func TestVersion1RefusesInItsOwnEnvelope(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *onelogin.Config) { c.Settings.Factors = []string{"sms", "protect"} })
	c, u, other := h.client(), h.user(), h.user()
	stranger := h.client(account("other"))
	d, state := c.legacy(u)
	nobody := device.User{Number: 123456789}
	require.Equal(t, "User for id 123456789 was not found", c.get(v1(nobody, "auth_factors")).refusedV1(http.StatusNotFound))
	stranger.get(v1(u, "otp_devices")).refusedV1(http.StatusNotFound)
	c.get("/api/1/users/ana/otp_devices").refusedV1(http.StatusNotFound)
	require.Len(t, c.get(v1(u, "auth_factors")).is(http.StatusOK).data()["auth_factors"], 1)

	for _, path := range []string{v1(other, "otp_devices", d), v1(u, "otp_devices", "5"), v1(u, "otp_devices", "x")} {
		require.Equal(t, "Factor could not be found", c.delete(path).refusedV1(http.StatusBadRequest))
		require.Equal(t, "Factor could not be found", c.post(path+"/trigger", nil).refusedV1(http.StatusBadRequest))
		require.Equal(t, "Factor could not be found", c.post(path+"/verify", nil).refusedV1(http.StatusBadRequest))
	}
	otherDevice, _ := c.legacy(other)
	require.Equal(t, "State token is invalid or expired",
		c.post(v1(other, "otp_devices", otherDevice, "verify"), fields{"state_token": state}).refusedV1(http.StatusBadRequest))
	c.post(v1(u, "otp_devices", d, "verify"), fields{"state_token": "x", "otp_token": "x"}).refusedV1(http.StatusBadRequest)

	for name, body := range map[string]any{
		"factor_id":    fields{"factor_id": protect, "display_name": "x", "number": "+14155550123"},
		"display_name": fields{"number": "+14155550123"},
		"number":       fields{"display_name": "x", "number": "12"},
		"verified":     `{"display_name":"x","number":"+14155550123","verified":7}`,
	} {
		require.Contains(t, c.post(v1(u, "otp_devices"), body).refusedV1(http.StatusBadRequest), name)
	}
	c.post(v1(u, "otp_devices"), `{`).refusedV1(http.StatusBadRequest)
	h.send(jsonRequest(t, http.MethodGet, v1(u, "otp_devices"), nil)).refusedV1(http.StatusUnauthorized)
	c.put(v1(u, "otp_devices"), nil).refusedV1(http.StatusNotFound)
}

func TestVersion1NeedsItsScopes(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u := h.user()
	for _, s := range credential.Scopes() {
		c := h.client(scope(s))
		for path, needs := range map[string]credential.Permission{
			"GET auth_factors": credential.ReadPeople, "GET otp_devices": credential.ReadPeople,
			"POST otp_devices": credential.ManagePeople, "DELETE otp_devices/5": credential.ManagePeople, "POST mfa_token": credential.ManagePeople,
			"POST otp_devices/5/trigger": credential.Verify, "POST otp_devices/5/verify": credential.Verify,
		} {
			method, rest, _ := strings.Cut(path, " ")
			a := c.do(method, v1(u, rest), nil)
			require.Equal(t, s.Allows(needs), a.status != http.StatusForbidden, "%s %s", s, path)
			if a.status == http.StatusForbidden {
				a.refusedV1(http.StatusForbidden)
			}
		}
	}
}
