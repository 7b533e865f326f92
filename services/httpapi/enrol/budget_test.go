package enrol_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// app registers a phone that takes pushes.
func (h *house) app(u device.User) device.Device {
	h.t.Helper()
	d, err := h.users.CreateDevice(h.t.Context(), device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: shop, Kind: device.Push, Platform: device.WebPush,
		PublicKey: []byte("key"), Address: "token-" + uuid.NewString(), Name: "Browser", CreatedAt: h.clock.Now().UTC(),
	})
	require.NoError(h.t, err)
	return d
}

// asks is a push approval of the client's.
func (h *house) asks(u device.User, d device.Device) string {
	h.t.Helper()
	v, secrets, err := verification.New(verification.Params{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: shop, UserID: u.ID, DeviceID: d.ID, Channel: verification.Push,
		Challenge: verification.ApprovalChallenge, NumberLength: verification.MatchedDigits, ToMasked: "push",
	}, h.clock.Now(), strings.NewReader(strings.Repeat("x", 200)))
	require.NoError(h.t, err)
	_, _, err = h.verifications.Create(h.t.Context(), verification.Activation{
		Verification: v, Secrets: secrets, Client: shop, To: d.Address, Platform: d.Platform, PublicKey: d.PublicKey,
	})
	require.NoError(h.t, err)
	return v.ID
}

func TestAPushOfThePageLeavesWhatTheClientAsksOpen(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.app(u)
	link, _ := h.invite(u)
	b := h.browser(link)
	asked := h.asks(u, d)
	sent := h.verifications.Count()
	b.send(b.open("/proof"), "way", d.ID+" push").
		is(http.StatusUnprocessableEntity, "Another request is open on your devices. Answer that first", "Approve on Browser")
	require.Equal(t, sent, h.verifications.Count())
	v, err := h.verifications.Get(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, verification.Pending, v.Status)

	_, err = h.verifications.Resolve(t.Context(), asked, verification.Answered{Decision: verification.Deny})
	require.NoError(t, err)
	b.send(b.open("/proof"), "way", d.ID+" push").is(http.StatusOK, "Enter this number there:")
	b.send(b.open("/proof?other=1"), "way", d.ID+" push").is(http.StatusOK, "Enter this number there:")
}

func TestALinkPushesTwiceUnansweredWhateverTheBrowser(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.app(u)
	link, _ := h.invite(u)
	for range 3 { // an approval costs nothing
		b := h.browser(link)
		b.send(b.open("/proof"), "way", d.ID+" push").is(http.StatusOK, "Enter this number there:")
		a := h.verifications.Last()
		_, err := h.verifications.Resolve(t.Context(), a.Verification.ID, verification.Answered{Decision: verification.Approve, Number: hash(t, h, a)})
		require.NoError(t, err)
		b.open("/proof").is(http.StatusOK, "You can go on for 10 minutes.")
	}
	for range 2 {
		b := h.browser(link)
		b.send(b.open("/proof"), "way", d.ID+" push").is(http.StatusOK, "Enter this number there:")
	}
	sent := h.verifications.Count()
	b := h.browser(link)
	b.send(b.open("/proof"), "way", d.ID+" push").is(http.StatusTooManyRequests, "No more requests go to your devices with this link.")
	require.Equal(t, sent, h.verifications.Count())
}

func TestALinkAsksForAProofByFiveMessagesAtMost(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	d := h.phone(u, "+14155550101", "Private")
	mail, err := h.users.CreateDevice(t.Context(), device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: shop, Kind: device.Mailbox, Address: "ana@example.com", CreatedAt: h.clock.Now().UTC(),
	})
	require.NoError(t, err)
	link, _ := h.invite(u)
	h.silence.All.Store(true) // what was refused costs nothing
	b := h.browser(link)
	b.send(b.open("/proof"), "way", d.ID+" sms").is(http.StatusUnprocessableEntity, "on the list of those that get no messages")
	h.silence.All.Store(false)
	s := b.send(b.open("/proof"), "way", d.ID+" sms").is(http.StatusOK, "Enter the code")
	s = b.send(s, "do", "again").is(http.StatusOK, "It was sent again.")
	for _, way := range []string{d.ID + " voice", mail.ID + " email", mail.ID + " email"} {
		other := h.browser(link)
		other.send(other.open("/proof"), "way", way).is(http.StatusOK, "Enter the code")
	}
	sent := h.verifications.Count()
	other := h.browser(link)
	other.send(other.open("/proof"), "way", d.ID+" sms").is(http.StatusTooManyRequests, "No more messages are sent with this link.", "ask Example Bank for a new link")
	s = b.send(s, "do", "again").is(http.StatusTooManyRequests, "No more messages are sent with this link.", "Enter the code")
	require.Equal(t, sent, h.verifications.Count())
	require.NotEmpty(t, s.form(), "the code that came can still be typed")
}

func TestALinkOpensTenQuestionsOfTheAppAtATime(t *testing.T) {
	t.Parallel()
	h := open(t)
	u := h.user()
	secret, err := device.NewSecret(strings.NewReader(strings.Repeat("of the app", 10)))
	require.NoError(t, err)
	d, err := h.users.CreateDevice(t.Context(), device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: shop, Kind: device.TOTP, Name: "Codes", Secret: secret, CreatedAt: h.clock.Now(),
	})
	require.NoError(t, err)
	link, _ := h.invite(u)
	for range 10 {
		b := h.browser(link)
		b.send(b.open("/proof"), "way", d.ID+" totp").is(http.StatusOK, "Enter the code")
	}
	asked := h.verifications.Count()
	b := h.browser(link)
	b.send(b.open("/proof"), "way", d.ID+" totp").is(http.StatusTooManyRequests, "Try again at ")
	require.Equal(t, asked, h.verifications.Count())
	h.clock.Forward(10 * time.Minute)
	s := b.send(b.open("/proof"), "way", d.ID+" totp").is(http.StatusOK, "Enter the code")
	b.send(s, "do", "prove", "code", device.OneTimeCode(secret, h.clock.Now())).is(http.StatusOK, "How you confirm that it's you")
}
