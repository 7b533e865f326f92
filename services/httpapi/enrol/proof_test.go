package enrol_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/verification"
)

func TestWhoHasADeviceProvesItBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	first := h.phone(u, "+14155550101", "Private")
	second := h.phone(u, "+14155550102", "Work")
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.open("").is(http.StatusOK, "Private Default Phone number · +1••••••0101", "Work Phone number")
	for _, below := range []string{
		"/add/phone", "/add/push", "/devices/" + first.ID + "/rename", "/devices/" + first.ID + "/remove", "/devices/" + second.ID + "/default",
	} {
		b.open(below).is(http.StatusOK, "First, show that it's you", "Text a code to Private", "Call Work")
		if below != "/add/push" {
			b.submit(s.url.Path+below, s, "name", "Mine", "address", "+14155550177").is(http.StatusOK, "First, show that it's you")
		}
	}
	require.Len(t, h.has(u), 2)
	require.Zero(t, h.verifications.Count())

	s = b.open("/devices/" + second.ID + "/rename")
	s = b.send(s, "way", second.ID+" sms").is(http.StatusOK, "Enter the code", "Sent by text to +1••••••0102")
	require.Equal(t, "+14155550102", h.verifications.Last().To)
	s = b.send(s, "do", "prove", "code", wrong(h.code())).is(http.StatusUnprocessableEntity, "That isn't the code we sent. 4 tries left.")
	s = b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "Rename Work", "You can go on for 10 minutes.")
	s = b.send(s, "name", " ").is(http.StatusUnprocessableEntity, "Enter a name.")
	s = b.send(s, "name", "a\u202eb").is(http.StatusUnprocessableEntity, "ordinary characters")
	s = b.send(s, "name", " Office ").is(http.StatusOK, "It was renamed.", "Office Phone number")
	s = b.submit(s.action(second.ID+"/default"), s).is(http.StatusOK, "It is asked first from now on.", "Office Default")
	s = b.open("/devices/"+first.ID+"/remove").is(http.StatusOK, "Remove Private?", "The others stay")
	s = b.send(s).is(http.StatusOK, "It was removed.")
	require.Len(t, h.has(u), 1)

	h.clock.Forward(10*time.Minute - time.Second)
	b.open("/add/phone").is(http.StatusOK, "Add a phone number")
	h.clock.Forward(time.Second)
	s = b.open("/devices/"+second.ID+"/remove").is(http.StatusOK, "First, show that it's you")
	require.Equal(t, "devices/"+second.ID+"/remove", s.url.Query().Get("then"))
	s = b.send(s, "way", second.ID+" voice").is(http.StatusOK, "We are calling +1••••••0102.")
	s = b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "Remove Office?", "It is the only one you have.")
	b.send(s).is(http.StatusOK, "nothing is set up now", "Nothing is set up yet")
	require.Empty(t, h.has(u))

	var did []audit.Action
	for _, e := range h.did(u) {
		did = append(did, e.Action)
		require.Equal(t, audit.Person, e.Actor)
		require.NotEmpty(t, e.Details["enrolment_id"])
	}
	require.Equal(t, []audit.Action{audit.DeviceRemoved, audit.DeviceRemoved, audit.DevicesOrdered, audit.DeviceRenamed}, did)
}

func TestAProofIsOfOneLinkAndOneBrowser(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.phone(u, "+14155550101", "Private")
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/totp"), "way", d.ID+" sms")
	b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "Add an authenticator app")
	jar := b.client.Jar.Cookies(mustParse(t, link))
	require.Len(t, jar, 1)

	h.browser(link).open("/add/totp").is(http.StatusOK, "First, show that it's you")
	other, _ := h.invite(u)
	thief := h.browser(other)
	thief.client.Jar.SetCookies(mustParse(t, other), jar)
	thief.open("/add/totp").is(http.StatusOK, "First, show that it's you")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link+"/add/totp", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Cookie", strings.Replace(jar[0].String(), ".", ".x", 1))
	res, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, res.Header.Get("Location"), "/proof?then=add%2Ftotp", "a cookie that was changed proves nothing")
}

func mustParse(t *testing.T, link string) *url.URL {
	t.Helper()
	u, err := url.Parse(link)
	require.NoError(t, err)
	return u
}

func TestAProofLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	h := open(t)
	for _, to := range []string{"https://evil.example/", "//evil.example", "../../evil", "add/fax", ""} {
		u := h.user()
		d := h.phone(u, "+1415555010"+strconv.Itoa(len(to)%10), "")
		link, _ := h.invite(u)
		b := h.browser(link)
		s := b.send(b.open("/proof?then="+url.QueryEscape(to)), "way", d.ID+" sms").is(http.StatusOK, "Enter the code")
		s = b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "How you confirm that it's you")
		require.Equal(t, mustParse(t, link).Path, s.url.Path)
	}
}

func TestACodeOfTheAppProvesToo(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	secret, err := device.NewSecret(strings.NewReader("a secret of twenty b"))
	require.NoError(t, err)
	d := h.phone(u, "+14155550101", "x")
	require.NoError(t, h.users.DeleteDevice(t.Context(), shop, d.ID))
	d.Kind, d.Factor, d.Address, d.Secret, d.Name, d.Number = device.TOTP, device.AppCode, "", secret, "Codes", 0
	d, err = h.users.CreateDevice(t.Context(), d)
	require.NoError(t, err)
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/phone"), "way", d.ID+" totp").is(http.StatusOK, "Open Codes and enter the code that it shows.")
	s = b.send(s, "do", "prove", "code", wrong(device.OneTimeCode(secret, h.clock.Now()))).is(http.StatusUnprocessableEntity, "That isn't the code that the app shows now.")
	b.send(s, "do", "prove", "code", device.OneTimeCode(secret, h.clock.Now())).is(http.StatusOK, "Add a phone number")

	b = h.browser(link)
	s = b.send(b.open("/add/phone"), "way", d.ID+" totp")
	for range 3 {
		s = b.send(s, "do", "prove", "code", wrong(device.OneTimeCode(secret, h.clock.Now()))).is(http.StatusUnprocessableEntity)
	}
	next := device.OneTimeCode(secret, h.clock.Now().Add(30*time.Second))
	s = b.send(s, "do", "prove", "code", next)
	s.is(http.StatusTooManyRequests, "Too many wrong codes. Try again at ", "or use another way", "Another way")
	right, err := h.users.CheckCode(t.Context(), shop, d.ID, verification.Code(next))
	require.NoError(t, err)
	require.True(t, right, "whoever has the link only leaves the person some")
	h.clock.Forward(10 * time.Minute)
	b = h.browser(link)
	s = b.send(b.open("/add/phone"), "way", d.ID+" totp")
	b.send(s, "do", "prove", "code", device.OneTimeCode(secret, h.clock.Now())).is(http.StatusOK, "Add a phone number")
}

func TestARecoveryCodeProvesOnceAndSaysHowManyAreLeft(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	told, err := recovery.NewCodes(strings.NewReader(strings.Repeat("some random bytes of a test. ", 100)))
	require.NoError(t, err)
	var plain []verification.Code
	for _, c := range told {
		_, p, _ := recovery.Read(c.Reveal())
		plain = append(plain, p)
	}
	require.NoError(t, h.users.ReplaceRecoveryCodes(t.Context(), shop, u.ID, plain, h.clock.Now()))
	link, l := h.invite(u)
	b := h.browser(link)
	b.open("/add/phone").is(http.StatusOK, "First, show that it's you", "Use a recovery code")
	s := b.open("/proof?then=add%2Fphone&way=recovery").is(http.StatusOK, "12 letters and digits")
	s = b.send(s, "recovery", "123").is(http.StatusUnprocessableEntity, "Enter all 12 letters and digits")
	s = b.send(s, "recovery", "ZZZZ-ZZZZ-ZZZZ").is(http.StatusUnprocessableEntity, "That isn't one of your recovery codes")
	b.send(s, "recovery", strings.ToLower(told[0].Reveal())).is(http.StatusOK, "Add a phone number", "Codes left: 9.")
	did := h.did(u)
	require.Equal(t, audit.UserRecovered, did[0].Action)
	require.Equal(t, map[string]string{"kind": "recovery_code", "codes_left": "9", "enrolment_id": l.ID}, did[0].Details)

	b = h.browser(link)
	s = b.open("/proof?then=add%2Fphone&way=recovery")
	for range 3 {
		s = b.send(s, "recovery", told[0].Reveal()).is(http.StatusUnprocessableEntity, "or it was used before")
	}
	s = b.send(s, "recovery", told[1].Reveal()).is(http.StatusTooManyRequests, "Too many wrong codes. Try again at ")
	require.NotEmpty(t, s.header.Get("Retry-After"))
	kind, code, _ := recovery.Read(told[1].Reveal())
	found, err := h.users.Recover(t.Context(), shop, u.ID, kind, code)
	require.NoError(t, err)
	require.True(t, found.Valid(), "whoever has the link only leaves the person some")
}

// bypass gives somebody a bypass token, "t1", which works once.
func (h *house) bypass(u device.User) verification.Code {
	h.t.Helper()
	told, err := recovery.NewToken(strings.NewReader(strings.Repeat(u.ID, 10)))
	require.NoError(h.t, err)
	_, plain, ok := recovery.Read(told.Reveal())
	require.True(h.t, ok)
	token := recovery.BypassToken{ID: "t1", Reason: "lost", ExpiresAt: h.clock.Now().Add(time.Hour), UsesLeft: 1}
	require.NoError(h.t, h.users.AddBypassToken(h.t.Context(), shop, u.ID, token, plain))
	return told
}

func TestABypassTokenProvesForWhoLostEverything(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	h.phone(u, "+14155550101", "Lost")
	link, _ := h.invite(u)
	b := h.browser(link)
	require.NotContains(t, b.open("/add/totp").text(), "recovery code")
	told := h.bypass(u)
	b.open("/add/totp").is(http.StatusOK, "Use a recovery code")
	s := b.open("/proof?then=add%2Ftotp&way=recovery").is(http.StatusOK, "A code that somebody gave you has 16.")
	b.send(s, "recovery", told.Reveal()).is(http.StatusOK, "Add an authenticator app", "You can go on for 10 minutes.")
	require.Equal(t, map[string]string{"kind": "bypass_token", "token_id": "t1", "uses_left": "0", "enrolment_id": h.did(u)[0].Details["enrolment_id"]}, h.did(u)[0].Details)

	none := h.user() // who has a token and nothing else needs none
	h.bypass(none)
	link, _ = h.invite(none)
	h.browser(link).open("/add/totp").is(http.StatusOK, "Add an authenticator app")
}

func TestAnApprovalOnThePhoneProvesWithItsNumber(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.app(u)
	link, _ := h.invite(u)
	b := h.browser(link)
	ask := func() verification.Activation {
		s := b.send(b.open("/proof?other=1&then=add%2Ftotp"), "way", d.ID+" push").is(http.StatusOK, "Approve on Browser", "Enter this number there:")
		a := h.verifications.Last()
		require.Contains(t, s.text(), a.Secrets.Number.Reveal())
		require.Contains(t, s.header.Get("Refresh"), "3; url=")
		require.Equal(t, "Change your devices", a.Verification.Context.Action)
		return a
	}
	a := ask()
	_, err := h.verifications.Resolve(t.Context(), a.Verification.ID, verification.Answered{Decision: verification.Deny})
	require.NoError(t, err)
	b.open("/proof?then=add%2Ftotp").is(http.StatusOK, "The request was refused, so nothing was changed.", "Approve on Browser")
	ask()
	h.clock.Forward(verification.DefaultLife)
	b.open("/proof?then=add%2Ftotp").is(http.StatusOK, "Nobody answered in time.")
	link, _ = h.invite(u)
	b = h.browser(link)
	a = ask()
	_, err = h.verifications.Resolve(t.Context(), a.Verification.ID, verification.Answered{
		Decision: verification.Approve, Number: hash(t, h, a),
	})
	require.NoError(t, err)
	b.open("/proof?then=add%2Ftotp").is(http.StatusOK, "Add an authenticator app", "You can go on for 10 minutes.")
}

func hash(t *testing.T, h *house, a verification.Activation) []byte {
	t.Helper()
	sum, err := h.verifications.NumberHash(t.Context(), a.Verification.ID, a.Secrets.Number.Reveal())
	require.NoError(t, err)
	return sum
}

// Removing what somebody has must not open their account to whoever has the link.
func TestALinkThatSawADeviceNeedsAProofForGood(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.phone(u, "+14155550101", "Private")
	link, _ := h.invite(u)
	thief := h.browser(link)
	thief.open("").is(http.StatusOK, "Private")
	require.NoError(t, h.users.DeleteDevice(t.Context(), shop, d.ID))
	thief.open("/add/totp").is(http.StatusForbidden, "Nothing is left to show that it's you.", "Ask Example Bank for a new one.", "Back to the list")
	s := thief.open("").is(http.StatusOK, "Nothing is set up yet")
	thief.submit(s.url.Path+"/add/totp", thief.open("/proof?way=recovery"), "name", "x").is(http.StatusForbidden, "Nothing is left")
	require.Empty(t, h.has(u))

	h.bypass(u)
	thief.open("/add/totp").is(http.StatusOK, "First, show that it's you", "Use a recovery code")

	codes := h.user()
	require.NoError(t, h.users.ReplaceRecoveryCodes(t.Context(), shop, codes.ID, []verification.Code{"ABCDEFGHJKMN"}, h.clock.Now()))
	link, _ = h.invite(codes)
	b := h.browser(link)
	b.open("").is(http.StatusOK)
	require.NoError(t, h.users.ReplaceRecoveryCodes(t.Context(), shop, codes.ID, nil, h.clock.Now()))
	b.open("/add/totp").is(http.StatusForbidden, "Nothing is left to show that it's you.")

	fresh, _ := h.invite(u)
	h.browser(fresh).open("/add/totp").is(http.StatusOK, "Add an authenticator app")
}

func TestWhoRemovesTheirLastDeviceGoesOnAndNobodyElse(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.phone(u, "+14155550101", "Private")
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/devices/"+d.ID+"/remove"), "way", d.ID+" sms")
	s = b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "Remove Private?")
	b.send(s).is(http.StatusOK, "nothing is set up now")
	h.browser(link).open("/add/totp").is(http.StatusForbidden, "Nothing is left to show that it's you.")
	b.open("/add/totp").is(http.StatusOK, "Add an authenticator app")
	h.phone(u, "+14155550102", "Somebody's")
	b.open("/add/totp").is(http.StatusOK, "First, show that it's you")
}

func TestAProofCountsWhileItsDeviceDoes(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	stolen := h.phone(u, "+14155550101", "Stolen")
	h.phone(u, "+14155550102", "Kept")
	link, _ := h.invite(u)
	thief := h.browser(link)
	s := thief.send(thief.open("/add/totp"), "way", stolen.ID+" sms")
	s = thief.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "Add an authenticator app")
	require.NoError(t, h.users.DeleteDevice(t.Context(), shop, stolen.ID))
	thief.send(s, "name", "x").is(http.StatusOK, "First, show that it's you", "Text a code to Kept")
	require.Len(t, h.has(u), 1)
}
