package scenario_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

const adapterSecret = "whsec_c2VjcmV0b2ZhbmFkYXB0ZXJvZnRoZXN0b3JpZXM="

// adapterStub is somebody's program in front of a carrier: it checks signatures with the official library.
type adapterStub struct {
	*httptest.Server
	mu    sync.Mutex
	texts map[string][]string // by number
}

func newAdapter(t *testing.T) *adapterStub {
	t.Helper()
	verify, err := webhooks.NewWebhook(adapterSecret)
	require.NoError(t, err)
	a := &adapterStub{texts: map[string][]string{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify.Verify(body, r.Header)
		}
		var m struct{ To, Text, MessageID string }
		if err != nil || json.Unmarshal(body, &m) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.mu.Lock()
		a.texts[m.To] = append(a.texts[m.To], sixDigits.FindString(m.Text))
		a.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"id":"acme-1"}`)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *adapterStub) got(to string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string{}, a.texts[to]...)
}

func TestASecondProviderCarriesWhatTheFirstDoesNot(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close() // nobody listens there any more
	acme, outside := newAdapter(t), newCarrier(t)
	env := append(outside.env(), "ASSENT_ADAPTERS__ACME__URL="+acme.URL, "ASSENT_ADAPTERS__ACME__SECRET="+adapterSecret,
		"ASSENT_ADAPTERS__ACME__CHANNELS=sms,voice", "ASSENT_ROUTES__SMS=+44: acme, *: twilio acme")
	down := append(append([]string{}, env...), "ASSENT_TWILIO__BASE_URL="+gone.URL)

	s := Alone(t, down...)
	ana := somebody()
	v := s.Create(text(ana))
	eventually(t, "the second provider has it", func() bool { return len(acme.got(ana.number)) == 1 })
	eventually(t, "the timeline tells of both", func() bool { return len(s.timelineOf(t, v, "sent")) == 1 })
	failed := s.timelineOf(t, v, "retrying")
	require.NotEmpty(t, failed)
	require.Equal(t, "twilio", failed[0].Provider)
	require.Equal(t, "acme", s.timelineOf(t, v, "sent")[0].Provider)
	require.True(t, s.Check(v, acme.got(ana.number)[0]).Valid)

	s = Alone(t, env...)
	ben, carl := somebody(), ask("+447400123456", api.ChannelSMS)
	s.Create(text(ben))
	s.Create(carl)
	eventually(t, "each country has its provider", func() bool { return len(outside.got(ben.number)) == 1 && len(acme.got(carl.To)) == 1 })
	require.Empty(t, acme.got(ben.number))
	require.Empty(t, outside.got(carl.To))
}
