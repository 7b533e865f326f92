package scenario_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

const adapterSecret = "whsec_c2VjcmV0b2ZhbmFkYXB0ZXJvZnRoZXN0b3JpZXM="

// adapterStub is somebody's program in front of a carrier: it signs and checks with the official library.
type adapterStub struct {
	*httptest.Server
	sign *webhooks.Webhook
	// silent is a number of which the carrier tells nothing, though it takes the message.
	silent string

	mu    sync.Mutex
	texts map[string][]string // by number
	said  sync.WaitGroup
}

func newAdapter(t *testing.T) *adapterStub {
	t.Helper()
	verify, err := webhooks.NewWebhook(adapterSecret)
	require.NoError(t, err)
	a := &adapterStub{texts: map[string][]string{}, sign: verify, silent: somebody().number}
	a.Server = httptest.NewServer(http.HandlerFunc(a.take))
	t.Cleanup(func() { a.Close(); a.said.Wait() })
	return a
}

func (a *adapterStub) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = a.sign.Verify(body, r.Header)
	}
	var m struct {
		MessageID  string `json:"message_id"`
		To         string `json:"to"`
		Text       string `json:"text"`
		ReceiptURL string `json:"receipt_url"`
	}
	if err != nil || json.Unmarshal(body, &m) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	a.mu.Lock()
	a.texts[m.To] = append(a.texts[m.To], sixDigits.FindString(m.Text))
	a.mu.Unlock()
	if m.ReceiptURL != "" && m.To != a.silent {
		a.said.Go(func() { a.receipt(m.ReceiptURL, m.MessageID) })
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"id":"carrier-`+m.MessageID+`"}`)
}

// receipt says that a message arrived. What the product does not take shows in the story.
func (a *adapterStub) receipt(target, message string) {
	body := []byte(`{"message_id":"` + message + `","id":"carrier-` + message + `","status":"delivered"}`)
	now := time.Now()
	signature, err := a.sign.Sign("receipt-"+message, now, body)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("webhook-id", "receipt-"+message)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_ = res.Body.Close()
	}
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

// A provider that takes messages and delivers none is the worst: nothing fails.
func TestAMessageWhoseReceiptIsMissingGoesToTheNextProvider(t *testing.T) {
	t.Parallel()
	acme, backup := newAdapter(t), newAdapter(t)
	listen, err := freeAddress()
	require.NoError(t, err)
	live, err := startUpAt(listen, t.TempDir(),
		"ASSENT_PUBLIC_URL=http://"+listen, "ASSENT_ROUTES__SMS=*: acme backup",
		"ASSENT_ADAPTERS__ACME__URL="+acme.URL, "ASSENT_ADAPTERS__ACME__SECRET="+adapterSecret, "ASSENT_ADAPTERS__ACME__CHANNELS=sms",
		"ASSENT_ADAPTERS__BACKUP__URL="+backup.URL, "ASSENT_ADAPTERS__BACKUP__SECRET="+adapterSecret, "ASSENT_ADAPTERS__BACKUP__CHANNELS=sms")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, live.stop()) })
	s := &story{live, t}
	for range 20 { // so many receipts, and what they take is known
		v := s.Create(text(somebody()))
		eventually(t, "the receipt comes", func() bool { return len(s.timelineOf(t, v, "delivered")) == 1 })
	}
	v := s.Create(ask(acme.silent, api.ChannelSMS))
	eventually(t, "the next provider is asked", func() bool { return len(s.timelineOf(t, v, "delivered")) == 1 })
	require.Len(t, acme.got(acme.silent), 1)
	require.Equal(t, acme.got(acme.silent), backup.got(acme.silent), "the same code, once from each")
	asked := s.timelineOf(t, v, "requested")
	require.Len(t, asked, 2)
	require.Equal(t, []any{2, "no_receipt"}, []any{asked[1].Send, asked[1].Reason})
	require.Equal(t, "backup", s.timelineOf(t, v, "delivered")[0].Provider)
	require.True(t, s.Check(v, backup.got(acme.silent)[0]).Valid)
}
