package secureauth_test

import (
	"net/http"
	"net/url"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// given is the body of a request, by the names of its fields.
type given map[string]any

// person is a user with every factor that a profile can have: two numbers, two mailboxes, two questions,
// two help desks, a PIN, a password and a phone with the app.
type person struct {
	device.User
	phone device.Device
}

const (
	personPassword = "correct horse"
	personPIN      = "4711"
	personAnswer   = "São Paulo"
)

func (h *house) person(c client) person {
	h.t.Helper()
	hash, err := h.passwords.Hash(h.t.Context(), personPassword)
	require.NoError(h.t, err)
	u := h.user(func(u *device.User) { u.Password = hash })
	p := person{u, h.app(u)}
	c.put("/api/v1/users/"+url.PathEscape(u.Username), given{
		"properties": given{
			"phone2": "(212) 555-" + p.last(), "email2": p.workMail(), "helpDesk1": "+44 20 7946 " + p.last(), "helpDesk2": p.deskMail(),
			"pin": personPIN,
		},
		"knowledgeBase": given{
			"kbq1": given{"question": "What city were you born in?", "answer": personAnswer},
			"kbq2": given{"question": "What was your first pet?", "answer": "Laika"},
		},
	}).says(http.StatusOK, "success", "")
	return p
}

// last are the last digits of the person's numbers. All addresses are the person's alone, since what is sent
// to one is limited.
func (p person) last() string { return p.Phone[len(p.Phone)-4:] }

func (p person) workMail() string { return p.Username + "@work.example" }

func (p person) deskMail() string { return "desk-" + p.Username + "@example.com" }

// auth is POST /auth of version 1.
func (c client) auth(user, kind string, more given) answer {
	c.h.t.Helper()
	return c.post("/api/v1/auth", authBody(user, kind, more))
}

func authBody(user, kind string, more given) given {
	body := given{"user_id": user, "type": kind}
	for name, value := range more {
		body[name] = value
	}
	return body
}

// validate is POST /otp/validate of version 1.
func (c client) validate(user, code string) answer {
	c.h.t.Helper()
	return c.post("/api/v1/otp/validate", given{"user_id": user, "otp": code})
}

// count is what a throttle of a user shows.
func (c client) count(user, throttle string) int {
	c.h.t.Helper()
	o := c.get("/api/v1/users/"+url.PathEscape(user)+"/"+throttle).says(http.StatusOK, "found", "").object()
	n, ok := o["count"].(float64)
	require.True(c.h.t, ok, "count is a number")
	return int(n)
}

// sentCode is the code that was sent last.
func (h *house) sentCode() string { return h.verifications.Last().Secrets.Code.Reveal() }

// wrongCode is any other code than the one that was sent last.
func (h *house) wrongCode() string {
	if h.sentCode() == "123456" {
		return "654321"
	}
	return "123456"
}

// shown is the code that the app shows now.
func (h *house) shown(d device.Device) string { return device.OneTimeCode(d.Secret, h.clock.Now()) }

// question is the verification that was made last, without its secrets.
func (h *house) question() verification.Verification { return h.verifications.Last().Verification }

// barring are the words that keep a user out, by the state that they lead to.
var barring = map[string]string{
	"lock_out": "lock", "disabled": "disable",
	"account_expired": "account_expired", "invalid_group": "invalid_group", "password_expired": "password_expired",
}

// barred is a user whom a word keeps out.
func (h *house) barred(c client, word string) device.User {
	h.t.Helper()
	u := h.user()
	c.post("/api/v1/users/"+u.Username+"/status", given{"status": word}).says(http.StatusOK, "success", "User Status update complete")
	return u
}
