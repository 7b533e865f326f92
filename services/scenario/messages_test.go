package scenario_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// Sent is the request that a carrier got for a message.
func (s *story) Sent(m message) string {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), http.MethodGet, s.system.inbox+"/sandbox/messages/"+m.ID, nil)
	require.NoError(s.t, err)
	return read[struct {
		Request struct{ Body string }
	}](s.t, a, http.StatusOK).Request.Body
}

func TestACallReadsTheCodeTwiceAndOnlyToSomebodyWhoPressesAKey(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	s.Create(call(ana).Brand("Example Bank"))
	m := s.Message(ana.number)
	digits := strings.Split(m.Code, "")
	require.Len(t, digits, 6)
	script, err := url.ParseQuery(s.Sent(m))
	require.NoError(t, err)
	require.Contains(t, script.Get("Twiml"), "<Gather")
	bare := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, script.Get("Twiml"))
	require.NotContains(t, bare, m.Code, "a voicemail that never presses a key must not get the code")
	require.Equal(t, 2, strings.Count(m.Text, strings.Join(digits, ", ")), "the call: %s", m.Text)
	require.Contains(t, m.Text, "Example Bank")
}

func TestAMailHasBothPartsAndIsNotTracked(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	s.Create(mail(ana).Brand("Example Bank"))
	m := s.Message(ana.mailbox)
	require.Contains(t, m.Text, m.Code)
	require.Contains(t, m.HTML, m.Code)
	require.Contains(t, m.Subject, "Example Bank")
	body := strings.ReplaceAll(s.Sent(m), " ", "")
	require.Contains(t, body, `"click_tracking":{"enable":false`)
}

func TestAPushCarriesNoCodeAndAllThatAnAppShows(t *testing.T) {
	t.Parallel()
	for _, platform := range []api.Platform{api.PlatformAPNs, api.PlatformFCM, api.PlatformWebPush} {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			s := Together(t)
			p := s.Phone(platform)
			v := s.Create(push(p).Brand("Example Bank").About(api.Context{Action: "Pay 20 EUR", IP: "203.0.113.7", Place: "Lisbon", Device: "Firefox on Linux"}))
			m := s.Message(p.Token)
			require.Empty(t, m.Code)
			require.Empty(t, m.Link)
			for key, want := range map[string]string{
				"verification_id": v.ID, "device_id": p.Device.ID, "brand": "Example Bank", "action": "Pay 20 EUR", "ip": "203.0.113.7",
				"place": "Lisbon", "device": "Firefox on Linux", "respond_to": s.base + "/v1/verifications/" + v.ID + "/responses",
			} {
				require.Equal(t, want, m.Data[key], key)
			}
			require.NotEmpty(t, m.Data["requested_at"])
			require.NotEmpty(t, m.Data["expires_at"])
			require.Equal(t, api.ChallengeApproval, v.Challenge)
		})
	}
}

func TestALanguageThatWasAskedForIsSpoken(t *testing.T) {
	t.Parallel()
	s, ana := Together(t), somebody()
	s.Create(text(ana).with(func(c *api.CreateVerification) { c.Locale = "de" }))
	english := somebody()
	s.Create(text(english))
	german, plain := s.Message(ana.number), s.Message(english.number)
	require.NotEqual(t, strings.ReplaceAll(german.Text, german.Code, ""), strings.ReplaceAll(plain.Text, plain.Code, ""))
	require.NotEmpty(t, german.Code)
}
