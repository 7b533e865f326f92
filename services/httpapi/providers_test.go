package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/provider"
)

// carriers are two providers of text messages.
type carriers struct {
	governed bool
	now      func() time.Time
	paused   map[string]string
	channel  string
}

func (c *carriers) Providers(context.Context) ([]provider.Provider, bool, error) {
	list := []provider.Provider{
		{Name: "acme", Channel: "sms", State: provider.Open, Since: c.now(), Wait: 3500 * time.Millisecond, Processes: 2},
		{
			Name: "twilio", Channel: "sms", State: provider.OK, Rate: 100, Concurrency: 50, InFlight: 12, Processes: 3,
			Waiting: provider.Lanes{Verification: 1, Transactional: 2, Bulk: 87},
		},
	}
	for i := range list {
		if reason, ok := c.paused[list[i].Name]; ok {
			list[i].State, list[i].Reason, list[i].Wait = provider.Paused, reason, 0
		}
	}
	return list, c.governed, nil
}

func (c *carriers) known(name string) error {
	if name != "acme" && name != "twilio" {
		return &provider.UnknownError{Name: name, Known: []string{"acme", "twilio"}}
	}
	return nil
}

func (c *carriers) PauseProvider(_ context.Context, name, channel, reason string) error {
	c.channel = channel
	if err := c.known(name); err != nil {
		return err
	}
	c.paused[name] = reason
	return nil
}

func (c *carriers) ResumeProvider(_ context.Context, name, channel string) error {
	c.channel = channel
	delete(c.paused, name)
	return c.known(name)
}

func providers(t *testing.T) (*bench, *carriers) {
	t.Helper()
	c := &carriers{governed: true, paused: map[string]string{}}
	return setup(t, withProviders(c)), c
}

func withProviders(c *carriers) func(*httpapi.Config) {
	return func(cfg *httpapi.Config) {
		c.now = cfg.Now
		cfg.Providers = c
	}
}

func TestProvidersAreListedPausedAndResumed(t *testing.T) {
	t.Parallel()
	b, c := providers(t)
	a := b.get("/v1/providers")
	require.Equal(t, http.StatusOK, a.StatusCode)
	const twilio = `{"name":"twilio","channel":"sms","state":"ok","quota":{"rate":100,"concurrency":50},"in_flight":12,
		"waiting":{"verification":1,"transactional":2,"bulk":87},"processes":3}`
	const none = `"in_flight":0,"waiting":{"verification":0,"transactional":0,"bulk":0},"processes":2}`
	require.JSONEq(t, `{"governed":true,"data":[{"name":"acme","channel":"sms","state":"open","since":"2026-11-21T10:04:31.123Z","retry_in":4,`+none+`,`+twilio+`]}`, string(a.body))

	a = b.post("/v1/providers/acme/pause", `{"channel":"sms","reason":"maintenance"}`)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "sms", c.channel)
	require.JSONEq(t, `{"governed":true,"data":[{"name":"acme","channel":"sms","state":"paused","since":"2026-11-21T10:04:31.123Z","reason":"maintenance",`+none+`]}`, string(a.body))
	c.governed = false
	a = b.post("/v1/providers/acme/resume", `{}`)
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Empty(t, c.channel)
	require.Contains(t, string(a.body), `"governed":false`)
	require.Contains(t, string(a.body), `"state":"open"`)
}

func TestOnlyTheOperatorPausesAndResumesProviders(t *testing.T) {
	t.Parallel()
	b, c := providers(t)
	c.paused["twilio"] = "maintenance"
	for _, path := range []string{"/v1/providers/acme/pause", "/v1/providers/twilio/resume"} {
		p := b.do(call{method: http.MethodPost, path: path, body: `{}`, client: other}).problem(t)
		require.Equal(t, http.StatusForbidden, p.Status, path)
		require.Equal(t, api.ProblemCodeForbidden, p.Code)
		require.Contains(t, p.Detail, "Only the operator may do this")
	}
	require.Equal(t, map[string]string{"twilio": "maintenance"}, c.paused)
	require.Equal(t, http.StatusOK, b.do(call{method: http.MethodGet, path: "/v1/providers", client: other}).StatusCode, "all may look")
}

func TestAnUnknownProviderIsToldWithThoseThatThereAre(t *testing.T) {
	t.Parallel()
	b, _ := providers(t)
	for _, action := range []string{"pause", "resume"} {
		p := b.post("/v1/providers/vonage/"+action, `{}`).problem(t)
		require.Equal(t, http.StatusNotFound, p.Status)
		require.Equal(t, "There is no such provider; there are: acme, twilio.", p.Detail)
		p = b.post("/v1/providers/acme/"+action, `{"channel":"totp"}`).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status)
		require.Contains(t, p.Detail, "must be sms, voice, email or push")
	}
	p := b.post("/v1/providers/acme/pause", `{"reason":"a\u0007b"}`).problem(t)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)
}
