package enrol_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// joinCode is the activation code that a page shows.
func (s screen) joinCode() string {
	s.t.Helper()
	_, code, ok := strings.Cut(s.body, `/authenticator/#join=`)
	require.True(s.t, ok, s.text())
	code, _, _ = strings.Cut(code, `"`)
	return code
}

// secretless checks that a page tells nothing that another device could be finished with.
func (s screen) secretless() screen {
	s.t.Helper()
	require.NotContains(s.t, s.body, "#join=")
	require.NotContains(s.t, s.body, "secret=")
	require.NotContains(s.t, s.body, `class="key"`)
	return s
}

func TestWhatWasBegunIsNotShownToWhoHasTheLinkOnly(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.phone(u, "+14155550101", "Private")
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/push"), "way", d.ID+" sms")
	b.send(s, "do", "prove", "code", h.code())
	for _, kind := range []string{"push", "totp"} {
		begun := b.send(b.open("/add/"+kind)).is(http.StatusOK, "Scan this")
		below := strings.TrimPrefix(begun.url.Path, mustParse(t, link).Path)
		thief := h.browser(link)
		thief.open(below).is(http.StatusOK, "First, show that it's you").secretless()
		b.open(below).is(http.StatusOK, "Scan this")
	}
}

func TestWhatWasBegunAsTheFirstIsFinishedInItsBrowserOnly(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	for _, kind := range []string{"push", "totp", "phone"} {
		b := h.browser(link)
		begun := b.send(b.open("/add/"+kind), "address", "+14155550188", "by", "text").is(http.StatusOK)
		below := strings.TrimPrefix(begun.url.Path, mustParse(t, link).Path)
		require.Contains(t, b.open("").body, `href="`+begun.url.Path+`"`)

		other := h.browser(link)
		list := other.open("").is(http.StatusOK, "Not finished yet", "Cancel")
		require.NotContains(t, list.body, `href="`+begun.url.Path+`"`, "there is nothing to continue here")
		s := other.open(below).is(http.StatusOK, "This was begun in another browser.", "Only that browser can finish it.", "Begin again").secretless()
		for _, do := range []string{"prove", "again", "call"} {
			other.send(s, "do", do, "code", "123456").is(http.StatusOK, "This was begun in another browser.").secretless()
		}
		b.open(below).is(http.StatusOK)
		if kind == "phone" {
			require.Equal(t, 1, h.verifications.Count(), "nothing more was sent")
		}
		other.send(s, "do", "anew").is(http.StatusOK, "Add ")
		b.open(below).is(http.StatusNotFound, "This isn't in your list.")
	}
	all, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestWhoProvesElsewhereBeginsAnew(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	begun := h.browser(link)
	s := begun.send(begun.open("/add/totp")).is(http.StatusOK, "Scan this")
	below := strings.TrimPrefix(s.url.Path, mustParse(t, link).Path)
	d := h.phone(u, "+14155550101", "Private")
	b := h.browser(link)
	list := b.open("").is(http.StatusOK)
	b.submit(s.url.Path, list, "do", "anew").is(http.StatusOK, "First, show that it's you")
	s = b.send(b.open(below), "way", d.ID+" sms")
	s = b.send(s, "do", "prove", "code", h.code()).is(http.StatusOK, "This was begun in another browser.").secretless()
	b.send(s, "do", "anew").is(http.StatusOK, "Add an authenticator app")
	require.Equal(t, []device.Kind{device.Phone}, []device.Kind{h.has(u)[0].Kind})
}

// Whoever had the link before there was any device may have begun one each way that counts without another look of the page.
func TestWhatWasBegunAsTheFirstCountsNoMoreOnceThereIsAnother(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	thief := h.browser(link)
	join := thief.send(thief.open("/add/push")).is(http.StatusOK, "Scan this")
	call := thief.send(thief.open("/add/phone"), "address", "+14155550166", "by", "call").is(http.StatusOK, "Answer the call")
	keyed := h.verifications.Last()
	secret := thief.send(thief.open("/add/totp")).is(http.StatusOK, "Scan this")
	d := h.phone(u, "+14155550101", "Private")

	_, err := h.enrolments.Join(t.Context(), join.joinCode(), enrolment.Phone{Platform: device.WebPush, PublicKey: []byte("key")})
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.NotErrorAs(t, err, new(*enrolment.EndedError), "it is told no more than of a link that was withdrawn")
	_, err = h.verifications.Resolve(t.Context(), keyed.Verification.ID, verification.Answered{Decision: verification.Approve, Number: hash(t, h, keyed)})
	require.NoError(t, err)
	thief.open("").is(http.StatusOK, "Not finished yet")
	require.Len(t, h.has(u), 1)

	s := thief.send(thief.open("/proof"), "way", d.ID+" sms")
	thief.send(s, "do", "prove", "code", h.code()).is(http.StatusOK)
	for _, begun := range []screen{join, call, secret} {
		below := strings.TrimPrefix(begun.url.Path, mustParse(t, link).Path)
		s := thief.open(below).is(http.StatusOK, "This one can't be finished any more.", "something else was added since").secretless()
		thief.send(s, "do", "prove", "code", "123456").is(http.StatusOK, "This one can't be finished any more.")
		thief.send(s, "do", "anew").is(http.StatusOK, "Add ")
	}
	require.Len(t, h.has(u), 1)
	s = thief.send(thief.open("/add/push")).is(http.StatusOK, "Scan this")
	_, err = h.enrolments.Join(t.Context(), s.joinCode(), enrolment.Phone{Platform: device.WebPush, PublicKey: []byte("key")})
	require.NoError(t, err, "what is begun with a proof counts")
}

func TestALinkBeginsThirtyDevicesAtMost(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.open("/add/push")
	for range 30 {
		b.send(s).is(http.StatusOK, "Scan this")
	}
	b.send(s).is(http.StatusTooManyRequests, "Too much was begun with this link.", "ask Example Bank for a new link", "Back to the list")
	other := h.browser(link)
	other.send(other.open("/add/totp")).is(http.StatusTooManyRequests, "Too much was begun")
	all, err := h.users.Devices(t.Context(), shop, u.ID)
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestTheCodeOfADroppedDeviceIsRemovedWithIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	link, l := h.invite(u)
	b := h.browser(link)
	ticket := func(s screen) error {
		_, err := h.tickets.Look(t.Context(), "join", strings.ReplaceAll(s.joinCode(), "-", ""))
		return err
	}
	first := b.send(b.open("/add/push"))
	require.NoError(t, ticket(first))
	second := b.send(b.open("/add/push")) // which takes its place
	require.ErrorIs(t, ticket(first), verification.ErrNotFound)
	require.NoError(t, ticket(second))
	b.send(second, "do", "cancel")
	require.ErrorIs(t, ticket(second), verification.ErrNotFound)
	third := b.send(b.open("/add/push"))
	require.NoError(t, ticket(third))
	require.NoError(t, h.links.Withdraw(t.Context(), l))
	require.ErrorIs(t, ticket(third), verification.ErrNotFound)
}
