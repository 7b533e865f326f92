package scenario_test

import (
	"encoding/base32"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
)

func TestOneLoginPasswordlessLoginByMail(t *testing.T) {
	t.Parallel()
	onBothStages(t, passwordless)
}

func passwordless(t *testing.T, s *story) {
	t.Run("a link is opened and approved, and leads on", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		mailbox := ana.Registered(ana.Enrols("OneLogin Email Link", fields{"verified": true}))
		asked := ana.Activates(mailbox, fields{"expires_in": "600", "redirect_to": "https://shop.example/welcome?from=mail"})
		require.Equal(t, "OneLogin Email", asked.AuthFactorName)
		require.Equal(t, "pending", ana.Reads(verifications, asked).Status)

		m := ana.Message(ana.mailbox)
		require.Empty(t, m.Code)
		after := Opens(t, m.Link).Presses("Approve")
		require.Contains(t, after.text, "shop.example")
		require.Equal(t, mailbox, ana.Polls(verifications, asked, "accepted").DeviceID)
	})
	t.Run("somebody who did not ask denies", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		mailbox := ana.Registered(ana.Enrols("OneLogin Email Link", fields{"verified": true}))
		asked := ana.Activates(mailbox, fields{"redirect_to": "https://shop.example/welcome"})
		after := Opens(t, ana.Message(ana.mailbox).Link).Presses("This wasn't me")
		require.NotContains(t, after.text, "shop.example")
		ana.Polls(verifications, asked, "rejected")
	})
	t.Run("the mailbox itself is proved by a link", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		r := ana.Enrols("OneLogin Email Link", nil)
		require.Equal(t, "pending", r.Status)
		require.Empty(t, ana.Devices(), "a device that is not proved is not listed")
		Opens(t, ana.Message(ana.mailbox).Link).Presses("Approve")
		ana.Registered(ana.Polls(registrations, r, "accepted"))
	})
	t.Run("a code is typed", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		mailbox := ana.Registered(ana.Enrols("OneLogin Email", fields{"verified": true}))
		asked := ana.Activates(mailbox, nil)
		require.NotNil(t, asked.ExpiresAt)
		code := ana.Message(ana.mailbox).Code
		require.Equal(t, "pending", ana.Types(verifications, asked, wrong(code)))
		require.Equal(t, "accepted", ana.Types(verifications, asked, code))
	})
}

func TestOneLoginProtectOnAPhone(t *testing.T) {
	t.Parallel()
	onBothStages(t, protect)
}

func protect(t *testing.T, s *story) {
	ana := s.Tenant().Has(somebody(), nil)
	r := ana.Enrols("OneLogin Protect", nil)
	require.Equal(t, "pending", r.Status)
	require.Equal(t, "OneLogin", r.AuthFactorName)
	require.Nil(t, r.ExpiresAt, "a registration of Protect tells no end")
	require.Empty(t, ana.Devices())
	uri, err := url.Parse(r.FactorData.TOTPURL)
	require.NoError(t, err)
	require.Equal(t, r.FactorData.VerificationToken, uri.Query().Get("secret"), "the QR code holds the activation code")

	phone := s.Joins(r.FactorData.VerificationToken)
	device := ana.Registered(ana.Polls(registrations, r, "accepted"))
	require.NotContains(t, factorNames(ana), "OneLogin Protect", "what is enrolled is offered no more")

	again := pocket{s, t.TempDir() + "/second.json"}
	status, _, log := again.runs("join", "--base", s.base, "--code", r.FactorData.VerificationToken, "--state", again.state)
	require.NotZero(t, status, "an activation code works once")
	require.NotContains(t, log, r.FactorData.VerificationToken)

	for _, c := range []struct{ decision, status string }{{"approve", "accepted"}, {"deny", "rejected"}, {"not-me", "rejected"}} {
		asked := ana.Activates(device, nil)
		require.Nil(t, asked.ExpiresAt)
		require.Equal(t, "pending", ana.Reads(verifications, asked).Status)
		require.NotEmpty(t, phone.Answers(c.decision))
		ana.Polls(verifications, asked, c.status)
	}

	status, _, log = phone.runs("answer", "--state", phone.state, "approve", "--wait", "0")
	require.Equal(t, 1, status, "nothing is left to answer: %s", log)

	// Without a network, the phone shows a code.
	status, code, log := phone.runs("code", "--state", phone.state)
	require.Zero(t, status, "assent phone code: %s", log)
	otp := fields{"otp": strings.TrimSpace(code), "device_id": device}
	require.Equal(t, "accepted", read[proof](t, ana.Call(http.MethodPost, ana.path("/verifications"), otp), http.StatusOK).Status)
	require.NotEqual(t, "accepted", read[proof](t, ana.Call(http.MethodPost, ana.path("/verifications"), otp), http.StatusOK).Status, "once")
}

func factorNames(u account) []string {
	u.t.Helper()
	var names []string
	for _, f := range read[[]struct{ Name string }](u.t, u.Call(http.MethodGet, u.path("/factors"), nil), http.StatusOK) {
		names = append(names, f.Name)
	}
	return names
}

func TestOneLoginCodesByTextMessage(t *testing.T) {
	t.Parallel()
	s := Together(t)
	t.Run("a phone is enrolled with a code, and asked in the platform's own words", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		r := ana.Enrols("OneLogin SMS", fields{"expires_in": "300"})
		require.Equal(t, "pending", r.Status)
		first := ana.Message(ana.number)
		require.Equal(t, api.ChannelSMS, first.Channel)
		require.Equal(t, "pending", ana.Types(registrations, r, wrong(first.Code)))
		require.Equal(t, "accepted", ana.Types(registrations, r, first.Code))
		phone := ana.Registered(ana.Reads(registrations, r))

		asked := ana.Activates(phone, fields{"expires_in": 300, "custom_message": "{{otp_code}} opens the vault for {{otp_expiry}} minutes."})
		require.NotNil(t, asked.ExpiresAt)
		m := ana.nextMessage(first)
		require.Equal(t, m.Code+" opens the vault for 5 minutes.", m.Text)
		require.Equal(t, "pending", ana.Types(verifications, asked, wrong(m.Code)))
		require.Equal(t, "accepted", ana.Types(verifications, asked, m.Code))
		require.Equal(t, "accepted", ana.Reads(verifications, asked).Status)
		require.NotEqual(t, "accepted", ana.Types(verifications, asked, m.Code), "a code works once")
		require.Equal(t, "accepted", ana.Reads(verifications, asked).Status, "and what was accepted stays so")
	})
	t.Run("a code alone is enough, without the id of the verification", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		phone := ana.Registered(ana.Enrols("OneLogin SMS", fields{"verified": true}))
		require.Empty(t, ana.Messages(ana.number), "a number that the platform vouches for gets no message")
		ana.Activates(phone, nil)
		code := ana.Message(ana.number).Code
		a := ana.Call(http.MethodPost, ana.path("/verifications/"), fields{"otp": code, "device_id": phone})
		require.Equal(t, "accepted", read[proof](t, a, http.StatusOK).Status)
	})
	t.Run("five wrong codes end it", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		phone := ana.Registered(ana.Enrols("OneLogin SMS", fields{"verified": true}))
		asked := ana.Activates(phone, nil)
		right := ana.Message(ana.number).Code
		for range 4 {
			require.Equal(t, "pending", ana.Types(verifications, asked, wrong(right)))
		}
		require.Equal(t, "rejected", ana.Types(verifications, asked, wrong(right)))
		require.Equal(t, "rejected", ana.Types(verifications, asked, right))
		require.Equal(t, "rejected", ana.Reads(verifications, asked).Status)
	})
	t.Run("a removed device is asked no more", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		phone := ana.Registered(ana.Enrols("OneLogin SMS", fields{"verified": true}))
		require.Equal(t, http.StatusOK, ana.Call(http.MethodDelete, ana.path("/devices/"+phone), nil).status)
		require.Empty(t, ana.Devices())
		a := ana.Call(http.MethodPost, ana.path("/verifications"), fields{"device_id": phone})
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "answer: %s", a.body)
		require.Contains(t, string(a.body), `"device_id"`)
		require.Contains(t, factorNames(ana), "OneLogin SMS")
		noMessages(t, ana.story, ana.number)
	})
}

// nextMessage waits for a later one than that.
func (u account) nextMessage(than message) message {
	u.t.Helper()
	var m message
	eventually(u.t, "another message arrives", func() bool {
		m = u.Messages(than.To)[0]
		return m.ID != than.ID
	})
	return m
}

func TestOneLoginVoiceShowsANumberThatIsKeyedIntoTheCall(t *testing.T) {
	t.Parallel()
	s := Together(t)
	t.Run("the right number", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		r := ana.Enrols("OneLogin Voice", nil)
		first := ana.Message(ana.number)
		require.Equal(t, api.ChannelVoice, first.Channel)
		require.Len(t, r.FactorData.VerificationToken, 6)
		require.NotContains(t, strings.ReplaceAll(first.Text, ", ", ""), r.FactorData.VerificationToken, "the call must not say what is to be keyed")
		require.Equal(t, http.StatusOK, ana.Presses(first, r.FactorData.VerificationToken).Status)
		phone := ana.Registered(ana.Polls(registrations, r, "accepted"))

		asked := ana.Activates(phone, nil)
		require.Equal(t, http.StatusOK, ana.Presses(ana.nextMessage(first), asked.FactorData.VerificationToken).Status)
		ana.Polls(verifications, asked, "accepted")
	})
	t.Run("a wrong number refuses", func(t *testing.T) {
		t.Parallel()
		ana := s.in(t).Tenant().Has(somebody(), nil)
		phone := ana.Registered(ana.Enrols("OneLogin Voice", fields{"verified": true}))
		asked := ana.Activates(phone, nil)
		require.Equal(t, http.StatusOK, ana.Presses(ana.Message(ana.number), wrong(asked.FactorData.VerificationToken)).Status)
		ana.Polls(verifications, asked, "rejected")
	})
}

func TestOneLoginAuthenticatorCodesWorkOnce(t *testing.T) {
	t.Parallel()
	ana := Together(t).Tenant().Has(somebody(), nil)
	r := ana.Enrols("Authenticator", nil)
	require.Equal(t, "Google Authenticator", r.AuthFactorName)
	uri, err := url.Parse(r.FactorData.TOTPURL)
	require.NoError(t, err)
	require.Equal(t, "otpauth", uri.Scheme)
	require.Equal(t, r.FactorData.VerificationToken, uri.Query().Get("secret"))
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(r.FactorData.VerificationToken)
	require.NoError(t, err)
	require.Len(t, secret, 20)

	now := device.OneTimeCode(secret, time.Now())
	require.Equal(t, "pending", ana.Types(registrations, r, wrong(now)))
	require.Equal(t, "accepted", ana.Types(registrations, r, now))
	app := ana.Registered(ana.Reads(registrations, r))

	asked := ana.Activates(app, nil)
	require.Equal(t, "pending", ana.Types(verifications, asked, now), "the value was used to enrol")
	next := device.OneTimeCode(secret, time.Now().Add(30*time.Second)) // a clock may run half a minute ahead
	require.Equal(t, "accepted", ana.Types(verifications, asked, next))

	a := ana.Call(http.MethodPost, ana.path("/verifications"), fields{"otp": next, "device_id": app})
	require.NotEqual(t, "accepted", read[proof](t, a, http.StatusOK).Status)
}

// envelope is a body of version 1.
type envelope[T any] struct {
	Status struct {
		Type    string `json:"type"`
		Code    int    `json:"code"`
		Message string `json:"message"`
		Error   bool   `json:"error"`
	} `json:"status"`
	Data T `json:"data"`
}

// legacyDevice is a device of version 1.
type legacyDevice struct {
	ID           int64  `json:"id"`
	DeviceID     int64  `json:"device_id"`
	Active       bool   `json:"active"`
	NeedsTrigger bool   `json:"needs_trigger"`
	StateToken   string `json:"state_token"`
}

func TestOneLoginVersionOneTriggersAndVerifies(t *testing.T) {
	t.Parallel()
	ana := Together(t).Tenant().Has(somebody(), nil)
	enrolled := read[envelope[[]legacyDevice]](t, ana.Call(http.MethodPost, ana.legacy("/otp_devices"), fields{
		"factor_id": ana.Factor("OneLogin SMS"), "display_name": "Ana's phone", "number": ana.number, "verified": false,
	}), http.StatusOK)
	require.Len(t, enrolled.Data, 1)
	phone := enrolled.Data[0]
	require.False(t, phone.Active)
	require.True(t, phone.NeedsTrigger)

	// A code with a letter proves the phone, ...
	state := ana.triggers(phone.ID, nil)
	first := ana.Message(ana.number)
	require.Regexp(t, `^[A-Z][0-9]{5}$`, first.Code)
	require.Equal(t, "success", ana.confirms(phone.ID, strings.ToLower(first.Code), state))
	listed := read[envelope[struct {
		Devices []legacyDevice `json:"otp_devices"`
	}]](t, ana.Call(http.MethodGet, ana.legacy("/otp_devices"), nil), http.StatusOK).Data.Devices
	require.Len(t, listed, 1)
	require.True(t, listed[0].Active)

	// ... and digits in the platform's own words log in.
	state = ana.triggers(phone.ID, fields{"numeric_sms_otp": true, "sms_message": "Key: {{otp_code}}, {{expiration}} min", "state_token_expires_in": "300"})
	m := ana.nextMessage(first)
	require.Regexp(t, `^[0-9]{6}$`, m.Code)
	require.Equal(t, "Key: "+m.Code+", 5 min", m.Text)
	a := ana.Call(http.MethodPost, ana.legacy("/otp_devices/"+number(phone.ID)+"/verify"), fields{"otp_token": wrong(m.Code), "state_token": state})
	require.NotContains(t, string(a.body), `"success"`)
	require.Equal(t, "success", ana.confirms(phone.ID, m.Code, state))
	a = ana.Call(http.MethodPost, ana.legacy("/otp_devices/"+number(phone.ID)+"/verify"), fields{"otp_token": m.Code, "state_token": state})
	require.NotContains(t, string(a.body), `"success"`, "a code works once")
	require.Less(t, a.status, http.StatusInternalServerError)
}

// triggers sends a code, and returns the token that belongs to it.
func (u account) triggers(device int64, body fields) string {
	u.t.Helper()
	var sent any
	if body != nil {
		sent = body
	}
	got := read[envelope[[]legacyDevice]](u.t, u.Call(http.MethodPost, u.legacy("/otp_devices/"+number(device)+"/trigger"), sent), http.StatusOK)
	require.Equal(u.t, "SMS token sent to your mobile device. Authentication pending.", got.Status.Message)
	require.Len(u.t, got.Data, 1)
	require.Equal(u.t, u.id, got.Data[0].ID, "id is the user's")
	require.Equal(u.t, device, got.Data[0].DeviceID)
	require.NotEmpty(u.t, got.Data[0].StateToken)
	return got.Data[0].StateToken
}

// confirms hands a code in, and returns the type of the answer.
func (u account) confirms(device int64, code, state string) string {
	u.t.Helper()
	a := u.Call(http.MethodPost, u.legacy("/otp_devices/"+number(device)+"/verify"), fields{"otp_token": code, "state_token": state})
	return read[envelope[any]](u.t, a, http.StatusOK).Status.Type
}

func TestOneLoginTemporaryCodesStandInForALostDevice(t *testing.T) {
	t.Parallel()
	ana := Together(t).Tenant().Has(somebody(), nil)
	made := read[struct {
		Token    string `json:"mfa_token"`
		Reusable bool
		DeviceID string `json:"device_id"`
	}](t, ana.Call(http.MethodPost, ana.path("/mfa_token"), fields{"expires_in": "300"}), http.StatusOK)
	require.Regexp(t, `^[0-9]{8}$`, made.Token)
	require.Equal(t, "user_temp_otp_"+number(ana.id), made.DeviceID)
	require.Equal(t, "success", ana.confirms(0, made.Token, ""))
	a := ana.Call(http.MethodPost, ana.legacy("/otp_devices/0/verify"), fields{"otp_token": made.Token})
	require.NotContains(t, string(a.body), `"success"`, "it works once, unless it is made reusable")
	require.NotEqual(t, http.StatusUnauthorized, a.status, "the bearer token was good")
}
