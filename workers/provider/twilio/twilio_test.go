package twilio_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
	"github.com/assent-io/assent/workers/provider/twilio"
)

const (
	account = "AC0123456789abcdef0123456789abcdef"
	token   = "fedcba9876543210fedcba9876543210"
	from    = "+15005550006"
	to      = "+14155550100"
	code    = "482913"
)

func config(base string) twilio.Config {
	return twilio.Config{BaseURL: base, AccountSID: account, AuthToken: token, From: from}
}

func gateway(t *testing.T, cfg twilio.Config) *twilio.Gateway {
	t.Helper()
	client := twilio.NewHTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	g, err := twilio.New(cfg, client)
	require.NoError(t, err)
	return g
}

func text() delivery.SMS {
	return delivery.SMS{
		To: to, Body: code + " is your code.", ValidFor: 2 * time.Minute,
		CallbackURL: "https://id.example.com/callbacks/twilio/sms/vrf_01/1",
	}
}

func call() delivery.Call {
	return delivery.Call{
		To: to, Script: "<Response><Say>4, 8, 2, 9, 1, 3</Say></Response>", RingFor: 25 * time.Second,
		CallbackURL: "https://id.example.com/callbacks/twilio/call/vrf_01/1",
	}
}

func refusal(name string, status, code int, class delivery.Class, reason string) providertest.Case {
	return providertest.Case{
		Name: fmt.Sprintf("%d: %s", code, name), Status: status, Class: class, Reason: reason,
		Body: fmt.Sprintf(`{"code": %d, "message": "%s refused, %s", "more_info": "https://www.twilio.com/docs/errors/%d", "status": %d}`,
			code, to, quoted, code, status),
	}
}

// quoted is the text as a carrier that quotes the message would repeat it.
const quoted = code + " is your code"

func cases(t *testing.T) []providertest.Case {
	t.Helper()
	const (
		permanent     = delivery.ClassPermanent
		misconfigured = delivery.ClassMisconfigured
		transient     = delivery.ClassTransient
	)
	all := []providertest.Case{
		{
			Name: "a number that is none is undeliverable", Status: 400,
			Body: providertest.Body(t, "400_invalid_number.json"), Class: permanent, Reason: events.ReasonUndeliverable,
		},
		{
			Name: "a person who said STOP is unsubscribed", Status: 400,
			Body: providertest.Body(t, "400_unsubscribed.json"), Class: permanent, Reason: events.ReasonUnsubscribed,
		},
		{
			Name: "a wrong token is for the operator", Status: 401,
			Body: providertest.Body(t, "401_authenticate.json"), Class: misconfigured,
		},
		{
			Name: "an unknown account is for the operator", Status: 404,
			Body: providertest.Body(t, "404_not_found.json"), Class: misconfigured,
		},
		{
			Name: "Twilio's own 429 is a throttle", Status: 429,
			Body: providertest.Body(t, "429_too_many_requests.json"), Class: delivery.ClassRetryAfter,
		},
		{
			Name: "Twilio's own 429 with a delay is retried after it", Status: 429,
			Header: map[string]string{"Retry-After": "3", "Twilio-Concurrent-Requests": "101"},
			Body:   providertest.Body(t, "429_too_many_requests.json"), Class: delivery.ClassRetryAfter, After: 3 * time.Second,
		},
		{
			Name: "20429 with another status is a throttle", Status: 400,
			Body: `{"code": 20429, "status": 400}`, Class: delivery.ClassRetryAfter,
		},
		{
			Name: "Retry-After may be a date", Status: 429,
			Header: map[string]string{"Date": "Sat, 21 Nov 2026 14:27:03 GMT", "Retry-After": "Sat, 21 Nov 2026 14:27:13 GMT"},
			Body:   `{}`, Class: delivery.ClassRetryAfter, After: 10 * time.Second,
		},
		{
			Name: "503 with a delay is retried after it", Status: 503,
			Header: map[string]string{"Retry-After": "2"}, Class: delivery.ClassRetryAfter, After: 2 * time.Second,
		},
		{Name: "an empty 500 is retried", Status: 500, Class: transient},
		{Name: "408 is retried", Status: 408, Class: transient},
		{Name: "a proxy's 502 is retried", Status: 502, Body: "<html>Bad Gateway</html>", Class: transient},
		{Name: "a bare 403 is for the operator", Status: 403, Body: "<html>Forbidden</html>", Class: misconfigured},
		{Name: "a bare 404 is for the operator", Status: 404, Body: "404 page not found", Class: misconfigured},
		{
			Name: "a redirect is not followed and is for the operator", Status: 307,
			Header: map[string]string{"Location": "/carrier/elsewhere"}, Class: misconfigured,
		},
		{
			Name: "a code that may be somebody's secret is not read", Status: 400,
			Body: `{"code": 482913}`, Class: permanent, Reason: events.ReasonMessageRefused,
		},
		{Name: "an accepting status with a page leaves the fate unknown", Status: 200, Body: "<html>hello</html>", Class: delivery.ClassUnknown},
		{Name: "an accepting status without an id leaves the fate unknown", Status: 201, Body: `{"status": "queued"}`, Class: delivery.ClassUnknown},
		{Name: "an accepting status with an empty id leaves the fate unknown", Status: 201, Body: `{"sid": ""}`, Class: delivery.ClassUnknown},
		{Name: "an accepting status without a body leaves the fate unknown", Status: 201, Class: delivery.ClassUnknown},
		{Name: "an accepting status that quotes a number leaves the fate unknown", Status: 201, Body: `{"sid": 482913}`, Class: delivery.ClassUnknown},
		refusal("a code nobody knows is final", 400, 29999, permanent, events.ReasonMessageRefused),
		refusal("an internal error is retried", 500, 20500, transient, ""),
		refusal("an unavailable service is retried", 503, 20503, transient, ""),
		refusal("a full queue is a throttle", 400, 21611, delivery.ClassRetryAfter, ""),
	}
	for reason, codes := range map[string][]int{
		events.ReasonUndeliverable:  {13223, 13224, 21201, 21211, 21214, 21217, 21401, 21421, 21604, 21612, 21614, 21635},
		events.ReasonUnsubscribed:   {21610},
		events.ReasonRegionBlocked:  {13225, 13227, 21203, 21215, 21216, 21408, 32205, 60410},
		events.ReasonMessageRefused: {21602, 21605, 21617},
		events.ReasonNotConfigured:  {21608, 21219},
	} {
		for _, c := range codes {
			all = append(all, refusal("final, "+reason, 400, c, permanent, reason))
		}
	}
	for _, c := range []int{10001, 20008, 21210, 21212, 21213, 21603, 21606, 21609, 21659, 21660, 21703, 21705} {
		all = append(all, refusal("for the operator", 400, c, misconfigured, ""))
	}
	return all
}

func TestEveryAnswerToATextMessageIsClassified(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Suite{
		Adapter: func(t *testing.T, base string) providertest.Send {
			t.Helper()
			g := gateway(t, config(base))
			return func(ctx context.Context) (delivery.Receipt, error) { return g.SendSMS(ctx, text()) }
		},
		Secrets:  []string{to, code, token},
		Override: map[string]delivery.Class{providertest.QuotingRefusal: delivery.ClassPermanent},
		OK: providertest.Case{
			Status: http.StatusCreated, Body: providertest.Body(t, "201_message.json"),
			Receipt: delivery.Receipt{ID: "SM0123456789abcdef0123456789abcdef"},
		},
		Cases: cases(t),
	})
}

func TestEveryAnswerToACallIsClassified(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Suite{
		Adapter: func(t *testing.T, base string) providertest.Send {
			t.Helper()
			g := gateway(t, config(base))
			return func(ctx context.Context) (delivery.Receipt, error) { return g.StartCall(ctx, call()) }
		},
		Secrets:  []string{to, "4, 8, 2, 9, 1, 3", token},
		Override: map[string]delivery.Class{providertest.QuotingRefusal: delivery.ClassPermanent},
		OK: providertest.Case{
			Status: http.StatusCreated, Body: providertest.Body(t, "201_call.json"),
			Receipt: delivery.Receipt{ID: "CA0123456789abcdef0123456789abcdef"},
		},
		Cases: cases(t),
	})
}

func TestARefusalTellsItsCodeAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusBadRequest, providertest.Body(t, "400_invalid_number.json"))
	_, err := gateway(t, config(c.URL)).SendSMS(t.Context(), text())
	require.EqualError(t, err, "permanent (undeliverable): twilio answered 400 (21211)")
	var detailed interface{ Detail() string }
	require.ErrorAs(t, err, &detailed)
	require.Equal(t, "21211", detailed.Detail())

	c = newCarrier(t, http.StatusBadGateway, "<html>")
	_, err = gateway(t, config(c.URL)).SendSMS(t.Context(), text())
	require.EqualError(t, err, "twilio answered 502")
	require.ErrorAs(t, err, &detailed)
	require.Empty(t, detailed.Detail())
}

func TestCallsNeedANumber(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_call.json"))
	cfg := config(c.URL)
	cfg.From, cfg.MessagingServiceSID = "", "MG0123456789abcdef0123456789abcdef"
	_, err := gateway(t, cfg).StartCall(t.Context(), call())
	require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
	require.Equal(t, events.ReasonNotConfigured, delivery.ReasonOf(err))
	require.Empty(t, c.requests(), "nothing was sent")
}

func TestEveryFaultOfAConfigurationIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	require.Empty(t, config("").Validate())
	require.Empty(t, config("http://127.0.0.1:8080/sandbox/twilio").Validate())
	for _, c := range []struct {
		name string
		cfg  twilio.Config
		want []string
	}{
		{"nothing is set", twilio.Config{}, []string{"account_sid", "auth_token", "from"}},
		{
			"everything is wrong",
			twilio.Config{BaseURL: "api.twilio.com", AccountSID: "AC_test", AuthToken: "two words", From: "+1 415 555 0100", MessagingServiceSID: "MG1"},
			[]string{"base_url", "account_sid", "auth_token", "from", "messaging_service_sid"},
		},
		{
			"the address has what no address of an API has",
			twilio.Config{BaseURL: "https://user:secret@api.twilio.com", AccountSID: account, AuthToken: token, From: from},
			[]string{"base_url"},
		},
		{
			"the messaging service sends alone",
			twilio.Config{AccountSID: account, AuthToken: token, MessagingServiceSID: "MG0123456789abcdef0123456789abcdef"},
			nil,
		},
		{"a sender has a name", twilio.Config{AccountSID: account, AuthToken: token, From: "ExampleBank"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var keys []string
			for _, fault := range c.cfg.Validate() {
				key, _, _ := strings.Cut(fault.Error(), ":")
				keys = append(keys, key)
				for _, secret := range []string{"AC_test", "two words", "secret", "0100"} {
					assert.NotContains(t, fault.Error(), secret)
				}
			}
			slices.Sort(keys)
			slices.Sort(c.want)
			require.Equal(t, c.want, keys)
			_, err := twilio.New(c.cfg, twilio.NewHTTPClient())
			require.Equal(t, len(c.want) > 0, err != nil)
		})
	}
}
