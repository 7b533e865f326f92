package enrol_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

func TestAddressesThatCannotBeEachHaveTheirSentence(t *testing.T) {
	t.Parallel()
	h := open(t)
	link, _ := h.invite(h.user())
	b := h.browser(link)
	for typed, says := range map[string]string{
		"": "Start with + and the country code", "4155550123": "Start with + and the country code", "+1 415 CALL": "only digits after the +",
		"+999 123456": "no country with this code", "+1 415": "too short", "+1 415 555 0100 0100": "too long", "+1 015 555 0100": "no such phone number",
		"ana@example.com": "This is an email address.", strings.Repeat("+", 2000): "Start with +",
	} {
		s := b.send(b.open("/add/phone"), "address", typed, "by", "text").is(http.StatusUnprocessableEntity, says)
		require.Contains(t, s.body, `aria-invalid="true"`)
	}
	for typed, says := range map[string]string{
		"": "such as ana@example.com", "+14155550123": "This is a phone number.", "ana": "such as ana@example.com", "änne@example.com": "only plain letters",
		"ana@localhost": "What stands after the @", "ana@" + strings.Repeat("x", 260): "too long", `<b>@example.com`: "such as ana@example.com",
	} {
		s := b.send(b.open("/add/mailbox"), "address", typed).is(http.StatusUnprocessableEntity, says)
		require.NotContains(t, s.body, "<b>@")
	}
	b.send(b.open("/add/totp"), "name", strings.Repeat("x", 101)).is(http.StatusUnprocessableEntity, "at most 100")
	require.Zero(t, h.verifications.Count(), "nothing was sent")
	b.send(b.open("/add/phone"), "address", "00 1 415-555‑0199", "by", "text").is(http.StatusOK, "+1••••••0199")
	b.send(b.open("/add/mailbox"), "address", " Ana@Example.com ").is(http.StatusOK, "Sent by email to A•••@example.com")
	require.Equal(t, "Ana@example.com", h.verifications.Last().To)
}

func TestFormsOfOthersChangeNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.open("/add/totp")
	fill := url.Values{"form": {s.form()}, "name": {"x"}}
	b.do(http.MethodPost, link+"/add/totp", fill, "Origin", "https://evil.example").is(http.StatusForbidden, "This didn't come from this page.")
	b.do(http.MethodPost, link+"/add/totp", fill, "Sec-Fetch-Site", "cross-site").is(http.StatusForbidden, "Nothing was changed.")
	b.do(http.MethodPost, link+"/add/totp", url.Values{"form": {"x"}}).is(http.StatusForbidden, "Press once more.", "Try again")
	h.browser(link).do(http.MethodPost, link+"/add/totp", fill).is(http.StatusForbidden, "Press once more.")
	other, _ := h.invite(u)
	h.browser(other).do(http.MethodPost, other+"/add/totp", fill).is(http.StatusForbidden, "Press once more.")
	b.do(http.MethodPost, link, fill).is(http.StatusMethodNotAllowed)
	b.do(http.MethodPut, link+"/add/totp", fill).is(http.StatusMethodNotAllowed)
	b.do(http.MethodPost, link+"/add/totp", url.Values{"form": {s.form()}, "name": {strings.Repeat("x", 9000)}}).is(http.StatusBadRequest)
	all, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Empty(t, all)
	for _, below := range []string{"", "/add/phone", "/add/totp", "/proof", "/done"} {
		b.do(http.MethodHead, link+below, nil)
		s := b.open(below).is(http.StatusOK)
		require.Equal(t, []string{"no-store", "no-referrer", "DENY"}, []string{s.header.Get("Cache-Control"), s.header.Get("Referrer-Policy"), s.header.Get("X-Frame-Options")})
		require.Contains(t, s.header.Get("Content-Security-Policy"), "default-src 'none'")
		require.NotContains(t, s.body, "<script")
		require.NotContains(t, s.body, "style=")
	}
	all, err = h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Empty(t, all, "looking changes nothing")
	cookies := b.client.Jar.Cookies(mustParse(t, link))
	require.Len(t, cookies, 1)
	require.NotContains(t, cookies[0].Value, strings.TrimPrefix(mustParse(t, link).Path, "/enrol/"))
}

func TestLinksThatDoNotWorkSaySo(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, l := h.invite(u, func(l *enrolment.Link) { l.ReturnTo = "https://example.com/settings" })
	b := h.browser(link)
	for _, broken := range []string{link[:len(link)-1], link + "x", h.server.URL + "/enrol/", h.server.URL + "/enrol/x", link + "/add", h.server.URL + "/enrol/" + strings.Repeat("A", 43)} {
		b.do(http.MethodGet, broken, nil).is(http.StatusNotFound, "This link isn't complete or isn't valid.", "Open it again")
	}
	b.open("/add/fax").is(http.StatusNotFound, "This isn't in your list.", "Back to the list")
	b.open("/devices/x").is(http.StatusNotFound, "This isn't in your list.")
	b.open("/devices/"+uuid.NewString()+"/remove").is(http.StatusNotFound, "This isn't in your list.")
	stranger := h.phone(h.user(), "+14155550150", "Theirs")
	b.open("/devices/"+stranger.ID+"/remove").is(http.StatusNotFound, "This isn't in your list.")
	b.submit(mustParse(t, link).Path+"/devices/"+stranger.ID+"/remove", b.open("/add/totp")).is(http.StatusNotFound)
	few, _ := h.invite(u, func(l *enrolment.Link) { l.Kinds = []device.Kind{device.TOTP} })
	h.browser(few).open("/add/phone").is(http.StatusNotFound)
	require.NotContains(t, h.browser(few).open("").text(), "phone number")

	h.away.Store(true)
	s := b.open("").is(http.StatusServiceUnavailable, "Your devices can't be shown right now.", "Try again")
	require.Equal(t, "60", s.header.Get("Retry-After"))
	h.away.Store(false)

	u.Locked = true
	u, err := h.users.UpdateUser(t.Context(), u)
	require.NoError(t, err)
	b.open("").is(http.StatusForbidden, "Your account is locked.", "until Example Bank unlocks it", "Back to example.com")
	u.Locked = false
	_, err = h.users.UpdateUser(t.Context(), u)
	require.NoError(t, err)
	b.open("").is(http.StatusOK)

	require.NoError(t, h.links.Withdraw(t.Context(), l))
	b.open("").is(http.StatusGone, "This link was withdrawn.", "get a new one from Example Bank", "Back to example.com")
	h.clock.Forward(15 * time.Minute)
	h.browser(few).open("/add/totp").is(http.StatusGone, "This link has expired.")
	gone := h.user()
	last, _ := h.invite(gone)
	require.NoError(t, h.users.DeleteUser(t.Context(), shop, gone.ID))
	h.browser(last).open("").is(http.StatusGone, "This link was withdrawn.")
	for _, secret := range []string{link, few, last} {
		require.NotContains(t, h.log.String(), strings.TrimPrefix(mustParse(t, secret).Path, "/enrol/"))
	}
}

func TestWhatCannotBeSentIsSaidAndLeavesNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	h.phone(u, "+14155550101", "Private")
	fresh := h.user()
	link, _ := h.invite(fresh)
	b := h.browser(link)
	h.silence.All.Store(true)
	b.send(b.open("/add/phone"), "address", "+14155550160", "by", "text").
		is(http.StatusUnprocessableEntity, "on the list of those that get no messages", "ask Example Bank")
	h.silence.All.Store(false)
	all, err := h.users.Devices(t.Context(), shop, fresh.ID)
	require.NoError(t, err)
	require.Empty(t, all)

	s := b.send(b.open("/add/phone"), "address", "+14155550161", "by", "text").is(http.StatusOK)
	for i := 0; s.status == http.StatusOK && i < 10; i++ {
		s = b.send(s, "do", "again")
	}
	s.is(http.StatusTooManyRequests, "Try again at ")
	require.NotEmpty(t, s.header.Get("Retry-After"))
	require.Contains(t, s.text(), "Enter the code", "the one before can still be typed")
}

func TestTooManyDevicesAndTheSameTwice(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/phone"), "address", "+14155550170", "by", "text")
	b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "It was added")
	for _, by := range []string{"text", "call"} {
		b.send(b.open("/add/phone"), "address", "+1 415 555 0170", "by", by).is(http.StatusUnprocessableEntity, "You have this one already.")
	}
	for i := range 49 {
		h.phone(u, "+1415555"+string(rune('1'+i/10))+"00"+string(rune('0'+i%10)), "")
	}
	b.send(b.open("/add/totp")).is(http.StatusUnprocessableEntity, "You have 50 devices", "Remove one")
}

func TestWrongAndExpiredCodesAreTwoThings(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/mailbox"), "address", "ana@example.com").is(http.StatusOK, "Sent by email")
	old := h.code()
	h.clock.Forward(verification.DefaultLife)
	s = b.send(s, "do", "prove", "code", old).is(http.StatusOK, "That code has expired.", "Send a new code")
	s = b.send(s, "do", "again").is(http.StatusOK, "A new one is on its way.")
	require.NotEqual(t, old, h.code())
	for range 4 {
		s = b.send(s, "do", "prove", "code", wrong(h.code())).is(http.StatusUnprocessableEntity)
	}
	s = b.send(s, "do", "prove", "code", wrong(h.code())).is(http.StatusOK, "Too many wrong codes. Start again to get a new one.")
	s = b.send(s, "do", "again").is(http.StatusOK)
	s = b.send(s, "do", "again").is(http.StatusOK, "It was sent again. The same code works.")
	b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "It was added")

	s = b.send(b.open("/add/totp")).is(http.StatusOK)
	all, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	begun := all[0]
	require.False(t, begun.Active())
	right := device.OneTimeCode(begun.Secret, h.clock.Now())
	for range 5 {
		s = b.send(s, "do", "prove", "code", wrong(right)).is(http.StatusUnprocessableEntity)
	}
	b.send(s, "do", "prove", "code", right).is(http.StatusGone, "Too late for this one.", "Back to the list")
	require.Len(t, h.has(u), 1)
}

func TestACallIsAnsweredWithTheNumberOnThePage(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/phone"), "address", "+14155550123", "name", "Desk", "by", "call").is(http.StatusOK, "Answer the call")
	a := h.verifications.Last()
	number := a.Secrets.Number.Reveal()
	require.Contains(t, s.text(), number[:3]+" "+number[3:])
	require.Equal(t, verification.Voice, a.Verification.Channel)
	require.Regexp(t, `^3; url=/enrol/[^?]+/devices/`+s.url.Path[len(s.url.Path)-36:]+`\?n=1$`, s.header.Get("Refresh"))
	require.Empty(t, b.do(http.MethodGet, s.url.String()+"?still=1", nil).is(http.StatusOK, "Check now").header.Get("Refresh"), "the person can stop it")
	require.Empty(t, b.do(http.MethodGet, s.url.String()+"?n=200", nil).header.Get("Refresh"), "it stops by itself")

	_, err := h.verifications.Resolve(t.Context(), a.Verification.ID, verification.Answered{Decision: verification.Approve, Number: []byte("wrong")})
	require.NoError(t, err)
	s = b.do(http.MethodGet, s.url.String(), nil).is(http.StatusOK, "The call ended without the right number.", "Call again")
	require.Empty(t, s.header.Get("Refresh"))
	s = b.send(s, "do", "again").is(http.StatusOK, "A new one is on its way.")
	a = h.verifications.Last()
	_, err = h.verifications.Resolve(t.Context(), a.Verification.ID, verification.Answered{Decision: verification.Approve, Number: hash(t, h, a)})
	require.NoError(t, err)
	b.do(http.MethodGet, s.url.String()+"?n=1", nil).is(http.StatusOK, "It was added", "Desk Default")
	require.Equal(t, device.VoiceMatch, h.has(u)[0].Factor)
}

func TestTheWebAuthenticatorCountsOnceItHasJoined(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, l := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/push")).is(http.StatusOK, "Scan this with your phone", "On this device: open the authenticator")
	_, code, ok := strings.Cut(s.body, `/authenticator/#join=`)
	require.True(t, ok)
	code, _, _ = strings.Cut(code, `"`)
	require.Contains(t, s.text(), "Or type this code there: "+code)
	require.Contains(t, s.header.Get("Refresh"), "3; url=")
	joined, err := h.enrolments.Join(t.Context(), code, enrolment.Phone{Platform: device.WebPush, PublicKey: []byte("key")})
	require.NoError(t, err)
	require.Equal(t, "Web authenticator", joined.Device.Name)
	require.Equal(t, "Example Bank", joined.Brand)
	b.do(http.MethodGet, s.url.String()+"?n=3", nil).is(http.StatusOK, "It was added", "Web authenticator Default")
	require.Equal(t, l.ID, h.did(u)[0].Details["enrolment_id"])

	// What was begun leaves with its cancel, and its code with it.
	other := h.user()
	link, _ = h.invite(other)
	b = h.browser(link)
	s = b.send(b.open("/add/push"))
	_, code, _ = strings.Cut(s.body, `/authenticator/#join=`)
	code, _, _ = strings.Cut(code, `"`)
	b.send(s, "do", "cancel").is(http.StatusOK, "Canceled. Nothing was added.")
	_, err = h.enrolments.Join(t.Context(), code, enrolment.Phone{Platform: device.WebPush, PublicKey: []byte("key")})
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestBeginningAnewDropsWhatWasBegun(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	b.send(b.open("/add/phone"), "address", "+14155550123", "by", "text")
	s := b.send(b.open("/add/phone"), "address", "+14155550123", "name", "Desk", "by", "text")
	s = b.send(s, "do", "call").is(http.StatusOK, "Answer the call")
	require.Contains(t, s.body, "<title>"+h.verifications.Last().Secrets.Number.Reveal()[:3])
	all, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "Desk", all[0].Name)
	require.Equal(t, s.url.Path, mustParse(t, link).Path+"/devices/"+all[0].ID)
}

// Somebody who began with an empty list and finishes later meets whoever added a device meanwhile.
func TestWhatBeganAsTheFirstNeedsAProofOnceThereIsAnother(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/phone"), "address", "+14155550166", "by", "text").is(http.StatusOK)
	h.phone(u, "+14155550101", "Private")
	b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "First, show that it's you")
	require.Len(t, h.has(u), 1)
}

func TestTheLanguageStaysOnTheWay(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u, func(l *enrolment.Link) { l.Locale, l.Brand = "de-AT", "" })
	b := h.browser(link)
	b.open("").is(http.StatusOK, "So bestätigen Sie, dass Sie es sind")
	s := b.open("/add/phone?lang=ar").is(http.StatusOK, "إضافة رقم هاتف")
	require.Contains(t, s.body, `<html lang="ar" dir="rtl">`)
	s = b.send(s, "address", "+١ ٤١٥ ٥٥٥ ٠١٩٨", "by", "text").is(http.StatusOK, "أدخل الرمز")
	require.Equal(t, []string{"+14155550198", "ar"}, []string{h.verifications.Last().To, h.verifications.Last().Verification.Locale})
	b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "تمت الإضافة")
	require.NotContains(t, b.open("").text(), "{")
}

func TestWhereTheClientComesBackIn(t *testing.T) {
	t.Parallel()
	h := open(t)
	link, _ := h.invite(h.user(), func(l *enrolment.Link) { l.ReturnTo = "https://example.com:8443/settings?tab=2" })
	s := h.browser(link).open("/done").is(http.StatusOK, "All done", "Back to example.com:8443")
	require.Contains(t, s.body, `href="https://example.com:8443/settings?tab=2" rel="noreferrer"`)
	require.Contains(t, s.body, `Back to <bdi dir="ltr">example.com:8443</bdi>`)
}

func TestTheStylesheetIsKeptByItsHash(t *testing.T) {
	t.Parallel()
	h := open(t)
	link, _ := h.invite(h.user())
	b := h.browser(link)
	_, path, _ := strings.Cut(b.open("").body, `<link rel="stylesheet" href="`)
	path, _, _ = strings.Cut(path, `"`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+path, http.NoBody)
	require.NoError(t, err)
	res, err := b.client.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, res.Header.Get("Cache-Control"), "immutable")
	require.Contains(t, string(body), "prefers-color-scheme: dark")
}
