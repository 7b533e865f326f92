package webpush_test

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	subscribed "github.com/assent-io/assent/events/webpush"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/internal/aes128gcm"
	"github.com/assent-io/assent/workers/provider/providertest"
	"github.com/assent-io/assent/workers/provider/webpush"
)

// The keys of RFC 8291, appendix A: the sender's stands for the VAPID key, and the receiver is the browser.
const (
	vapidKey    = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
	vapidPublic = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
	browserKey  = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
	p256dh      = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	auth        = "BTBZMqHH6r4Tts7J_aSIgg"
	secretPath  = "/carrier/dQw4w9WgXcQ"
)

func local() webpush.Config {
	return webpush.Config{Subject: "mailto:push@example.com", PrivateKey: vapidKey, Hosts: []string{"127.0.0.1"}, AllowPrivate: true}
}

func gateway(t *testing.T, cfg webpush.Config) *webpush.Gateway {
	t.Helper()
	client := webpush.NewHTTPClient(cfg)
	t.Cleanup(client.CloseIdleConnections)
	g, err := webpush.New(cfg, client)
	require.NoError(t, err)
	return g
}

func subscription(endpoint string) delivery.Address {
	return delivery.Address(subscribed.Subscription{Endpoint: endpoint, Keys: subscribed.Keys{P256dh: p256dh, Auth: auth}}.Token())
}

func message(endpoint string) delivery.Push {
	return delivery.Push{
		Name: delivery.Name{VerificationID: "vrf_01", Send: 1, Attempt: 1}, To: subscription(endpoint),
		Title: "Example Bank", Body: "482913 is your code.", Code: "482913",
		Data:      map[string]string{"verification_id": "vrf_01", "context": `{"ip":"203.0.113.7"}`},
		ExpiresAt: time.Now().Add(5 * time.Minute),
	}
}

func TestEveryAnswerIsClassified(t *testing.T) {
	t.Parallel()
	answer := func(name string, status int, class delivery.Class, reason string) providertest.Case {
		return providertest.Case{Name: name, Status: status, Class: class, Reason: reason}
	}
	const (
		permanent = delivery.ClassPermanent
		transient = delivery.ClassTransient
	)
	providertest.Run(t, providertest.Suite{
		Adapter: func(t *testing.T, base string) providertest.Send {
			t.Helper()
			g := gateway(t, local())
			return func(ctx context.Context) (delivery.Receipt, error) {
				return g.SendPush(ctx, message(strings.Replace(base+"/", "/carrier/", secretPath, 1)))
			}
		},
		Secrets: []string{"dQw4w9WgXcQ", p256dh, auth, vapidKey, "203.0.113.7", "482913"},
		OK:      providertest.Case{Status: 201, Header: map[string]string{"Location": "/carrier/dQw4w9WgXcQ/1"}},
		Override: map[string]delivery.Class{
			providertest.QuotingRefusal: permanent,
			providertest.HalfBody:       "", // nothing is read of a body
		},
		Cases: []providertest.Case{
			answer("200 is taken too", 200, "", ""),
			answer("202 is taken too", 202, "", ""),
			answer("404 means that the subscription is gone", 404, permanent, events.ReasonDeviceGone),
			answer("410 means that the subscription is gone", 410, permanent, events.ReasonDeviceGone),
			answer("413 is refused for good", 413, permanent, events.ReasonMessageRefused),
			answer("400 says nothing of other subscriptions", 400, permanent, events.ReasonNotConfigured),
			answer("401 says nothing of other subscriptions", 401, permanent, events.ReasonNotConfigured),
			answer("403 for another key says nothing of other subscriptions", 403, permanent, events.ReasonNotConfigured),
			answer("408 is transient", 408, transient, ""),
			answer("500 is transient", 500, transient, ""),
			{
				Name: "503 with Retry-After waits as told", Status: 503, Header: map[string]string{"Retry-After": "90"},
				Class: delivery.ClassRetryAfter, After: 90 * time.Second,
			},
			{
				Name: "a redirect is not followed", Status: 307,
				Header: map[string]string{"Location": "/carrier/elsewhere"}, Class: permanent, Reason: events.ReasonNotConfigured,
			},
		},
	})
}

// received is one push as the service and the browser behind it read it.
type received struct {
	host, path string
	header     http.Header
	size       int
	text       []byte
}

// service takes every push and decrypts it.
func service(t *testing.T) (string, chan received) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(browserKey)
	require.NoError(t, err)
	key, err := ecdh.P256().NewPrivateKey(raw)
	require.NoError(t, err)
	secret, err := base64.RawURLEncoding.DecodeString(auth)
	require.NoError(t, err)
	got := make(chan received, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		text, err := aes128gcm.Open(key, secret, body)
		assert.NoError(t, err)
		got <- received{r.Host, r.URL.Path, r.Header, len(body), text}
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, got
}

func TestOnlyTheBrowserReadsAMessageAndItsServiceKnowsUs(t *testing.T) {
	t.Parallel()
	base, calls := service(t)
	_, err := gateway(t, local()).SendPush(t.Context(), message(base+"/send/1?x=1"))
	require.NoError(t, err)

	got := <-calls
	require.JSONEq(t, `{"verification_id":"vrf_01","context":"{\"ip\":\"203.0.113.7\"}","title":"Example Bank","body":"482913 is your code.","code":"482913"}`, string(got.text))
	require.Equal(t, "/send/1", got.path)
	require.Equal(t, "aes128gcm", got.header.Get("Content-Encoding"))
	require.Equal(t, "high", got.header.Get("Urgency"))
	require.Regexp(t, `^[A-Za-z0-9_-]{32}$`, got.header.Get("Topic"))
	require.LessOrEqual(t, got.size, 4096)
	ttl, err := strconv.Atoi(got.header.Get("TTL"))
	require.NoError(t, err)
	require.Positive(t, ttl)
	require.LessOrEqual(t, ttl, 300)

	token, ok := strings.CutPrefix(got.header.Get("Authorization"), "vapid t=")
	require.True(t, ok)
	token, key, _ := strings.Cut(token, ", k=")
	require.Equal(t, vapidPublic, key)
	parsed, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return publicKey(t), nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(base), jwt.WithExpirationRequired())
	require.NoError(t, err)
	subject, err := parsed.Claims.GetSubject()
	require.NoError(t, err)
	require.Equal(t, "mailto:push@example.com", subject)
}

func TestSendsOfAVerificationReplaceEachOtherAndNoOthers(t *testing.T) {
	t.Parallel()
	base, calls := service(t)
	g := gateway(t, local())
	topic := func(id string, end time.Duration) (string, string) {
		m := message(base + "/1")
		m.VerificationID, m.ExpiresAt = id, time.Now().Add(end)
		_, err := g.SendPush(t.Context(), m)
		require.NoError(t, err)
		got := <-calls
		return got.header.Get("Topic"), got.header.Get("TTL")
	}
	first, _ := topic("0199b1c2-0000-7000-8000-000000000001", time.Minute)
	again, ttl := topic("0199b1c2-0000-7000-8000-000000000001", -time.Minute)
	other, _ := topic("0199b1c2-0000-7000-8000-000000000002", time.Minute)
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)
	require.Equal(t, "0", ttl, "a message that is past its end is not kept")
}

func TestTheLargestMessageFitsAndALargerOneIsRefusedBeforeTheCall(t *testing.T) {
	t.Parallel()
	base, calls := service(t)
	g := gateway(t, local())
	m := message(base + "/1")
	without, err := json.Marshal(map[string]string{"title": m.Title, "body": m.Body.Reveal(), "code": "482913", "x": ""})
	require.NoError(t, err)
	m.Data = map[string]string{"x": strings.Repeat("x", 3993-len(without))}
	_, err = g.SendPush(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, 4096, (<-calls).size)

	m.Data["x"] += "x"
	_, err = g.SendPush(t.Context(), m)
	require.Equal(t, events.ReasonMessageRefused, delivery.ReasonOf(err))
	require.Empty(t, calls)
}

// nowhere is an endpoint whose name has a part longer than any name has (RFC 1035, section 2.3.4): no resolver is
// asked for it.
var nowhere = "https://" + strings.Repeat("a", 64) + ".test/x"

func TestOnlyPushServicesAreCalled(t *testing.T) {
	t.Parallel()
	base, calls := service(t)
	at := func(change func(*webpush.Config)) webpush.Config {
		cfg := local()
		change(&cfg)
		return cfg
	}
	for name, c := range map[string]struct {
		cfg    webpush.Config
		to     delivery.Address
		reason string
	}{
		"no push token":              {local(), "", events.ReasonDeviceGone},
		"a token of another kind":    {local(), "dQw4w9WgXcQ:APA91b", events.ReasonDeviceGone},
		"a private address":          {at(func(c *webpush.Config) { c.AllowPrivate = false }), subscription(base + "/1"), events.ReasonNotConfigured},
		"a name with such":           {at(func(c *webpush.Config) { c.AllowPrivate, c.Hosts = false, []string{"*"} }), subscription("https://localhost/1"), events.ReasonNotConfigured},
		"an address of the link":     {at(func(c *webpush.Config) { c.AllowPrivate, c.Hosts = false, []string{"*"} }), subscription("https://169.254.169.254/latest"), events.ReasonNotConfigured},
		"a host that is not named":   {at(func(c *webpush.Config) { c.Hosts = nil }), subscription(base + "/1"), events.ReasonNotConfigured},
		"a port of no browser's":     {at(func(c *webpush.Config) { c.Hosts = nil }), subscription("https://fcm.googleapis.com:444/x"), events.ReasonNotConfigured},
		"a name that cannot be":      {at(func(c *webpush.Config) { c.Hosts = []string{"*"} }), subscription(nowhere), events.ReasonNotConfigured},
		"a host that looks like one": {at(func(c *webpush.Config) { c.Hosts = []string{"*.7.0.0.1"} }), subscription(base + "/1"), events.ReasonNotConfigured},
		"any, beside the sandbox alone": {
			at(func(c *webpush.Config) {
				c.StandIn = webpush.StandIn{PublicURL: "https://a.test", URL: base, Alone: true}
			}),
			subscription(base + "/1"), events.ReasonNotConfigured,
		},
	} {
		m := message("")
		m.To = c.to
		_, err := gateway(t, c.cfg).SendPush(t.Context(), m)
		require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err), "%s: %v", name, err)
		require.Equal(t, c.reason, delivery.ReasonOf(err), "%s: %v", name, err)
		providertest.LeaksNothing(t, err, "127.0.0.1", "169.254", "dQw4w9WgXcQ", auth)
	}
	require.Empty(t, calls)
}

func TestTheSandboxIsCalledWhereItIsUnderItsPublicName(t *testing.T) {
	t.Parallel()
	base, calls := service(t)
	cfg := webpush.Config{Subject: "https://assent.test", PrivateKey: vapidKey, StandIn: webpush.StandIn{PublicURL: "https://assent.test/a", URL: base, Alone: true}}
	g := gateway(t, cfg)
	_, err := g.SendPush(t.Context(), message("https://assent.test/a/sandbox/webpush/w.1"))
	require.NoError(t, err)
	got := <-calls
	require.Equal(t, []string{"assent.test", "/sandbox/webpush/w.1"}, []string{got.host, got.path})
	for _, endpoint := range []string{
		"https://assent.test/a/sandbox/webpush/", "https://assent.test/a/sandbox/webpush/../../v1/users", "https://assent.test/a/v1/users",
		"https://assent.test/a/sandbox/webpush/%2e%2e", "https://assent.test/a/sandbox/webpush/x?y", "https://assent.test.example/a/sandbox/webpush/x",
	} {
		_, err := g.SendPush(t.Context(), message(endpoint))
		require.Equal(t, events.ReasonNotConfigured, delivery.ReasonOf(err), endpoint)
	}
	require.Empty(t, calls)
}
