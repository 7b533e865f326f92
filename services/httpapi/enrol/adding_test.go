package enrol_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

func TestAPhoneCountsOnceItsCodeWasTyped(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, l := h.invite(u)
	b := h.browser(link)
	s := b.open("").is(http.StatusOK, "How you confirm that it's you", "Nothing is set up yet", "Add a phone number", "Add the web authenticator")
	require.NotContains(t, s.body, u.Email, "whoever else opens it learns no address")
	s = b.open("/add/phone").is(http.StatusOK, "With + and the country code")
	s = b.send(s, "address", "+1 (415) 555-0123", "name", "Private", "by", "text").is(http.StatusOK, "Enter the code", "Sent by text to +1••••••0123")
	require.Equal(t, "+14155550123", h.verifications.Last().To)
	require.Empty(t, h.has(u), "it does not count yet")
	b.open("").is(http.StatusOK, "Not finished yet Private")

	s = b.send(s, "do", "prove", "code", "").is(http.StatusUnprocessableEntity, "Enter the 6-digit code.")
	s = b.send(s, "do", "prove", "code", "12345").is(http.StatusUnprocessableEntity, "The code has 6 digits; you entered 5.")
	s = b.send(s, "do", "prove", "code", wrong(h.code())).is(http.StatusUnprocessableEntity, "That isn't the code we sent. 4 tries left.")
	typed := "٠١٢٣٤٥٦٧٨٩"
	arabic := ""
	for _, c := range h.code() {
		arabic += string([]rune(typed)[c-'0'])
	}
	s = b.send(s, "do", "prove", "code", " "+arabic[:6]+" "+arabic[6:]+"\u200f").is(http.StatusOK, "It was added, and counts from now on.", "Private Default")
	require.NotContains(t, b.open("").text(), "It was added", "it is said once")
	has := h.has(u)
	require.Len(t, has, 1)
	require.Equal(t, "Private", has[0].Name)
	did := h.did(u)
	require.Len(t, did, 1)
	require.Equal(t, []any{audit.DeviceAdded, audit.Person, has[0].ID}, []any{did[0].Action, did[0].Actor, did[0].Subject})
	require.Equal(t, map[string]string{"enrolment_id": l.ID, "kind": "phone"}, did[0].Details)
	require.NotContains(t, s.body, "+14155550123")
}

// wrong is another code than the right one.
func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func TestAnAuthenticatorAppCountsOnceItHasShownACode(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/totp"), "name", "").is(http.StatusOK, "Scan this with the app")
	require.Contains(t, s.body, `role="img" aria-label="QR code with the key for your authenticator app"`)
	key := regexp.MustCompile(`<p class="key"><bdi dir="ltr">([A-Z2-7 ]+)</bdi>`).FindStringSubmatch(s.body)
	require.NotNil(t, key)
	require.Contains(t, s.body, "otpauth://totp/Example%20Bank:")
	require.Contains(t, s.body, "secret="+strings.ReplaceAll(key[1], " ", ""))

	all, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Len(t, all, 1)
	right := device.OneTimeCode(all[0].Secret, h.clock.Now())
	s = b.send(s, "do", "prove", "code", wrong(right)).is(http.StatusUnprocessableEntity, "That isn't the code that the app shows now.")
	b.send(s, "do", "prove", "code", right[:3]+" "+right[3:]).is(http.StatusOK, "It was added", "Authenticator app Default")
	require.Len(t, h.has(u), 1)

	d := h.has(u)[0]
	h.clock.Forward(verification.MinLife)
	v, _, err := verification.New(verification.Params{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: shop, UserID: u.ID, DeviceID: d.ID, Channel: verification.TOTP,
	}, h.clock.Now(), strings.NewReader(strings.Repeat("x", 64)))
	require.NoError(t, err)
	_, _, err = h.verifications.Create(t.Context(), verification.Activation{Verification: v, Client: shop})
	require.NoError(t, err)
	_, valid, err := h.verifications.Check(t.Context(), v.ID, verification.Code(device.OneTimeCode(d.Secret, h.clock.Now())))
	require.NoError(t, err)
	require.True(t, valid, "a client can ask it")
}

func TestTheKeyNamesThePersonInFullOnceTheyHaveProved(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	account := func(s screen) string {
		m := regexp.MustCompile(`otpauth://totp/([^?"]*)`).FindStringSubmatch(s.body)
		require.NotNil(t, m, s.text())
		label, err := url.PathUnescape(html.UnescapeString(m[1]))
		require.NoError(t, err)
		return label
	}
	s := b.send(b.open("/add/totp")).is(http.StatusOK, "Scan this with the app")
	require.Equal(t, "Example Bank:"+u.Email[:1]+"•••@example.com", account(s))
	require.NotContains(t, s.body, u.Username)
	require.NotContains(t, s.body, u.Email)

	d := h.phone(u, "+14155550101", "Private")
	s = b.send(b.open("/add/totp"), "way", d.ID+" sms")
	s = b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "Add an authenticator app")
	require.Equal(t, "Example Bank:"+u.Username, account(b.send(s)))
}
