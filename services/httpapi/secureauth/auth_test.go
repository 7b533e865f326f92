package secureauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

// everyType is each type with a request that succeeds.
func everyType(h *house, p person) map[string]given {
	app := factorID(p.phone)
	return map[string]given{
		"user_id": {}, "password": {"token": personPassword}, "kba": {"factor_id": "KBQ1", "token": personAnswer},
		"oath": {"factor_id": app, "token": h.shown(p.phone)}, "pin": {"token": personPIN},
		"call": {"factor_id": "Phone1"}, "sms": {"factor_id": "Phone2"}, "email": {"factor_id": "Email1"},
		"help_desk": {"factor_id": "HelpDesk1"}, "push": {"factor_id": app}, "push_accept": {"factor_id": app},
		"push_accept_symbol":    {"factor_id": app},
		"push_accept_biometric": {"factor_id": app, "biometricType": "face"},
		"sms_link":              {"factor_id": "Phone2"}, "email_link": {"factor_id": "Email1"},
	}
}

func TestEveryTypeAnswersInItsFormInEveryVersion(t *testing.T) {
	t.Parallel()
	h := setup(t)
	plain, echo := h.client(), h.client(echoOTP)
	for _, version := range []string{"v1", "v2", "v3"} {
		for kind := range everyType(h, person{}) {
			p := h.person(plain)
			plain.post("/api/"+version+"/auth", authBody(p.Username, kind, everyType(h, p)[kind])).is(http.StatusOK).golden("auth", kind)
		}
		for _, kind := range []string{"call", "sms", "email", "push", "help_desk"} {
			p := h.person(plain)
			a := echo.post("/api/"+version+"/auth", authBody(p.Username, kind, everyType(h, p)[kind])).is(http.StatusOK)
			require.Equal(t, h.sentCode(), a.golden("auth", kind+"_echoed").text("otp"))
		}
	}
}

func TestWhatIsWrongIsAnsweredInTheseWords(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	app := factorID(p.phone)
	for name, refused := range map[string]answer{
		"unknown_user":     c.auth("nobody", "sms", given{"factor_id": "Phone1"}).is(http.StatusNotFound),
		"wrong_password":   c.auth(p.Username, "password", given{"token": "wrong"}).is(http.StatusOK),
		"wrong_oath":       c.auth(p.Username, "oath", given{"factor_id": app, "token": "00"}).is(http.StatusOK),
		"wrong_pin":        c.auth(p.Username, "pin", given{"token": "0815"}).is(http.StatusOK),
		"wrong_kba":        c.auth(p.Username, "kba", given{"factor_id": "KBQ1", "token": "Rio"}).is(http.StatusOK),
		"answer_of_other":  c.auth(p.Username, "kba", given{"factor_id": "KBQ2", "token": personAnswer}).is(http.StatusOK),
		"unknown_factor":   c.auth(p.Username, "sms", given{"factor_id": "Phone3"}).is(http.StatusBadRequest),
		"unknown_device":   c.auth(p.Username, "push_accept", given{"factor_id": strings.Repeat("0", 32)}).is(http.StatusBadRequest),
		"unknown_question": c.auth(p.Username, "kba", given{"factor_id": "KBQ6", "token": "x"}).is(http.StatusBadRequest),
		"unknown_type":     c.auth(p.Username, "fido", nil).is(http.StatusBadRequest),
		"yubikey":          c.auth(p.Username, "yubikey", given{"token": "cccccc"}).is(http.StatusBadRequest),
		"no_user":          c.post("/api/v1/auth", given{"type": "sms"}).is(http.StatusBadRequest),
		"no_type":          c.post("/api/v1/auth", given{"user_id": p.Username}).is(http.StatusBadRequest),
		"no_factor":        c.auth(p.Username, "sms", nil).is(http.StatusBadRequest),
		"no_device":        c.auth(p.Username, "push", nil).is(http.StatusBadRequest),
		"no_question":      c.auth(p.Username, "kba", given{"token": "x"}).is(http.StatusBadRequest),
		"no_answer":        c.auth(p.Username, "kba", given{"factor_id": "KBQ1", "token": " "}).is(http.StatusBadRequest),
		"no_password":      c.auth(p.Username, "password", given{"token": nil}).is(http.StatusBadRequest),
		"no_pin":           c.auth(p.Username, "pin", given{"token": ""}).is(http.StatusBadRequest),
		"no_code":          c.auth(p.Username, "oath", given{"factor_id": app}).is(http.StatusBadRequest),
		"no_help_desk":     c.auth(p.Username, "help_desk", nil).is(http.StatusBadRequest),
		"both":             c.auth(p.Username, "sms", given{"factor_id": "Phone1", "token": "+14155550123"}).is(http.StatusBadRequest),
		"bad_number":       c.auth(p.Username, "sms", given{"token": "12345"}).is(http.StatusBadRequest),
		"bad_mailbox":      c.auth(p.Username, "email", given{"token": "nowhere"}).is(http.StatusBadRequest),
		"bad_biometric":    c.auth(p.Username, "push_accept_biometric", given{"factor_id": app, "biometricType": "iris"}).is(http.StatusBadRequest),
		"bad_company":      c.auth(p.Username, "sms", given{"factor_id": "Phone1", "push_accept_details": given{"company_name": "a\nb"}}).is(http.StatusBadRequest),
	} {
		refused.golden("refused", name)
	}
	require.Zero(t, h.verifications.Count())
}

func TestABodyThatIsNoObjectIsRefusedAndSoIsAFieldOfAnotherType(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	for _, body := range []string{"", " ", "[]", "null", "7", `"sms"`, "{", `{"user_id":"x"}{}`, "\xff", "{\"user_id\":\"\xff\"}"} {
		for _, path := range []string{"/api/v1/auth", "/api/v2/auth", "/api/v1/otp/validate"} {
			a := c.post(path, body).is(http.StatusBadRequest).only("status", "message")
			require.Equal(t, "invalid", a.text("status"))
			require.True(t, strings.HasPrefix(a.text("message"), "Request validation failed with: The body is "), "%s", a.body)
		}
	}
	for field, value := range map[string]any{
		"user_id": []any{}, "type": given{}, "token": true, "factor_id": []any{1}, "domain": false, "enduser_ip": given{},
		"evaluate_number": "perhaps", "push_accept_details": "none", "biometricType": 7,
	} {
		body := authBody(p.Username, "sms", given{"factor_id": "Phone1"})
		body[field] = value
		a := c.post("/api/v1/auth", body).is(http.StatusBadRequest)
		require.True(t, strings.HasPrefix(a.text("message"), "Request validation failed with: "+field+" must be "), "%s", a.body)
	}
	require.Zero(t, h.verifications.Count())
}

func TestRequestsAreTakenAsEachSDKWritesThem(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	for _, body := range []string{
		`{"user_id":"%s","type":"sms","factor_id":"Phone1","evaluate_number":true}`,
		`{"evaluate_number":"true","type":"sms","user_id":"%s","factor_id":"phone1","token":""}`,
		`{"type":"SMS","user_id":"%s","factor_id":"PHONE1","domain":null,"evaluate_number":"True","token":null}`,
		`{"type":"sms","user_id":"%s","factor_id":" Phone1 ","domain":"","evaluate_number":false,"unknown":{"a":[1]}}`,
		"{\r\n  \"user_id\" : \"%s\",\r\n  \"type\" : \"sms\",\r\n  \"factor_id\" : \"Phone1\",\r\n  \"enduser_ip\" : \"\"\r\n}\r\n",
		`{"user_id":"%s","type":"call","factor_id":"Phone1","push_accept_details":null,"biometricType":null}`,
		`{"user_id":"%s","type":"email","factor_id":"Email1","push_accept_details":{},"biometricType":{}}`,
	} {
		u := h.user()
		c.post("/api/v2/auth", fmt.Sprintf(body, u.Username)).says(http.StatusOK, "valid", "")
	}
	p := h.person(c)
	for _, id := range []string{factorID(p.phone), strings.ToUpper(factorID(p.phone)), p.phone.ID} {
		c.auth(p.Username, "push_accept", given{"factor_id": id}).says(http.StatusOK, "valid", "")
	}
	c.post("/api/v1/auth", `{"user_id":"`+p.Username+`","type":"pin","token":4711}`).says(http.StatusOK, "valid", "")
	c.auth(strings.ToUpper(p.Username), "kba", given{"factor_id": "kbq1", "token": "  são   PAULO "}).says(http.StatusOK, "valid", "")
}

func TestThePersonIsToldWhoAsksForWhatFromWhere(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(settings(func(s *realm.Settings) { s.Brand = "House Bank" }))
	details := given{"company_name": "ACME ", "application_description": "Sign in to the shop", "enduser_ip": "2001:DB8::1"}
	for _, test := range []struct {
		kind  string
		more  given
		brand string
		about verification.Context
	}{
		{"push_accept", given{"push_accept_details": details}, "ACME", verification.Context{Action: "Sign in to the shop", IP: "2001:db8::1"}},
		{"push_accept_biometric", given{"biometricType": given{"push_accept_details": details}}, "ACME", verification.Context{Action: "Sign in to the shop", IP: "2001:db8::1"}},
		{"push_accept_symbol", given{"enduser_ip": "203.0.113.7"}, "House Bank", verification.Context{IP: "203.0.113.7"}},
		{"push", given{"push_accept_details": given{"enduser_ip": "the office"}}, "House Bank", verification.Context{}},
		{"push", given{"push_accept_details": given{"company_name": "www.evil.example", "application_description": "https://evil.example/"}}, "House Bank", verification.Context{}},
		{"push", given{"push_accept_details": given{"company_name": "evil.com/login", "application_description": "Pay at evil.com/x"}}, "House Bank", verification.Context{}},
		{
			"push",
			given{"push_accept_details": given{"company_name": strings.Repeat("b", 65), "application_description": strings.Repeat("ü", 129)}},
			strings.Repeat("b", 64),
			verification.Context{Action: strings.Repeat("ü", 128)},
		},
	} {
		p := h.person(c)
		test.more["factor_id"] = factorID(p.phone)
		c.auth(p.Username, test.kind, test.more).says(http.StatusOK, "valid", "")
		require.Equal(t, test.brand, h.question().Brand)
		require.Equal(t, test.about, h.question().Context)
		require.Equal(t, [3]string{shop, p.ID, p.phone.ID}, [3]string{h.question().Credential, h.question().UserID, h.question().DeviceID})
	}
}

func TestUsersWhoMayNotAuthenticateGetNothingSentByAnyVersion(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(settings(func(s *realm.Settings) { s.StatesAsFound = true }))
	for state, word := range barring {
		u := h.barred(c, word)
		app := h.app(u)
		for kind, more := range everyType(h, person{u, app}) {
			for _, version := range []string{"v1", "v2"} {
				a := c.post("/api/"+version+"/auth", authBody(u.Username, kind, more)).is(http.StatusOK).only("status", "message", "user_id")
				require.Equal(t, state, a.text("status"), kind)
			}
		}
		c.auth(u.Username, "sms", given{"factor_id": "Phone1"}).golden("refused", "state_"+state)
		require.Equal(t, state, c.validate(u.Username, "123456").is(http.StatusOK).only("status", "message").text("status"))
		require.Zero(t, c.count(u.Username, "throttle"))
	}
	require.Zero(t, h.verifications.Count())
}

func TestARealmUsesItsMethodsOnly(t *testing.T) {
	t.Parallel()
	h := setup(t)
	p := h.person(h.client())
	c := h.client(settings(func(s *realm.Settings) { s.Methods = []string{"sms", "password"} }))
	for kind, more := range everyType(h, p) {
		if kind == "sms" || kind == "password" {
			c.auth(p.Username, kind, more).says(http.StatusOK, "valid", "")
			continue
		}
		c.auth(p.Username, kind, more).says(http.StatusBadRequest, "invalid",
			"Request validation failed with: type "+kind+" is not allowed in this realm.")
	}
	require.Equal(t, 1, h.verifications.Count())
}

func TestGuessesAreBoundedBesidesTheThrottle(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(limited(realm.Limit{Count: 100, Window: time.Minute}, realm.Limit{}))
	p := h.person(c)
	for kind, test := range map[string]struct {
		wrong, right given
		what         string
	}{
		"password": {given{"token": "wrong"}, given{"token": personPassword}, "wrong passwords"},
		"pin":      {given{"token": "0000"}, given{"token": personPIN}, "wrong PINs"},
		"kba":      {given{"factor_id": "KBQ2", "token": "Rex"}, given{"factor_id": "KBQ2", "token": "laika"}, "wrong answers"},
		"oath": {
			wrong: given{"factor_id": factorID(p.phone), "token": "0"},
			right: given{"factor_id": factorID(p.phone), "token": h.shown(p.phone)},
			what:  "wrong codes",
		},
	} {
		refused := false
		for range 30 {
			a := c.auth(p.Username, kind, test.wrong).is(http.StatusOK)
			require.Equal(t, "invalid", a.text("status"))
			if refused = strings.Contains(a.text("message"), "Too many "+test.what+" for this user."); refused {
				break
			}
		}
		require.True(t, refused, kind)
		a := c.auth(p.Username, kind, test.right).is(http.StatusOK)
		require.Contains(t, a.text("message"), "Too many "+test.what, "the right one is not looked at either")
		c.put("/api/v1/users/"+p.Username+"/throttle", nil).is(http.StatusOK)
	}
}

func TestRightGuessesAreGivenBackAndPasswordsAreComparedAsTyped(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	for range 12 {
		c.auth(p.Username, "password", given{"token": personPassword}).says(http.StatusOK, "valid", "")
		c.auth(p.Email, "pin", given{"token": personPIN}).says(http.StatusOK, "valid", "")
	}
	bare := h.user()
	c.auth(bare.Username, "password", given{"token": "anything"}).says(http.StatusOK, "invalid", "User Id or password is invalid.")
	c.auth(bare.Username, "pin", given{"token": "4711"}).says(http.StatusOK, "invalid", "PIN is invalid.")
}

func TestACodeOfAnAppIsRightOnce(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	p := h.person(c)
	code := h.shown(p.phone)
	typed := given{"factor_id": factorID(p.phone), "token": code[:3] + " " + code[3:]}
	c.auth(p.Username, "oath", typed).says(http.StatusOK, "valid", "")
	c.auth(p.Username, "oath", typed).says(http.StatusOK, "invalid", "OTP is invalid.")
	silent := h.app(p.User, func(d *device.Device) { d.Secret = nil })
	c.auth(p.Username, "oath", given{"factor_id": factorID(silent), "token": code}).is(http.StatusBadRequest)
}

// observed is a response whose server keeps a log.
type observed struct {
	*httptest.ResponseRecorder
	errors []string
}

func (o *observed) Note(_, _ string, err error) {
	if err != nil {
		o.errors = append(o.errors, err.Error())
	}
}

func TestNothingThatWasTypedReachesTheLog(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client(limited(realm.Limit{Count: 3, Window: time.Minute}, realm.Limit{Count: 1, Window: time.Minute}))
	p := h.person(c)
	for _, secret := range []string{"sesame-4812", "+49 555 4812", "bo4812@nowhere", "4812"} {
		for _, kind := range []string{"password", "pin", "kba", "oath", "sms", "email_link"} {
			factor := map[string]string{"kba": "KBQ1", "oath": factorID(p.phone)}[kind]
			w := &observed{ResponseRecorder: httptest.NewRecorder()}
			h.door.ServeHTTP(w, c.request(http.MethodPost, "/api/v1/auth", authBody(p.Username, kind, given{"token": secret, "factor_id": factor})))
			require.NotEmpty(t, w.errors, "%s: %s", kind, w.Body)
			require.NotContains(t, fmt.Sprint(w.errors), "4812")
			require.NotContains(t, w.Body.String(), secret)
		}
	}
	for range 2 {
		w := &observed{ResponseRecorder: httptest.NewRecorder()}
		h.door.ServeHTTP(w, c.request(http.MethodPost, "/api/v1/otp/validate", given{"user_id": p.Username, "otp": "4812"}))
		require.NotContains(t, fmt.Sprint(w.errors)+w.Body.String(), "4812")
	}
}

// lostCounts is a throttle whose broker does not answer.
type lostCounts struct{}

func (lostCounts) Add(context.Context, string, string, int, time.Duration) (int, error) {
	return 0, verification.ErrUnavailable
}

func (lostCounts) Count(context.Context, string, string) (int, error) {
	return 0, verification.ErrUnavailable
}

func (lostCounts) Reset(context.Context, string, string) error { return verification.ErrUnavailable }

func TestWithoutTheThrottleNothingIsSentOrChecked(t *testing.T) {
	t.Parallel()
	h := setup(t)
	p := h.person(h.client())
	h = h.process(func(c *secureauth.Config) { c.Counts = lostCounts{} })
	c := h.client()
	for kind, more := range everyType(h, p) {
		if kind != "user_id" && kind != "password" {
			c.auth(p.Username, kind, more).says(http.StatusServiceUnavailable, "server_error", "The event broker is out of reach.")
		}
	}
	c.validate(p.Username, "123456").is(http.StatusServiceUnavailable).only("status", "message")
	c.get("/api/v1/users/" + p.Username + "/throttle").is(http.StatusServiceUnavailable)
	c.put("/api/v1/users/"+p.Username+"/throttle", nil).is(http.StatusServiceUnavailable)
	require.Zero(t, h.verifications.Count())
}

// stuckCounts counts, and never forgets.
type stuckCounts struct{ secureauth.Counts }

func (stuckCounts) Reset(context.Context, string, string) error { return verification.ErrUnavailable }

func TestAProofThatIsUsedUpIsValidThoughTheThrottleCannotBeReset(t *testing.T) {
	t.Parallel()
	h := setup(t, func(c *secureauth.Config) { c.Counts = stuckCounts{c.Counts} })
	c := h.client()
	p := h.person(c)
	c.auth(p.Username, "oath", given{"factor_id": factorID(p.phone), "token": h.shown(p.phone)}).says(http.StatusOK, "valid", "")
	c.auth(p.Username, "sms", given{"factor_id": "Phone1"}).says(http.StatusOK, "valid", "")
	c.validate(p.Username, h.sentCode()).says(http.StatusOK, "valid", "")
	require.Equal(t, 2, c.count(p.Username, "throttle"))
}
