package scenario_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
)

const password = "Correct-horse-7-battery"

func number(n int64) string { return strconv.FormatInt(n, 10) }

// login is the data of an answer of the login.
type login struct {
	Status       string `json:"status"`
	SessionToken string `json:"session_token"`
	StateToken   string `json:"state_token"`
	CallbackURL  string `json:"callback_url"`
	User         struct{ ID int64 }
	Devices      []struct {
		Type string `json:"device_type"`
		ID   int64  `json:"device_id"`
	}
}

// LogsIn is the password's step.
func (u account) LogsIn(secret string, options ...option) answer {
	u.t.Helper()
	return u.Call(http.MethodPost, "/api/1/login/auth", fields{"username_or_email": u.mailbox, "password": secret, "subdomain": "shop"}, options...)
}

// one is the single entry of an answer of version 1 that has this message.
func one(t *testing.T, a answer, message string) login {
	t.Helper()
	got := read[envelope[[]login]](t, a, http.StatusOK)
	require.Equal(t, message, got.Status.Message)
	require.Len(t, got.Data, 1)
	return got.Data[0]
}

const mfaRequired = "MFA is required for this user"

func TestOneLoginLoginWithASessionInTheBrowser(t *testing.T) {
	t.Parallel()
	s := Together(t)
	ana := s.Tenant().Has(somebody(), fields{"password": password, "password_confirmation": password})
	phone := ana.Registered(ana.Enrols("OneLogin SMS", fields{"verified": true}))
	shop, stranger := origin(t), origin(t)

	refused := ana.LogsIn("not the password")
	require.Equal(t, "Authentication Failure", read[envelope[any]](t, refused, http.StatusUnauthorized).Status.Message)

	first := one(t, ana.LogsIn(password, header("Custom-Allowed-Origin-Header-1", shop)), mfaRequired)
	require.Empty(t, first.SessionToken, "the password alone opens nothing")
	require.Equal(t, s.base+"/api/1/login/verify_factor", first.CallbackURL)
	require.Len(t, first.Devices, 1)
	require.Equal(t, phone, number(first.Devices[0].ID))

	step := fields{"device_id": phone, "state_token": first.StateToken}
	asked := read[envelope[any]](t, ana.Call(http.MethodPost, "/api/1/login/verify_factor", step), http.StatusOK)
	require.Equal(t, "pending", asked.Status.Type)
	code := ana.Message(ana.number).Code
	step["otp_token"] = wrong(code)
	a := ana.Call(http.MethodPost, "/api/1/login/verify_factor", step)
	require.Equal(t, "Failed authentication with this factor", read[envelope[any]](t, a, http.StatusUnauthorized).Status.Message)
	step["otp_token"] = code
	done := one(t, ana.Call(http.MethodPost, "/api/1/login/verify_factor", step), "Success")
	require.Equal(t, "Authenticated", done.Status)
	require.Equal(t, ana.id, done.User.ID)

	// The shop's page opens the session and asks whose it is; that of a site which the login did not
	// name learns nothing, in the same browser.
	browser := browsertest.Start(t).Tab(t)
	require.Equal(t, "200", runs(browser, shop, fetchSession(s.base, done.SessionToken)))
	require.Equal(t, number(ana.id), runs(browser, shop, whoseSession(s.base)))
	require.Equal(t, "refused", runs(browser, stranger, whoseSession(s.base)))
	require.Equal(t, "refused", runs(browser, stranger, fetchSession(s.base, done.SessionToken)))
	// A session token opens one session.
	require.NotEqual(t, "200", runs(browser, shop, fetchSession(s.base, done.SessionToken)))
	require.NotEqual(t, number(ana.id), runs(browsertest.Start(t).Tab(t), shop, whoseSession(s.base)), "another browser has no session")
}

func TestOneLoginLoginWaitsForThePhone(t *testing.T) {
	t.Parallel()
	onBothStages(t, func(t *testing.T, s *story) {
		ana := s.Tenant().Has(somebody(), fields{"password": password, "password_confirmation": password})
		r := ana.Enrols("OneLogin Protect", nil)
		phone := s.Joins(r.FactorData.VerificationToken)
		device := ana.Registered(ana.Polls(registrations, r, "accepted"))
		for _, c := range []struct {
			decision string
			status   int
		}{{"approve", http.StatusOK}, {"deny", http.StatusUnauthorized}} {
			first := one(t, ana.LogsIn(password), mfaRequired)
			step := fields{"device_id": device, "state_token": first.StateToken}
			asked := read[envelope[any]](t, ana.Call(http.MethodPost, "/api/1/login/verify_factor", step), http.StatusOK)
			require.Equal(t, "pending", asked.Status.Type)
			require.Contains(t, asked.Status.Message, "pending")
			phone.Answers(c.decision)
			step["do_not_notify"] = true
			var a answer
			eventually(t, "the login ends", func() bool {
				a = ana.Call(http.MethodPost, "/api/1/login/verify_factor", step)
				return a.status != http.StatusOK || read[envelope[any]](t, a, http.StatusOK).Status.Type != "pending"
			})
			require.Equal(t, c.status, a.status, "answer: %s", a.body)
			if c.status == http.StatusOK {
				require.NotEmpty(t, one(t, a, "Success").SessionToken)
			}
		}
	})
}

// origin is a site of its own, with one empty page.
func origin(t *testing.T) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>A shop</title><p>Welcome.</p>")
	}))
	t.Cleanup(site.Close)
	return site.URL
}

// fetchSession is what the shop's page runs to turn a session token into a session.
func fetchSession(base, token string) string {
	return `fetch("` + base + `/session_via_api_token", {
		method: "POST", credentials: "include", headers: {"Content-Type": "application/json"},
		body: JSON.stringify({session_token: "` + token + `"}),
	}).then(r => r.status, () => "refused")`
}

// whoseSession asks whose session the browser has.
func whoseSession(base string) string {
	return `fetch("` + base + `/api/1/login/session", {credentials: "include"})
		.then(r => r.json()).then(b => b.data[0].user.id).catch(() => "refused")`
}

// runs opens a site and has its page compute something.
func runs(p *browsertest.Tab, site, expression string) string {
	p.Open(site)
	return p.JS(expression)
}
