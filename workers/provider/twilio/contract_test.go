package twilio_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
)

// description is Twilio's published description of the operations that the adapter calls.
func description(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(providertest.Body(t, "twilio_api_v2010.yaml")))
	require.NoError(t, err)
	return doc
}

// conforms holds a request against the description: path, account, every parameter known and well formed.
func conforms(t *testing.T, path string, r request) {
	t.Helper()
	doc := description(t)
	item := doc.Paths.Find(path)
	require.NotNil(t, item, path)
	require.Equal(t, strings.ReplaceAll(path, "{AccountSid}", account), r.URL.Path)

	known := item.Post.RequestBody.Value.Content["application/x-www-form-urlencoded"].Schema.Value.Properties
	for name := range r.form {
		require.Contains(t, known, name)
	}
	again, err := http.NewRequestWithContext(t.Context(), r.Method, "https://api.twilio.com"+r.URL.Path, strings.NewReader(r.form.Encode()))
	require.NoError(t, err)
	again.Header = r.Header.Clone()
	require.NoError(t, openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
		Request:    again,
		PathParams: map[string]string{"AccountSid": account},
		Route:      &routers.Route{Spec: doc, Path: path, PathItem: item, Method: http.MethodPost, Operation: item.Post},
		Options: &openapi3filter.Options{AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
			user, pass, ok := in.RequestValidationInput.Request.BasicAuth()
			require.True(t, ok)
			require.Equal(t, account, user)
			require.Equal(t, token, pass)
			return nil
		}},
	}))
}

func TestATextMessageIsAsTwilioDescribesIt(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	_, err := gateway(t, config(c.URL)).SendSMS(t.Context(), text())
	require.NoError(t, err)
	require.Len(t, c.requests(), 1)
	r := c.requests()[0]
	conforms(t, "/2010-04-01/Accounts/{AccountSid}/Messages.json", r)
	require.Equal(t, map[string][]string{
		"To":               {to},
		"From":             {from},
		"Body":             {code + " is your code."},
		"StatusCallback":   {"https://id.example.com/callbacks/twilio/sms/vrf_01/1"},
		"ValidityPeriod":   {"120"},
		"ContentRetention": {"discard"},
		"AddressRetention": {"obfuscate"},
	}, map[string][]string(r.form))
}

func TestACallIsAsTwilioDescribesIt(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_call.json"))
	_, err := gateway(t, config(c.URL)).StartCall(t.Context(), call())
	require.NoError(t, err)
	require.Len(t, c.requests(), 1)
	r := c.requests()[0]
	conforms(t, "/2010-04-01/Accounts/{AccountSid}/Calls.json", r)
	require.Equal(t, map[string][]string{
		"To":                  {to},
		"From":                {from},
		"Twiml":               {"<Response><Say>4, 8, 2, 9, 1, 3</Say></Response>"},
		"Timeout":             {"25"},
		"StatusCallback":      {"https://id.example.com/callbacks/twilio/call/vrf_01/1"},
		"StatusCallbackEvent": {"initiated", "ringing", "answered", "completed"},
	}, map[string][]string(r.form))
}

func TestWithoutAWayBackNoCallbackIsAskedFor(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	g := gateway(t, config(c.URL))
	sms, phone := text(), call()
	sms.CallbackURL, phone.CallbackURL = "", ""
	_, err := g.SendSMS(t.Context(), sms)
	require.NoError(t, err)
	_, err = g.StartCall(t.Context(), phone)
	require.NoError(t, err)
	require.Len(t, c.requests(), 2)
	for _, r := range c.requests() {
		require.NotContains(t, r.form, "StatusCallback")
		require.NotContains(t, r.form, "StatusCallbackEvent")
	}
}

func TestAMessagingServiceGoesBeforeTheNumber(t *testing.T) {
	t.Parallel()
	const service = "MG0123456789abcdef0123456789abcdef"
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	cfg := config(c.URL)
	cfg.MessagingServiceSID = service
	_, err := gateway(t, cfg).SendSMS(t.Context(), text())
	require.NoError(t, err)
	r := c.requests()[0]
	conforms(t, "/2010-04-01/Accounts/{AccountSid}/Messages.json", r)
	require.Equal(t, service, r.form.Get("MessagingServiceSid"))
	require.NotContains(t, r.form, "From")
}

func TestTheRemainingLifeIsWholeSecondsWithinTwiliosBounds(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	g := gateway(t, config(c.URL))
	for i, w := range []struct {
		life              time.Duration
		validity, ringing string
	}{
		{-time.Minute, "1", "1"},
		{0, "1", "1"},
		{999 * time.Millisecond, "1", "1"},
		{61*time.Second + 900*time.Millisecond, "61", "61"},
		{24 * time.Hour, "14400", "600"},
	} {
		sms, phone := text(), call()
		sms.ValidFor, phone.RingFor = w.life, w.life
		_, err := g.SendSMS(t.Context(), sms)
		require.NoError(t, err)
		_, err = g.StartCall(t.Context(), phone)
		require.NoError(t, err)
		require.Equal(t, w.validity, c.requests()[2*i].form.Get("ValidityPeriod"))
		require.Equal(t, w.ringing, c.requests()[2*i+1].form.Get("Timeout"))
	}
}

func TestTheBaseURLMayHaveAPathPrefix(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	for _, suffix := range []string{"/sandbox/twilio", "/sandbox/twilio/"} {
		_, err := gateway(t, config(c.URL+suffix)).SendSMS(t.Context(), text())
		require.NoError(t, err)
	}
	for _, r := range c.requests() {
		require.Equal(t, "/sandbox/twilio/2010-04-01/Accounts/"+account+"/Messages.json", r.URL.Path)
	}
}

func TestEveryCharacterArrives(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	sms := text()
	sms.Body = "é ü & = + % €\n“x”"
	_, err := gateway(t, config(c.URL)).SendSMS(t.Context(), sms)
	require.NoError(t, err)
	require.Equal(t, sms.Body, delivery.Code(c.requests()[0].form.Get("Body")))
}
