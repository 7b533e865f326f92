package secureauth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

func limited(attempts, validations realm.Limit) func(*realm.Realm) {
	return settings(func(s *realm.Settings) { s.Attempts, s.Validations = attempts, validations })
}

func TestEveryAttemptCountsUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	c.get("/api/v1/users/"+p.Username+"/throttle").golden("throttle", "read").only("status", "message", "count")
	c.auth(p.Username, "password", given{"token": "wrong"}).is(http.StatusOK)
	c.auth(p.Username, "user_id", nil).is(http.StatusOK)
	c.auth(p.Username, "sms", given{"factor_id": "Phone9"}).is(http.StatusBadRequest)
	require.Zero(t, c.count(p.Username, "throttle"), "neither passwords nor what is refused for its form")

	c.auth(p.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
	c.auth(p.Username, "push_accept", given{"factor_id": factorID(p.phone)}).says(http.StatusOK, "valid", "")
	c.auth(p.Username, "pin", given{"token": "0000"}).says(http.StatusOK, "invalid", "PIN is invalid.")
	c.validate(p.Username, "000000").says(http.StatusOK, "invalid", "OTP is invalid.")
	require.Equal(t, 3, c.count(p.Username, "throttle"))
	require.Equal(t, 1, c.count(p.Username, "otpvalidatethrottle"))
	require.Equal(t, 3, h.client().count(p.Username, "throttle"), "all realms of an account share it")

	c.auth(p.Username, "password", given{"token": personPassword}).says(http.StatusOK, "valid", "")
	require.Equal(t, 3, c.count(p.Username, "throttle"), "a password resets nothing")
	c.auth(p.Username, "pin", given{"token": personPIN}).says(http.StatusOK, "valid", "")
	require.Zero(t, c.count(p.Username, "throttle"))
	require.Zero(t, c.count(p.Username, "otpvalidatethrottle"))
}

func TestAnAcceptedQuestionResetsTheThrottleOnce(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	reference := c.auth(p.Username, "push_accept", given{"factor_id": factorID(p.phone)}).is(http.StatusOK).text("reference_id")
	require.Equal(t, 1, c.count(p.Username, "throttle"))
	h.answers(reference, verification.Approve, "")
	poll := func() { c.get("/api/v1/auth/"+reference).says(http.StatusOK, "found", "ACCEPTED") }
	poll()
	require.Zero(t, c.count(p.Username, "throttle"))
	c.auth(p.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
	poll()
	require.Equal(t, 1, c.count(p.Username, "throttle"), "what was accepted long ago proves nothing of what came after")
}

func TestOverItsLimitAUserGetsNothingSentAndNothingChecked(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(limited(realm.Limit{Count: 2, Window: time.Minute}, realm.Limit{Count: 2, Window: time.Minute}))
	p := h.person(c)
	for range 2 {
		c.auth(p.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
	}
	for kind, more := range map[string]given{
		"sms": {"factor_id": "Phone2"}, "email_link": {"factor_id": "Email1"}, "push_accept_symbol": {"factor_id": factorID(p.phone)},
		"pin": {"token": personPIN}, "oath": {"factor_id": factorID(p.phone), "token": h.shown(p.phone)},
		"kba": {"factor_id": "KBQ1", "token": personAnswer},
	} {
		a := c.auth(p.Username, kind, more).is(http.StatusOK)
		require.Equal(t, "invalid", a.text("status"), kind)
		require.True(t, strings.HasPrefix(a.text("message"), "Request validation failed with: Too many attempts for this user. Try again in "), "%s", a.body)
		require.NotEmpty(t, a.header.Get("Retry-After"))
	}
	require.Equal(t, 2, h.verifications.Count())
	require.Equal(t, 2, c.count(p.Username, "throttle"), "what is refused is not counted")
	c.auth(p.Username, "password", given{"token": personPassword}).says(http.StatusOK, "valid", "")

	for range 2 {
		c.validate(p.Username, h.wrongCode()).says(http.StatusOK, "invalid", "OTP is invalid.")
	}
	a := c.validate(p.Username, h.sentCode()).is(http.StatusOK).only("status", "message")
	require.Contains(t, a.text("message"), "Too many validations for this user.")

	path := "/api/v1/users/" + p.Username
	c.put(path+"/otpvalidatethrottle", nil).golden("throttle", "reset").only("status", "message", "count")
	c.put(path+"/throttle", given{"count": 0}).golden("throttle", "reset")
	c.validate(p.Username, h.sentCode()).says(http.StatusOK, "valid", "")
	c.auth(p.Username, "sms", given{"factor_id": "Phone2"}).says(http.StatusOK, "valid", "")
}

func TestTheThrottlesAreReadAndResetInEveryStyle(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u := h.user(username(`ACME\j smith`))
	for _, throttle := range []string{"throttle", "otpvalidatethrottle"} {
		for _, path := range []string{
			"/api/v1/users/acme/j%20smith/" + throttle, "/api/v2/users/" + throttle + "?username=j+smith&domain=acme",
			"/api/v1/users/ACME%5Cj%20smith/" + throttle + "/", "/api/v1/users/" + throttle + "?username=ACME%5Cj%20smith",
		} {
			_, err := h.counts.Add(t.Context(), map[string]string{"throttle": "sa_attempts", "otpvalidatethrottle": "sa_validations"}[throttle],
				shop+"/"+u.ID, 0, time.Hour)
			require.NoError(t, err)
			require.InDelta(t, 1, c.get(path).says(http.StatusOK, "found", "").object()["count"], 0, path)
			require.InDelta(t, 0, c.put(path, nil).says(http.StatusOK, "found", "").object()["count"], 0, path)
			require.InDelta(t, 0, c.get(path).says(http.StatusOK, "found", "").object()["count"], 0, path)
		}
		path := "/api/v1/users/acme/j%20smith/" + throttle
		for _, body := range []string{`{"count":0}`, `{"count":"0"}`, `{"count":null}`, `{}`, " ", `{"count":0,"more":1}`} {
			c.put(path, body).says(http.StatusOK, "found", "")
		}
		for _, body := range []string{`{"count":3}`, `{"count":-1}`, `{"count":"none"}`} {
			c.put(path, body).says(http.StatusBadRequest, "invalid", "Request validation failed with: count must be 0.")
		}
		c.put(path, `{"count":[]}`).says(http.StatusBadRequest, "invalid", "Request validation failed with: count must be a string.")
		c.put(path, `[]`).is(http.StatusBadRequest)
		unknown := c.get("/api/v1/users/nobody/"+throttle).says(http.StatusNotFound, "not_found", "User Id was not found.")
		require.Equal(t, "nobody", unknown.text("user_id"))
		c.put("/api/v1/users/nobody/"+throttle, nil).is(http.StatusNotFound)
		c.get("/api/v1/users/"+throttle).says(http.StatusBadRequest, "invalid", "Request validation failed with: username is required.")
	}
}

func TestARealmWithoutLimitsStillCounts(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(limited(realm.Limit{Window: time.Minute}, realm.Limit{Window: time.Minute}))
	p := h.person(c)
	for n := range 12 {
		c.validate(p.Username, "000000").says(http.StatusOK, "invalid", "OTP is invalid.")
		require.Equal(t, n+1, c.count(p.Username, "otpvalidatethrottle"))
	}
}
