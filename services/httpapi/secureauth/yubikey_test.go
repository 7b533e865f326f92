package secureauth_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/secureauth"
)

// validator is a validation server that knows one press of one key.
type validator struct {
	genuine string
	err     error
	asked   int
}

func (*validator) Identity(otp string) (string, bool) {
	if len(otp) != 44 {
		return "", false
	}
	return otp[:12], true
}

func (v *validator) Valid(_ context.Context, otp string) (bool, error) {
	v.asked++
	return otp == v.genuine && v.err == nil, v.err
}

const (
	keyIdentity = "vvccccfhcbij"
	keyPress    = keyIdentity + "ctltvbujfnbcrkdjbejdvgvrbcknkdih"
)

func TestAYubiKeyIsAskedOfItsValidationServer(t *testing.T) {
	t.Parallel()
	v := &validator{genuine: keyPress}
	h := setup(t, func(c *secureauth.Config) { c.YubiKeys = v })
	c := h.client()
	p := h.person(c)
	a := c.auth(p.Username, "yubikey", given{"token": keyPress}).is(http.StatusBadRequest)
	require.Contains(t, a.text("message"), "the user has no YubiKey")
	path := "/api/v1/users/" + p.Username
	a = c.put(path, given{"properties": given{"yubikey": "not one"}}).is(http.StatusBadRequest)
	require.Contains(t, a.text("message"), "properties.yubiKey must be the public identity")
	c.put(path, given{"properties": given{"yubikey": "VVCCCCFHCBIJ"}}).says(http.StatusOK, "success", "")

	c.auth(p.Username, "yubikey", given{"token": keyPress}).says(http.StatusOK, "valid", "")
	require.Equal(t, 1, v.asked)
	c.auth(p.Username, "yubikey", given{"token": "c" + keyPress[1:]}).says(http.StatusOK, "invalid", "OTP is invalid.")
	require.Equal(t, 1, v.asked, "another person's key is asked of nobody")
	c.auth(p.Username, "yubikey", given{"token": keyPress[:43] + "c"}).says(http.StatusOK, "invalid", "OTP is invalid.")
	a = c.auth(p.Username, "yubikey", given{"token": "123456"}).is(http.StatusBadRequest)
	require.Contains(t, a.text("message"), "token is required")
	require.Equal(t, 2, c.count(p.Username, "throttle"), "what was compared counts")

	v.err = errors.New("no answer")
	c.auth(p.Username, "yubikey", given{"token": keyPress}).says(http.StatusServiceUnavailable, "server_error", "The YubiKey validation server cannot be asked.")
}
