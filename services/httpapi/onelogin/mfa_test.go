package onelogin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/verification"
)

// The factors by their ids, which never change.
const (
	protect       = 101
	sms           = 102
	voice         = 103
	email         = 104
	emailLink     = 105
	authenticator = 106
)

type fields = map[string]any

// mfa is a path of MFA of a user.
func mfa(u device.User, parts ...string) string {
	return "/api/2/mfa/users/" + strconv.FormatInt(u.Number, 10) + "/" + strings.Join(parts, "/")
}

// enrol begins an enrolment; more replaces fields of the request.
func (c *client) enrol(u device.User, factorID int, more ...fields) answer {
	c.h.t.Helper()
	body := fields{"factor_id": factorID, "display_name": "Work"}
	for _, m := range more {
		for name, value := range m {
			body[name] = value
		}
	}
	return c.post(mfa(u, "registrations"), body)
}

// vouched is the id of a new active device.
func (c *client) vouched(u device.User, factorID int) string {
	c.h.t.Helper()
	return c.enrol(u, factorID, fields{"verified": true}).is(http.StatusCreated).object()["device_id"].(string)
}

// joined is the id of a new phone with an app, and the secret of its codes.
func (c *client) joined(u device.User) (deviceID string, secret []byte) {
	c.h.t.Helper()
	r := c.enrol(u, protect).is(http.StatusCreated).object()
	j := c.h.join(r["factor_data"].(fields)["verification_token"].(string))
	return strconv.FormatInt(j.Device.Number, 10), c.h.secret(j.Secret)
}

// paired is the id of a new authenticator app, and the secret of its codes.
func (c *client) paired(u device.User) (deviceID string, secret []byte) {
	c.h.t.Helper()
	r := c.enrol(u, authenticator).is(http.StatusCreated).object()
	secret = c.h.secret(r["factor_data"].(fields)["verification_token"].(string))
	a := c.put(mfa(u, "registrations", r["id"].(string)), fields{"otp": c.h.oneTime(secret)}).is(http.StatusOK).object()
	return a["device_id"].(string), secret
}

func (h *house) join(code string) enrolment.Joined {
	h.t.Helper()
	j, err := h.enrolments.Join(h.t.Context(), code, phone(h.t))
	require.NoError(h.t, err)
	return j
}

func phone(t *testing.T) enrolment.Phone {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	return enrolment.Phone{Name: "Pixel", Platform: device.FCM, PushToken: "token-of-the-phone", PublicKey: public}
}

func (h *house) secret(text string) []byte {
	h.t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	require.NoError(h.t, err)
	require.Len(h.t, secret, 20)
	return secret
}

// oneTime is a code that was never used: each call moves the clock into the next step.
func (h *house) oneTime(secret []byte) string {
	h.clock.Forward(30 * time.Second)
	return device.OneTimeCode(secret, h.clock.Now())
}

// answered is what the verifier does with an answer of the person.
func (h *house) answered(id string, d verification.Decision) {
	h.t.Helper()
	_, err := h.verifications.Resolve(h.t.Context(), id, verification.Answered{Decision: d})
	require.NoError(h.t, err)
}

// keyed is what the verifier does with digits that were keyed into a call.
func (h *house) keyed(id, digits string) {
	h.t.Helper()
	hash, err := h.verifications.NumberHash(h.t.Context(), id, digits)
	require.NoError(h.t, err)
	_, err = h.verifications.Resolve(h.t.Context(), id, verification.Answered{Decision: verification.Approve, Number: hash})
	require.NoError(h.t, err)
}

// wrong is a code that is not the one that was sent last.
func (h *house) wrong() string {
	if h.verifications.Last().Secrets.Code.Reveal() == "111111" {
		return "222222"
	}
	return "111111"
}

func (h *house) sentCode() string { return h.verifications.Last().Secrets.Code.Reveal() }

func TestFactorsAreThoseThatThePolicyAllowsAndTheUserHasNotEnrolled(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	list := c.get(mfa(u, "factors")).is(http.StatusOK).list()
	require.Len(t, list, 6)
	require.Equal(t, fields{"factor_id": 101.0, "name": "OneLogin Protect", "auth_factor_name": "OneLogin"}, list[0])
	c.vouched(u, sms)
	c.enrol(u, voice).is(http.StatusCreated) // is not proved
	list = c.get(mfa(u, "factors")).is(http.StatusOK).list()
	require.Len(t, list, 5)
	for _, f := range list {
		require.NotEqual(t, "SMS", f["auth_factor_name"])
	}
}

func TestThePolicyHidesAndRefusesFactors(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *onelogin.Config) { c.Settings.Factors = []string{"email", "email_link"} })
	c, u := h.client(), h.user()
	list := c.get(mfa(u, "factors")).is(http.StatusOK).list()
	require.Equal(t, []fields{
		{"factor_id": 104.0, "name": "OneLogin Email", "auth_factor_name": "OneLogin Email"},
		{"factor_id": 105.0, "name": "OneLogin Email Link", "auth_factor_name": "OneLogin Email"},
	}, list)
	c.enrol(u, sms).refused(http.StatusUnprocessableEntity, "factor_id")
}

func TestWhatIsNotThereOrNotTheirsIsNotFound(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, stranger := h.client(), h.client(account("other"))
	u, other := h.user(), h.user()
	r := c.enrol(u, sms).is(http.StatusCreated).object()["id"].(string)
	d := c.vouched(u, email)
	v := c.post(mfa(u, "verifications"), fields{"device_id": d}).is(http.StatusCreated).object()["id"].(string)

	nobody := device.User{Number: 99}
	for _, who := range []struct {
		*client
		device.User
	}{{c, other}, {c, nobody}, {stranger, u}} {
		for _, path := range []string{"registrations/" + r, "verifications/" + v} {
			who.get(mfa(who.User, path)).refused(http.StatusNotFound)
			who.put(mfa(who.User, path), fields{"otp": "123456"}).refused(http.StatusNotFound)
		}
		who.delete(mfa(who.User, "devices", d)).refused(http.StatusNotFound)
	}
	for _, who := range []struct {
		*client
		device.User
	}{{c, nobody}, {stranger, u}} {
		who.get(mfa(who.User, "factors")).refused(http.StatusNotFound)
		who.get(mfa(who.User, "devices")).refused(http.StatusNotFound)
		who.enrol(who.User, sms).refused(http.StatusNotFound)
		who.post(mfa(who.User, "verifications"), fields{"device_id": d}).refused(http.StatusNotFound)
		who.post(mfa(who.User, "mfa_token"), nil).refused(http.StatusNotFound)
	}
	for _, id := range []string{"x", "*", "%3E", "5", "99999999999999999999", strings.ToUpper(v), "00000000-0000-7000-8000-000000000000"} {
		c.get(mfa(u, "registrations", id)).refused(http.StatusNotFound)
		c.get(mfa(u, "verifications", id)).refused(http.StatusNotFound)
		c.delete(mfa(u, "devices", id)).refused(http.StatusNotFound)
	}
	c.get("/api/2/mfa/users/ana/factors").refused(http.StatusNotFound)
	c.post(mfa(other, "verifications"), fields{"device_id": d}).refused(http.StatusUnprocessableEntity, "device_id")
	c.delete("/api/2/mfa/users/" + strconv.FormatInt(u.Number, 10) + "/factors").refused(http.StatusMethodNotAllowed)
	c.get(mfa(u, "nothing")).refused(http.StatusNotFound)
}

func TestALockedUserCannotBeAsked(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d := c.vouched(u, email)
	v := c.post(mfa(u, "verifications"), fields{"device_id": d}).is(http.StatusCreated).object()["id"].(string)
	code := h.sentCode()
	u, err := h.users.User(t.Context(), shop, u.ID)
	require.NoError(t, err)
	u.Locked = true
	_, err = h.users.UpdateUser(t.Context(), u)
	require.NoError(t, err)
	c.enrol(u, sms).refused(http.StatusForbidden)
	c.post(mfa(u, "verifications"), fields{"device_id": d}).refused(http.StatusForbidden)
	c.put(mfa(u, "verifications", v), fields{"otp": code}).refused(http.StatusForbidden)
	c.post(mfa(u, "mfa_token"), nil).refused(http.StatusForbidden)
	require.Len(t, c.get(mfa(u, "devices")).is(http.StatusOK).list(), 1)
}

func TestEachCallNeedsItsScope(t *testing.T) {
	t.Parallel()
	h := setup(t)
	u := h.user()
	gone := mfa(u, "registrations", "00000000-0000-7000-8000-000000000000")
	reads := []string{mfa(u, "factors"), mfa(u, "devices"), gone, mfa(u, "verifications", "00000000-0000-7000-8000-000000000000")}
	writes := map[string]string{
		http.MethodPost + mfa(u, "registrations"): "", http.MethodPost + mfa(u, "verifications"): "", http.MethodPost + mfa(u, "mfa_token"): "",
		http.MethodPut + gone: "", http.MethodPut + mfa(u, "verifications", "x"): "", http.MethodDelete + mfa(u, "devices", "5"): "",
	}
	for _, s := range credential.Scopes() {
		c := h.client(scope(s))
		for _, path := range reads {
			require.Equal(t, s.Allows(credential.ReadPeople), c.get(path).status != http.StatusForbidden, "%s GET %s", s, path)
		}
		for call := range writes {
			method, path, _ := strings.Cut(call, "/")
			a := c.do(method, "/"+path, `{}`)
			require.Equal(t, s.Allows(credential.ManagePeople), a.status != http.StatusForbidden, "%s %s: %s", s, call, a.body)
			if a.status == http.StatusForbidden {
				a.refused(http.StatusForbidden)
			}
		}
	}
	a := h.send(jsonRequest(t, http.MethodGet, mfa(u, "factors"), nil))
	a.refused(http.StatusUnauthorized)
	require.Equal(t, "InvalidCredentials", a.object()["name"])
}

func TestAUserHasOnlySoManyDevices(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for range 50 {
		c.enrol(u, authenticator, fields{"expires_in": 900}).is(http.StatusCreated)
	}
	c.enrol(u, authenticator).refused(http.StatusUnprocessableEntity, "user_id")
	h.clock.Forward(15 * time.Minute)
	c.enrol(u, authenticator).is(http.StatusCreated)
}

func TestTooManyMessagesAreRefusedWithTheTimeToWait(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	for range 5 {
		c.enrol(u, sms).is(http.StatusCreated)
	}
	a := c.enrol(u, sms)
	a.refused(http.StatusTooManyRequests)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, "0", a.header.Get("X-Ratelimit-Remaining"))
	devices, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Len(t, devices, 5, "what was refused left nothing behind")
}

func TestAPathMayEndInASlash(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c, u := h.client(), h.user()
	d := c.vouched(u, sms)
	v := c.post(mfa(u, "verifications")+"/", fmt.Sprintf(`{"device_id":%s,"expires_in":"300"}`, d)).is(http.StatusCreated).object()
	require.Equal(t, "accepted", c.post(mfa(u, "verifications")+"/", fields{"device_id": d, "otp": h.sentCode()}).is(http.StatusOK).object()["status"])
	require.Equal(t, "accepted", c.get(mfa(u, "verifications", v["id"].(string))).object()["status"])
}
