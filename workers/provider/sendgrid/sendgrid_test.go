package sendgrid_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
	"github.com/assent-io/assent/workers/provider/sendgrid"
)

const key = "SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func message(to string, code string) delivery.Mail {
	return delivery.Mail{
		Name:    delivery.Name{VerificationID: "vrf_01", Send: 2, Attempt: 1},
		From:    mail.Address{Name: "Example Bank", Address: "no-reply@example.com"},
		To:      delivery.Address(to),
		Subject: "Your Example Bank code",
		Text:    delivery.Code("Your code is " + code),
		HTML:    delivery.Code("<p>Your code is <b>" + code + "</b></p>"),
		Headers: map[string]string{"Auto-Submitted": "auto-generated"},
	}
}

func gateway(t *testing.T, base string) *sendgrid.Gateway {
	t.Helper()
	client := sendgrid.NewHTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	g, err := sendgrid.New(sendgrid.Config{BaseURL: base, APIKey: key}, client)
	require.NoError(t, err)
	return g
}

func TestEveryAnswerIsClassified(t *testing.T) {
	t.Parallel()
	const date = "Sat, 21 Nov 2026 14:27:03 GMT"
	at, err := http.ParseTime(date)
	require.NoError(t, err)
	in := func(d time.Duration) string { return strconv.FormatInt(at.Add(d).Unix(), 10) }

	accepted := map[string]string{"X-Message-Id": "14c5d75ce93.dfd.64b469"}
	providertest.Run(t, providertest.Suite{
		Adapter: func(t *testing.T, base string) providertest.Send {
			t.Helper()
			g := gateway(t, base)
			return func(ctx context.Context) (delivery.Receipt, error) {
				return g.SendMail(ctx, message("ana@example.org", "482913"))
			}
		},
		Secrets: []string{"ana@example.org", "482913", key},
		OK: providertest.Case{
			Status: http.StatusAccepted, Header: accepted,
			Receipt: delivery.Receipt{ID: "14c5d75ce93.dfd.64b469"},
		},
		// 202 is the whole of SendGrid's promise: its body is empty and means nothing.
		Override: map[string]delivery.Class{
			providertest.HalfBody:       "",
			providertest.QuotingRefusal: delivery.ClassPermanent,
		},
		Cases: []providertest.Case{
			{
				Name: "an address SendGrid refuses is undeliverable", Status: 400,
				Body: providertest.Body(t, "400_bad_to.json"), Class: delivery.ClassPermanent, Reason: events.ReasonUndeliverable,
			},
			{
				Name: "a sender it refuses is the operator's to mend", Status: 400,
				Body: providertest.Body(t, "400_bad_from.json"), Class: delivery.ClassMisconfigured,
			},
			{
				Name: "content it refuses is refused for good", Status: 400,
				Body: providertest.Body(t, "400_bad_content.json"), Class: delivery.ClassPermanent, Reason: events.ReasonMessageRefused,
			},
			{
				Name: "a 400 that names no field is refused for good", Status: 400,
				Body: providertest.Body(t, "400_unnamed.json"), Class: delivery.ClassPermanent, Reason: events.ReasonMessageRefused,
			},
			{
				Name: "a 400 with no JSON is refused for good", Status: 400,
				Body: "Bad Request", Class: delivery.ClassPermanent, Reason: events.ReasonMessageRefused,
			},
			{
				Name: "a wrong key is the operator's to mend", Status: 401,
				Body: providertest.Body(t, "401_bad_key.json"), Class: delivery.ClassMisconfigured,
			},
			{
				Name: "no credits left is the operator's to mend", Status: 401,
				Body: providertest.Body(t, "401_no_credits.json"), Class: delivery.ClassMisconfigured,
			},
			{
				Name: "an unverified sender is the operator's to mend", Status: 403,
				Body: providertest.Body(t, "403_sender.json"), Class: delivery.ClassMisconfigured,
			},
			{Name: "a wrong path is the operator's to mend", Status: 404, Class: delivery.ClassMisconfigured},
			{
				Name: "a redirect is not followed", Status: 307,
				Header: map[string]string{"Location": "/carrier/elsewhere"}, Class: delivery.ClassMisconfigured,
			},
			{
				Name: "a mail that is too large is refused for good", Status: 413,
				Body: providertest.Body(t, "413_too_large.json"), Class: delivery.ClassPermanent, Reason: events.ReasonMessageRefused,
			},
			{
				Name: "X-Ratelimit-Reset is epoch seconds by SendGrid's own clock", Status: 429,
				Header: map[string]string{"Date": date, "X-RateLimit-Reset": in(23 * time.Second)},
				Body:   providertest.Body(t, "429_throttled.json"), Class: delivery.ClassRetryAfter, After: 23 * time.Second,
			},
			{
				Name: "a window that is open again is a throttle of no length", Status: 429,
				Header: map[string]string{"Date": date, "X-RateLimit-Reset": in(-time.Second)},
				Body:   providertest.Body(t, "429_throttled.json"), Class: delivery.ClassRetryAfter,
			},
			{
				Name: "500 is transient", Status: 500,
				Body: providertest.Body(t, "500_internal.json"), Class: delivery.ClassTransient,
			},
			{
				Name: "503 with Retry-After waits as told", Status: 503,
				Header: map[string]string{"Retry-After": "4"}, Class: delivery.ClassRetryAfter, After: 4 * time.Second,
			},
			{Name: "200 is some proxy's answer, not SendGrid's", Status: 200, Body: "<html>", Class: delivery.ClassUnknown},
		},
	})
}

// sent is what SendGrid reads of a request.
type sent struct {
	From             struct{ Email, Name string }
	Subject          string
	Personalizations []struct {
		To         []struct{ Email string }
		CustomArgs map[string]string `json:"custom_args"`
	}
	Content          []struct{ Type, Value string }
	Headers          map[string]string
	TrackingSettings map[string]map[string]any `json:"tracking_settings"`
}

// account accepts every mail and hands it to each.
func account(t *testing.T, each func(r *http.Request, m sent)) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		var m sent
		assert.NoError(t, json.Unmarshal(body, &m))
		each(r, m)
		w.Header().Set("X-Message-Id", "id")
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestAMailIsSentWholeAndUntracked(t *testing.T) {
	t.Parallel()
	got := make(chan sent, 1)
	base := account(t, func(r *http.Request, m sent) {
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/some/prefix/v3/mail/send", r.URL.Path)
		assert.Equal(t, "Bearer "+key, r.Header.Get("Authorization"))
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		got <- m
	})
	_, err := gateway(t, base+"/some/prefix/").SendMail(t.Context(), message("ana@example.org", "482913"))
	require.NoError(t, err)

	m := <-got
	assert.Equal(t, "no-reply@example.com", m.From.Email)
	assert.Equal(t, "Example Bank", m.From.Name)
	assert.Equal(t, "Your Example Bank code", m.Subject)
	require.Len(t, m.Personalizations, 1)
	require.Len(t, m.Personalizations[0].To, 1)
	assert.Equal(t, "ana@example.org", m.Personalizations[0].To[0].Email)
	assert.Equal(t, map[string]string{"verification_id": "vrf_01", "step": "0", "send": "2", "attempt": "1"}, m.Personalizations[0].CustomArgs)
	require.Len(t, m.Content, 2)
	assert.Equal(t, "text/plain", m.Content[0].Type, "the plain part stands first")
	assert.Contains(t, m.Content[0].Value, "482913")
	assert.Equal(t, "text/html", m.Content[1].Type)
	assert.Contains(t, m.Content[1].Value, "482913")
	assert.Equal(t, "auto-generated", m.Headers["Auto-Submitted"])
	assert.Equal(t, map[string]map[string]any{
		"click_tracking":        {"enable": false, "enable_text": false},
		"open_tracking":         {"enable": false},
		"subscription_tracking": {"enable": false},
	}, m.TrackingSettings)
}

// The SDK's own client keeps the mail of the moment in a field that all goroutines share:
// under load one person gets another's code.
func TestParallelMailsEachReachTheirOwnRecipientOnce(t *testing.T) {
	t.Parallel()
	const mails = 500
	var mu sync.Mutex
	received := map[string][]string{}
	base := account(t, func(_ *http.Request, m sent) {
		mu.Lock()
		defer mu.Unlock()
		to := m.Personalizations[0].To[0].Email
		received[to] = append(received[to], m.Content[0].Value)
	})
	g := gateway(t, base)

	var wg sync.WaitGroup
	for i := range mails {
		wg.Go(func() {
			_, err := g.SendMail(t.Context(), message(fmt.Sprintf("p%d@example.org", i), strconv.Itoa(100000+i)))
			assert.NoError(t, err)
		})
	}
	wg.Wait()

	require.Len(t, received, mails)
	for i := range mails {
		assert.Equal(t, []string{fmt.Sprintf("Your code is %d", 100000+i)}, received[fmt.Sprintf("p%d@example.org", i)])
	}
}

// Error answers whose bodies are not read and closed cost a connection each.
func TestThrottledCallsShareOneConnection(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, providertest.Body(t, "429_throttled.json"))
	}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)

	g := gateway(t, srv.URL)
	for range 20 {
		_, err := g.SendMail(t.Context(), message("ana@example.org", "482913"))
		require.Equal(t, delivery.ClassRetryAfter, delivery.ClassOf(err))
	}
	assert.Equal(t, int64(1), connections.Load())
}

func TestAConfigurationNamesAllItsFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  sendgrid.Config
		keys []string
	}{
		"nothing set":           {sendgrid.Config{}, []string{"api_key: missing"}},
		"a relative URL":        {sendgrid.Config{BaseURL: "api.sendgrid.com", APIKey: key}, []string{"base_url:"}},
		"a key with a line end": {sendgrid.Config{APIKey: key + "\n"}, []string{"api_key:"}},
		"both":                  {sendgrid.Config{BaseURL: "ftp://x"}, []string{"base_url:", "api_key:"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sendgrid.New(tc.cfg, sendgrid.NewHTTPClient())
			require.Error(t, err)
			for _, k := range tc.keys {
				assert.ErrorContains(t, err, k)
			}
			assert.NotContains(t, err.Error(), key)
		})
	}
	assert.Empty(t, sendgrid.Config{APIKey: key}.Validate())
}
