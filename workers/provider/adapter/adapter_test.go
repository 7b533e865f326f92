package adapter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webhook"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/adapter"
	"github.com/assent-io/assent/workers/provider/providertest"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	to     = "+14155550100"
	code   = "482913"
	id     = "0193c0de-0000-7000-8000-000000000001"
)

func config(url string) adapter.Config {
	return adapter.Config{URL: url, Secret: secret, Channels: []string{"sms", "voice"}}
}

func gateway(t *testing.T, cfg adapter.Config) *adapter.Gateway {
	t.Helper()
	client := adapter.NewHTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	g, err := adapter.New("acme", cfg, client)
	require.NoError(t, err)
	return g
}

func text() delivery.SMS {
	return delivery.SMS{
		Name: delivery.Name{VerificationID: id, Step: 1, Send: 2, Attempt: 3},
		To:   to, Body: code + " is your code. <3 & more", ValidFor: 2 * time.Minute,
		CallbackURL: "https://id.example.com/callbacks/adapters/acme/" + id + "/1/2/3",
	}
}

func call() delivery.Call {
	return delivery.Call{
		Name: delivery.Name{VerificationID: id, Send: 1, Attempt: 1},
		To:   to, Script: "<Response/>", RingFor: 25 * time.Second, ValidFor: time.Minute,
		Lines: []delivery.Line{
			{Language: "de-DE", Text: "Hallo."}, {Pause: time.Second}, {Language: "de-DE", Text: "4, 8, 2, 9, 1, 3."},
		},
	}
}

// posted is what an adapter got.
type posted struct {
	header http.Header
	body   []byte
}

// program is an adapter that answers every call in one way.
func program(t *testing.T, status int, answer string) (url string, got func() []posted) {
	t.Helper()
	calls := make(chan posted, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, http.MethodPost, r.Method)
		calls <- posted{r.Header, body}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []posted {
		var all []posted
		for len(calls) > 0 {
			all = append(all, <-calls)
		}
		return all
	}
}

// near tells that an instant is as far away as it should be, give or take the test's own pace.
func near(t *testing.T, stamp string, life time.Duration) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, stamp)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(life), at, time.Minute)
}

func TestATextMessageIsPostedSigned(t *testing.T) {
	t.Parallel()
	url, got := program(t, http.StatusCreated, `{"id":"m-1"}`)
	receipt, err := gateway(t, config(url+"/messages?v=1")).SendSMS(t.Context(), text())
	require.NoError(t, err)
	require.Equal(t, delivery.Receipt{ID: "m-1"}, receipt)

	calls := got()
	require.Len(t, calls, 1)
	key, err := webhook.ParseSecret(secret)
	require.NoError(t, err)
	require.NoError(t, key.Verify(calls[0].header, calls[0].body, time.Now()))
	require.Equal(t, "application/json", calls[0].header.Get("Content-Type"))
	require.Equal(t, id+"-1-2", calls[0].header.Get("webhook-id"))

	var body map[string]any
	require.NoError(t, json.Unmarshal(calls[0].body, &body))
	near(t, fmt.Sprint(body["expires_at"]), 2*time.Minute)
	delete(body, "expires_at")
	require.Equal(t, map[string]any{
		"type": "message.v1", "message_id": id + "-1-2", "attempt": 3.0, "channel": "sms", "to": to,
		"text":        code + " is your code. <3 & more",
		"receipt_url": "https://id.example.com/callbacks/adapters/acme/" + id + "/1/2/3",
	}, body)
}

func TestACallIsPostedAsWhatIsToBeSaid(t *testing.T) {
	t.Parallel()
	url, got := program(t, http.StatusAccepted, `{"id":"c-1"}`)
	receipt, err := gateway(t, config(url)).StartCall(t.Context(), call())
	require.NoError(t, err)
	require.Equal(t, delivery.Receipt{ID: "c-1"}, receipt)

	calls := got()
	require.Len(t, calls, 1)
	var body map[string]any
	require.NoError(t, json.Unmarshal(calls[0].body, &body))
	near(t, fmt.Sprint(body["expires_at"]), time.Minute)
	delete(body, "expires_at")
	require.Equal(t, map[string]any{
		"type": "message.v1", "message_id": id + "-0-1", "attempt": 1.0, "channel": "voice", "to": to, "ring_for": 25.0, "receipt_url": "",
		"script": []any{
			map[string]any{"language": "de-DE", "text": "Hallo."},
			map[string]any{"pause": 1.0},
			map[string]any{"language": "de-DE", "text": "4, 8, 2, 9, 1, 3."},
		},
	}, body)
}

func TestEveryAttemptOfOneMessageHasItsId(t *testing.T) {
	t.Parallel()
	url, got := program(t, http.StatusOK, `{"id":"m-1"}`)
	g, m := gateway(t, config(url)), text()
	for m.Attempt = 1; m.Attempt <= 3; m.Attempt++ {
		_, err := g.SendSMS(t.Context(), m)
		require.NoError(t, err)
	}
	for i, c := range got() {
		require.Equal(t, id+"-1-2", c.header.Get("webhook-id"))
		require.Contains(t, string(c.body), fmt.Sprintf(`"attempt":%d`, i+1))
	}
}

func TestWhatAnAdapterDoesNotCarryIsNotSent(t *testing.T) {
	t.Parallel()
	url, got := program(t, http.StatusOK, `{"id":"m-1"}`)
	textOnly, callOnly := config(url), config(url)
	textOnly.Channels, callOnly.Channels = []string{"sms"}, []string{"voice"}
	keys := call()
	keys.Lines = nil // as for a script that asks for keys
	for name, send := range map[string]func() (delivery.Receipt, error){
		"a call":           func() (delivery.Receipt, error) { return gateway(t, textOnly).StartCall(t.Context(), call()) },
		"a text message":   func() (delivery.Receipt, error) { return gateway(t, callOnly).SendSMS(t.Context(), text()) },
		"a call with keys": func() (delivery.Receipt, error) { return gateway(t, callOnly).StartCall(t.Context(), keys) },
	} {
		receipt, err := send()
		require.Equal(t, delivery.Receipt{}, receipt, name)
		require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err), name)
		require.Equal(t, events.ReasonNotConfigured, delivery.ReasonOf(err), name)
	}
	require.Empty(t, got())
}

func cases() []providertest.Case {
	const (
		permanent     = delivery.ClassPermanent
		misconfigured = delivery.ClassMisconfigured
		transient     = delivery.ClassTransient
		unknown       = delivery.ClassUnknown
	)
	all := []providertest.Case{
		{Name: "200 is taken", Status: 200, Body: `{"id":"m-1"}`, Receipt: delivery.Receipt{ID: "m-1"}},
		{Name: "202 is taken", Status: 202, Body: `{"id":"m-1","more":[1]}`, Receipt: delivery.Receipt{ID: "m-1"}},
		{Name: "409 was taken before", Status: 409, Body: `{"id":"m-1"}`, Receipt: delivery.Receipt{ID: "m-1"}},
		{Name: "a long id of digits is fine", Status: 200, Body: `{"id":"1728482913004415"}`, Receipt: delivery.Receipt{ID: "1728482913004415"}},
		{Name: "409 without an id leaves the fate unknown", Status: 409, Body: `{}`, Class: unknown},
		{Name: "an accepting status with a page leaves the fate unknown", Status: 200, Body: "<html>hello</html>", Class: unknown},
		{Name: "an accepting status without a body leaves the fate unknown", Status: 204, Class: unknown},
		{Name: "an accepting status without an id leaves the fate unknown", Status: 201, Body: `{"status":"ok"}`, Class: unknown},
		{Name: "an accepting status with an empty id leaves the fate unknown", Status: 201, Body: `{"id":""}`, Class: unknown},
		{Name: "an accepting status with an id that is a number leaves the fate unknown", Status: 201, Body: `{"id":482913}`, Class: unknown},
		{Name: "an accepting status with two documents leaves the fate unknown", Status: 201, Body: `{"id":"m-1"}{"id":"m-2"}`, Class: unknown},
		{Name: "an id with a line break leaves the fate unknown", Status: 201, Body: `{"id":"m-1\nm-2"}`, Class: unknown},
		{Name: "an id that is too long leaves the fate unknown", Status: 201, Body: `{"id":"` + strings.Repeat("m", 129) + `"}`, Class: unknown},
		{Name: "an id that is the code leaves the fate unknown", Status: 201, Body: `{"id":"sms-482913"}`, Class: unknown},
		{Name: "an id that quotes the number leaves the fate unknown", Status: 201, Body: `{"id":"14155550100987"}`, Class: unknown},
		{Name: "422 without a reason is for the operator", Status: 422, Body: `{"detail":[{"loc":["body"]}]}`, Class: misconfigured},
		{Name: "422 for a reason nobody knows is for the operator", Status: 422, Body: `{"reason":"no credit"}`, Class: misconfigured},
		{Name: "422 for a reason that is not an adapter's is for the operator", Status: 422, Body: `{"reason":"device_gone"}`, Class: misconfigured},
		{Name: "422 with a page is for the operator", Status: 422, Body: `<html>`, Class: misconfigured},
		{
			Name: "503 with a delay is retried after it", Status: 503,
			Header: map[string]string{"Retry-After": "2"}, Class: delivery.ClassRetryAfter, After: 2 * time.Second,
		},
		{Name: "500 is retried", Status: 500, Class: transient},
		{Name: "a proxy's 502 is retried", Status: 502, Body: "<html>Bad Gateway</html>", Class: transient},
		{Name: "408 is retried", Status: 408, Class: transient},
		{
			Name: "a redirect is not followed and is for the operator", Status: 307,
			Header: map[string]string{"Location": "/carrier/elsewhere"}, Class: misconfigured,
		},
	}
	for _, reason := range []string{events.ReasonUndeliverable, events.ReasonUnsubscribed, events.ReasonRegionBlocked, events.ReasonMessageRefused} {
		all = append(all, providertest.Case{
			Name: "422 is final: " + reason, Status: 422, Body: `{"reason":"` + reason + `"}`, Class: permanent, Reason: reason,
		})
	}
	for _, status := range []int{400, 401, 403, 404, 405, 410, 413, 415} {
		all = append(all, providertest.Case{
			Name: fmt.Sprintf("%d is for the operator", status), Status: status, Body: `{"id":"m-1","reason":"undeliverable"}`, Class: misconfigured,
		})
	}
	return all
}

func TestEveryAnswerToATextMessageIsClassified(t *testing.T) {
	t.Parallel()
	suite(t, []string{to, code, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, func(g *adapter.Gateway) providertest.Send {
		return func(ctx context.Context) (delivery.Receipt, error) { return g.SendSMS(ctx, text()) }
	})
}

func TestEveryAnswerToACallIsClassified(t *testing.T) {
	t.Parallel()
	suite(t, []string{to, "4, 8, 2", code, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, func(g *adapter.Gateway) providertest.Send {
		return func(ctx context.Context) (delivery.Receipt, error) { return g.StartCall(ctx, call()) }
	})
}

func suite(t *testing.T, secrets []string, send func(*adapter.Gateway) providertest.Send) {
	t.Helper()
	providertest.Run(t, providertest.Suite{
		Adapter: func(t *testing.T, base string) providertest.Send {
			t.Helper()
			return send(gateway(t, config(base+"/messages")))
		},
		Secrets:  secrets,
		Override: map[string]delivery.Class{providertest.QuotingRefusal: delivery.ClassMisconfigured},
		OK: providertest.Case{
			Status: http.StatusCreated, Body: `{"id":"m-1"}`, Receipt: delivery.Receipt{ID: "m-1"},
		},
		Cases: cases(),
	})
}

func TestARefusalTellsTheCarriersCodeAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ detail, want string }{
		"a code":                   {"30003", "30003"},
		"a word":                   {"landline", "landline"},
		"thirty-two characters":    {strings.Repeat("x", 32), strings.Repeat("x", 32)},
		"none":                     {"", "422"},
		"more than that":           {strings.Repeat("x", 33), "422"},
		"prose":                    {"no such number", "422"},
		"the number":               {to, "422"},
		"the number without plus":  {"to:14155550100", "422"},
		"the code":                 {code, "422"},
		"the code behind a prefix": {"otp=" + code, "422"},
		"a piece of the text":      {code + "\u00a0is", "422"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := json.Marshal(map[string]string{"reason": "undeliverable", "detail": c.detail})
			require.NoError(t, err)
			url, _ := program(t, http.StatusUnprocessableEntity, string(body))
			for _, send := range []func() (delivery.Receipt, error){
				func() (delivery.Receipt, error) { return gateway(t, config(url)).SendSMS(t.Context(), text()) },
				func() (delivery.Receipt, error) { return gateway(t, config(url)).StartCall(t.Context(), call()) },
			} {
				_, err := send()
				require.EqualError(t, err, "permanent (undeliverable): adapter acme answered 422")
				var detailed interface{ Detail() string }
				require.ErrorAs(t, err, &detailed)
				require.Equal(t, c.want, detailed.Detail())
				providertest.LeaksNothing(t, err, to, code, "14155550100")
			}
		})
	}
}

func TestALinkEntersNoReport(t *testing.T) {
	t.Parallel()
	url, _ := program(t, http.StatusOK, `{"id":"dGhlIHRva2VuIG9mIGEgbGluaw"}`)
	m := text()
	m.Body = "Sign in: https://id.example.com/l/dGhlIHRva2VuIG9mIGEgbGluaw"
	_, err := gateway(t, config(url)).SendSMS(t.Context(), m)
	require.Equal(t, delivery.ClassUnknown, delivery.ClassOf(err))
	providertest.LeaksNothing(t, err, "dGhlIHRva2VuIG9mIGEgbGluaw")
}

func TestEveryFaultOfAConfigurationIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	with := func(change func(*adapter.Config)) adapter.Config {
		c := config("https://adapter.example.com/messages")
		change(&c)
		return c
	}
	at := func(url string) adapter.Config { return with(func(c *adapter.Config) { c.URL = url }) }
	for name, c := range map[string]struct {
		cfg  adapter.Config
		want []string
	}{
		"nothing is set":        {adapter.Config{}, []string{"url", "secret", "channels"}},
		"everything is wrong":   {adapter.Config{URL: "adapter.example.com", Secret: "two words", Channels: []string{"email"}}, []string{"url", "secret", "channels"}},
		"it is complete":        {at("https://adapter.example.com/messages?tenant=1"), nil},
		"one channel is enough": {with(func(c *adapter.Config) { c.Channels = []string{"voice"} }), nil},
		"a channel twice":       {with(func(c *adapter.Config) { c.Channels = []string{"sms", "sms"} }), []string{"channels"}},
		"a short secret":        {with(func(c *adapter.Config) { c.Secret = "whsec_c2VjcmV0" }), []string{"secret"}},
		"a user in the address": {at("https://user:hunter2@adapter.example.com"), []string{"url"}},
		"a fragment":            {at("https://adapter.example.com/#x"), []string{"url"}},
		"another scheme":        {at("ftp://adapter.example.com"), []string{"url"}},

		"clear text over the internet":            {at("http://adapter.example.com"), []string{"url"}},
		"clear text to a public address":          {at("http://203.0.113.7:8090"), []string{"url"}},
		"clear text to a link-local address":      {at("http://169.254.169.254"), []string{"url"}},
		"clear text to a name that only looks so": {at("http://local.example.com"), []string{"url"}},
		"clear text on this machine":              {at("http://127.0.0.1:8090/messages"), nil},
		"clear text on this machine, version 6":   {at("http://[::1]:8090/messages"), nil},
		"clear text on this machine, by name":     {at("http://localhost:8090"), nil},
		"clear text in a private network":         {at("http://10.1.2.3:8090"), nil},
		"clear text to a container beside us":     {at("http://adapter:8090"), nil},
		"clear text to a service of the cluster":  {at("http://adapter.assent.svc.cluster.local"), nil},
		"clear text to a private name":            {at("http://adapter.corp.internal"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var keys []string
			for _, fault := range c.cfg.Validate() {
				key, _, _ := strings.Cut(fault.Error(), ":")
				keys = append(keys, key)
				for _, value := range []string{"two words", "hunter2", "example.com", "c2VjcmV0"} {
					assert.NotContains(t, fault.Error(), value)
				}
			}
			require.Equal(t, c.want, keys)
			_, err := adapter.New("acme", c.cfg, adapter.NewHTTPClient())
			require.Equal(t, len(c.want) > 0, err != nil)
		})
	}
}

func TestANameStandsInPathsAndReports(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "acme", "acme-eu_2"} {
		require.NoError(t, adapter.CheckName(good))
	}
	for _, bad := range []string{"", "Acme", "2acme", "a/b", "a b", "..", "a.b", strings.Repeat("a", 33)} {
		require.Error(t, adapter.CheckName(bad), bad)
		_, err := adapter.New(bad, config("https://adapter.example.com"), adapter.NewHTTPClient())
		require.Error(t, err, bad)
	}
}
