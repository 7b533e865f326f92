package onelogin_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/password"
	"github.com/assent-io/assent/services/verification"
)

const (
	authPath   = "/api/1/login/auth"
	factorPath = "/api/1/login/verify_factor"
	secretWord = "correct horse"
	noFactor   = "Failed authentication with this factor"
	noState    = "State token is invalid or expired"
)

// member is a user with a password, and with devices of these factors.
func (h *house) member(factors ...device.Factor) (device.User, []device.Device) {
	h.t.Helper()
	hash, err := password.New(1).Hash(h.t.Context(), secretWord)
	require.NoError(h.t, err)
	u := h.user(func(u *device.User) {
		u.GivenName, u.FamilyName, u.Password, u.PasswordChangedAt = "Ana", "Lima", hash, h.clock.Now()
	})
	devices := make([]device.Device, 0, len(factors))
	for _, f := range factors {
		devices = append(devices, h.enrolled(u, f))
	}
	return u, devices
}

// enrolled is an active device of a user.
func (h *house) enrolled(u device.User, f device.Factor, change ...func(*device.Device)) device.Device {
	h.t.Helper()
	d := device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: u.Credential, Kind: f.Kind(), Factor: f, Name: string(f), CreatedAt: h.clock.Now(),
	}
	switch d.Kind {
	case device.Phone:
		d.Address = u.Phone
	case device.Mailbox:
		d.Address = u.Email
	case device.Push:
		d.Address, d.Platform = "push-token-"+d.ID, device.FCM
		d.PublicKey = []byte("never checked here")
		d.Secret = newSecret(h.t)
	case device.TOTP:
		d.Secret = newSecret(h.t)
	}
	for _, c := range change {
		c(&d)
	}
	d, err := h.users.CreateDevice(h.t.Context(), d)
	require.NoError(h.t, err)
	return d
}

func newSecret(t *testing.T) []byte {
	t.Helper()
	secret, err := device.NewSecret(rand.Reader)
	require.NoError(t, err)
	return secret
}

// another is a code that this is not.
func another(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

func (c *client) logIn(u device.User, change ...func(map[string]any)) answer {
	c.h.t.Helper()
	body := map[string]any{"username_or_email": u.Username, "password": secretWord, "subdomain": "example"}
	for _, x := range change {
		x(body)
	}
	return c.post(authPath, body)
}

// state is the state token of a login that needs a factor.
func (c *client) state(u device.User) string {
	c.h.t.Helper()
	return c.logIn(u).is(http.StatusOK).data()["state_token"].(string)
}

func (c *client) factor(state string, d device.Device, change map[string]any) answer {
	c.h.t.Helper()
	body := map[string]any{"state_token": state, "device_id": fmt.Sprint(d.Number)}
	for name, value := range change {
		body[name] = value
	}
	return c.post(factorPath, body)
}

var quiet = map[string]any{"do_not_notify": true}

func otp(code string) map[string]any { return map[string]any{"otp_token": code} }

// pending checks the answer while a factor waits, and returns its message.
func (a answer) pending() string {
	a.t.Helper()
	body := a.is(http.StatusOK).object()
	require.Len(a.t, body, 1, "no data")
	st := body["status"].(map[string]any)
	require.Equal(a.t, "pending", st["type"])
	require.InDelta(a.t, 200, st["code"], 0)
	require.Equal(a.t, false, st["error"])
	require.Contains(a.t, st["message"], "pending")
	return st["message"].(string)
}

// authenticated checks the answer of a login that is done, and returns its session token.
func (a answer) authenticated(u device.User) string {
	a.t.Helper()
	body := a.is(http.StatusOK).object()
	require.Equal(a.t, map[string]any{"type": "success", "message": "Success", "code": 200.0, "error": false}, body["status"])
	data := a.data()
	require.Equal(a.t, "Authenticated", data["status"])
	require.Equal(a.t, map[string]any{
		"id": float64(u.Number), "username": u.Username, "email": u.Email, "firstname": u.GivenName, "lastname": u.FamilyName,
	}, data["user"])
	require.Contains(a.t, data, "return_to_url")
	expires, err := time.Parse("2006/01/02 15:04:05 -0700", data["expires_at"].(string))
	require.NoError(a.t, err)
	require.True(a.t, strings.HasSuffix(data["expires_at"].(string), " +0000"))
	require.True(a.t, expires.After(time.Now().Add(time.Minute)))
	require.Equal(a.t, "no-store", a.header.Get("Cache-Control"))
	token := data["session_token"].(string)
	require.GreaterOrEqual(a.t, len(token), 32)
	return token
}

// answer is what the person does with the message that was sent last.
func (h *house) answer(d verification.Decision) {
	h.t.Helper()
	_, err := h.verifications.Resolve(h.t.Context(), h.verifications.Last().Verification.ID, verification.Answered{Decision: d})
	require.NoError(h.t, err)
}

func TestAPasswordAloneLogsInWhoHasNoDevices(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	h.enrolled(u, device.SMSCode, func(d *device.Device) { d.Pending = &device.Pending{ExpiresAt: h.clock.Now().Add(time.Hour)} })
	first := c.logIn(u)
	require.Nil(t, first.data()["return_to_url"])
	second := c.logIn(u, func(b map[string]any) { b["username_or_email"] = strings.ToUpper(u.Email) })
	require.NotEqual(t, first.authenticated(u), second.authenticated(u))
	stored, err := h.users.UserByNumber(t.Context(), shop, u.Number)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), stored.LastLogin, time.Minute)

	more := c.logIn(u, func(b map[string]any) {
		b["return_to_url"], b["fields"] = "https://app.example/in?a=1", "phone, status"
	}).is(http.StatusOK).data()
	require.Equal(t, "https://app.example/in?a=1", more["return_to_url"])
	require.Len(t, more["user"], 7)
	require.Equal(t, u.Phone, more["user"].(map[string]any)["phone"])
	require.NotContains(t, string(first.body), "argon2")
}

func TestADeviceMakesALoginAskForAFactor(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, devices := h.member(device.SMSCode, device.AppCode, device.AppPush, device.EmailCode)
	body := c.logIn(u).is(http.StatusOK).object()
	require.Equal(t, map[string]any{"type": "success", "code": 200.0, "message": "MFA is required for this user", "error": false}, body["status"])
	data := body["data"].([]any)[0].(map[string]any)
	require.GreaterOrEqual(t, len(data["state_token"].(string)), 32)
	require.Equal(t, "https://assent.example"+factorPath, data["callback_url"])
	require.NotContains(t, data, "session_token")
	require.Equal(t, u.Username, data["user"].(map[string]any)["username"])
	types := map[float64]any{}
	for _, d := range data["devices"].([]any) {
		types[d.(map[string]any)["device_id"].(float64)] = d.(map[string]any)["device_type"]
		require.Len(t, d, 2)
	}
	require.Len(t, types, 4)
	require.Equal(t, "Google Authenticator", types[float64(devices[1].Number)])
	require.Equal(t, "OneLogin Protect", types[float64(devices[2].Number)])
	require.Zero(t, h.verifications.Count(), "nothing is sent before a device is chosen")
	require.NotContains(t, fmt.Sprint(body), u.Phone)
}

func TestAWrongPasswordTellsNothing(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	locked, _ := h.member()
	unset := h.user()
	rejected, _ := h.member()
	c.put(fmt.Sprintf("/api/2/users/%d", locked.Number), map[string]any{"status": 3}).is(http.StatusOK)
	c.put(fmt.Sprintf("/api/2/users/%d", rejected.Number), map[string]any{"state": 2}).is(http.StatusOK)
	for name, change := range map[string]func(map[string]any){
		"a wrong password":           func(b map[string]any) { b["password"] = "correct horsf" },
		"an unknown user":            func(b map[string]any) { b["username_or_email"] = "nobody" },
		"a locked user":              func(b map[string]any) { b["username_or_email"] = locked.Username },
		"a user of state rejected":   func(b map[string]any) { b["username_or_email"] = rejected.Username },
		"a user without a password":  func(b map[string]any) { b["username_or_email"] = unset.Username },
		"a name longer than any is":  func(b map[string]any) { b["username_or_email"] = strings.Repeat("x", 5000) },
		"a password longer than any": func(b map[string]any) { b["password"] = strings.Repeat("x", 5000) },
	} {
		t.Run(name, func(t *testing.T) {
			a := c.logIn(u, change)
			require.Equal(t, "Authentication Failure", a.refusedV1(http.StatusUnauthorized))
			require.NotEmpty(t, a.header.Get("Www-Authenticate"))
		})
	}
	require.Equal(t, "Authentication Failure", h.client(account("bank")).logIn(u).refusedV1(http.StatusUnauthorized))
	c.logIn(u).authenticated(u)
}

// counted counts the passwords that are compared.
type counted struct {
	onelogin.Passwords
	checks atomic.Int64
}

func (p *counted) Check(ctx context.Context, hash, typed string) (bool, error) {
	p.checks.Add(1)
	return p.Passwords.Check(ctx, hash, typed)
}

func TestUnknownUsersCostAPasswordCheckToo(t *testing.T) {
	t.Parallel()
	passwords := &counted{Passwords: password.New(1)}
	h := setup(t, func(c *onelogin.Config) { c.Passwords = passwords })
	h.client().logIn(device.User{Username: "nobody"}).refusedV1(http.StatusUnauthorized)
	require.EqualValues(t, 1, passwords.checks.Load())
}

func TestBadLoginsAreNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	for name, x := range map[string]struct {
		field string
		value any
	}{
		"no name":                 {"username_or_email", ""},
		"no password":             {"password", nil},
		"an address of no scheme": {"return_to_url", "app.example/in"},
		"a script":                {"return_to_url", "javascript:alert(1)"},
		"a host that misleads":    {"return_to_url", "https://shop.example@evil.example/"},
		"no ip address":           {"ip_address", "localhost"},
		"an unknown field":        {"fields", "password"},
		"fields that are no list": {"fields", 7},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, c.logIn(u, func(b map[string]any) { b[x.field] = x.value }).refusedV1(http.StatusBadRequest), x.field)
		})
	}
	c.post(authPath, "[]").refusedV1(http.StatusBadRequest)
	c.post(authPath, nil).refusedV1(http.StatusBadRequest)
	for _, origins := range []string{"*", "https://*.example", "app.example", "https://app.example/path", "ftp://a"} {
		r := c.request(http.MethodPost, authPath, map[string]any{"username_or_email": u.Username, "password": secretWord})
		r.Header.Set("Custom-Allowed-Origin-Header-3", "https://a.example, "+origins)
		require.Contains(t, h.send(r).refusedV1(http.StatusBadRequest), "Custom-Allowed-Origin-Header-3", origins)
	}
	require.Contains(t, c.get(authPath).refusedV1(http.StatusNotFound), "No Route Exists")
	for _, s := range []credential.Scope{credential.ReadUsers, credential.ReadAll} {
		h.client(scope(s)).logIn(u).refusedV1(http.StatusForbidden)
	}
	h.client(scope(credential.AuthenticationOnly)).logIn(u).authenticated(u)
}

func TestPasswordsCannotBeGuessedForLong(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, _ := h.member()
	other, _ := h.member()
	for range 3 {
		c.logIn(u).is(http.StatusOK) // what was right costs nothing
	}
	wrong := func(b map[string]any) { b["password"] = "wrong password" }
	for range 5 {
		c.logIn(u, wrong).refusedV1(http.StatusUnauthorized)
	}
	a := c.logIn(u)
	a.refusedV1(http.StatusTooManyRequests)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, "0", a.header.Get("X-Ratelimit-Remaining"))
	c.logIn(other).authenticated(other)
}
