package enrol_test

import (
	"context"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// What a stolen device began ends with it, in whatever way it would come to count.
func TestWhatWasBegunWithAProofEndsWithTheDeviceThatProved(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	stolen := h.phone(u, "+14155550101", "Stolen")
	kept := h.phone(u, "+14155550102", "Kept")
	link, _ := h.invite(u)
	thief := h.browser(link)
	s := thief.send(thief.open("/add/push"), "way", stolen.ID+" sms")
	s = thief.send(s, "do", "prove", "code", h.code()).is(http.StatusOK)
	s = thief.send(s, "name", "x").is(http.StatusOK, "Scan this with your phone")
	code := regexp.MustCompile(`#join=([0-9A-Z-]+)`).FindStringSubmatch(s.body)[1]
	require.NoError(t, h.users.DeleteDevice(t.Context(), shop, stolen.ID))
	_, err := h.enrolments.Join(t.Context(), code, enrolment.Phone{Name: "x", Platform: device.WebPush, PublicKey: []byte("key")})
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.Len(t, h.has(u), 1)

	// The same browser, after another proof, is told why, and begins anew.
	again := thief.do(http.MethodGet, s.url.String(), nil).is(http.StatusOK, "First, show that it's you")
	again = thief.send(again, "way", kept.ID+" sms")
	again = thief.send(again, "do", "prove", "code", h.code()).is(http.StatusOK, "What you proved yourself with was removed since.")
	thief.send(again, "do", "anew").is(http.StatusOK, "Add the web authenticator")
}

// The log was away in the moment in which the first device was to count: the person says it again.
func TestAFirstDeviceThatCouldNotBeWrittenDownIsFinished(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	adding := h.enrolments.Adding
	h.enrolments.Adding = func(context.Context, device.Device) error { return verification.ErrUnavailable }
	link, _ := h.invite(u)
	b := h.browser(link)
	s := b.send(b.open("/add/phone"), "address", "+14155550101", "by", "text").is(http.StatusOK, "Enter the code")
	other := h.browser(link)
	s = b.send(s, "do", "prove", "code", h.code()).is(http.StatusServiceUnavailable, "Nothing was saved.")
	require.Empty(t, h.has(u))
	h.enrolments.Adding = adding
	other.do(http.MethodGet, s.url.String(), nil).is(http.StatusForbidden, "Nothing is left to show that it's you.")
	b.do(http.MethodGet, s.url.String(), nil).is(http.StatusOK, "It was added")
	require.Len(t, h.has(u), 1)
}
