package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	library "github.com/SherClockHolmes/webpush-go"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/webpush"
	"github.com/assent-io/assent/workers/sandbox"
)

const vapidKey = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"

// browsers carries to the sandbox's phones, as the push worker does.
func (b *bundle) browsers(t *testing.T) *webpush.Gateway {
	t.Helper()
	cfg := webpush.Config{
		Subject: "mailto:push@example.com", PrivateKey: vapidKey,
		StandIn: webpush.StandIn{PublicURL: b.assent.url, URL: b.url, Alone: true},
	}
	client := webpush.NewHTTPClient(cfg)
	t.Cleanup(client.CloseIdleConnections)
	g, err := webpush.New(cfg, client)
	require.NoError(t, err)
	return g
}

func (b *bundle) toBrowser(token string) delivery.Push {
	return delivery.Push{
		Name: delivery.Name{VerificationID: "v1", Send: 1, Attempt: 1}, To: delivery.Address(token), Title: "Example Bank", Body: "Are you signing in?",
		Data: map[string]string{
			"verification_id": "v1", "device_id": "d1", "context": `{"ip":"203.0.113.7"}`, "number_salt": aSalt,
			"respond_to": b.assent.url + "/v1/verifications/v1/responses",
		},
		ExpiresAt: time.Now().Add(5 * time.Minute),
	}
}

func TestAPushReachesABrowserAndIsAnsweredSigned(t *testing.T) {
	b := setup(t)
	p := b.phone(t, "webpush")
	var to library.Subscription
	require.NoError(t, json.Unmarshal([]byte(p.PushToken), &to))
	require.True(t, strings.HasPrefix(to.Endpoint, b.assent.url+"/sandbox/webpush/"))

	_, err := b.browsers(t).SendPush(t.Context(), b.toBrowser(p.PushToken))
	require.NoError(t, err)
	m := b.one(t, "?channel=push")
	require.Equal(t, []string{"webpush", p.PushToken}, []string{m.Provider, m.To})
	require.Equal(t, "Example Bank\nAre you signing in?", m.Text)
	require.Equal(t, "v1", m.Data["verification_id"])
	require.NotContains(t, b.logs.String(), to.Endpoint)
	require.NotContains(t, b.logs.String(), to.Keys.Auth)

	res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"decision":"approve","number":"47"}`)
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	require.Equal(t, "approve", verifySigned(t, p, <-b.assent.got, `{"ip":"203.0.113.7"}`)["decision"])
}

func TestABrowserOfAnEarlierProcessIsKnownAgain(t *testing.T) {
	before := setup(t)
	p := before.phone(t, "webpush")
	b := setupWith(t, before, before.assent.url, "")
	_, err := b.browsers(t).SendPush(t.Context(), b.toBrowser(p.PushToken))
	require.NoError(t, err)
	require.Equal(t, p.PushToken, b.one(t, "?channel=push").To)
}

func TestThePushServiceBehavesAsItIsTold(t *testing.T) {
	b := setup(t)
	p := b.phone(t, "webpush")
	g := b.browsers(t)
	head, tail, ok := strings.Cut(p.PushToken, "/sandbox/webpush/")
	require.True(t, ok)
	_, keys, _ := strings.Cut(tail, `"`)
	at := func(id string) string { return head + "/sandbox/webpush/" + id + `"` + keys }
	for name, token := range map[string]string{"an ended one": at("dead-1"), "one that was never made": at("w.AAAAAAAAAAAAAAAAAAAAAA.x")} {
		_, err := g.SendPush(t.Context(), b.toBrowser(token))
		require.Equal(t, events.ReasonDeviceGone, delivery.ReasonOf(err), "%s: %v", name, err)
	}
	for body, class := range map[string]delivery.Class{
		`{"mode":"throttle","provider":"webpush","count":1,"retry_after":3}`: delivery.ClassRetryAfter,
		`{"mode":"refuse","provider":"webpush","count":1}`:                   delivery.ClassPermanent,
		`{"mode":"unavailable","provider":"webpush","count":1}`:              delivery.ClassTransient,
	} {
		require.Equal(t, http.StatusOK, b.do(t, http.MethodPut, "/sandbox/behaviour", nil, body).status)
		_, err := g.SendPush(t.Context(), b.toBrowser(p.PushToken))
		require.Equal(t, class, delivery.ClassOf(err), "%s: %v", body, err)
	}
	require.Empty(t, b.messages(t, ""))
	_, err := g.SendPush(t.Context(), b.toBrowser(p.PushToken))
	require.NoError(t, err)
}

// rewriting sends what the library makes to the sandbox, changed.
type rewriting struct {
	b      *bundle
	change func(*http.Request)
}

func (r rewriting) Do(req *http.Request) (*http.Response, error) {
	req.URL.Host = strings.TrimPrefix(r.b.url, "http://")
	r.change(req)
	return r.b.client.Do(req)
}

func TestWhatNoPushServiceTakesIsRefusedAndNamed(t *testing.T) {
	now := time.Now()
	b := setup(t, func(c *sandbox.Config) { c.Now = func() time.Time { return now } })
	p := b.phone(t, "webpush")
	other := b.phone(t, "webpush")
	var to, wrong library.Subscription
	require.NoError(t, json.Unmarshal([]byte(p.PushToken), &to))
	require.NoError(t, json.Unmarshal([]byte(other.PushToken), &wrong))
	wrong.Endpoint = to.Endpoint
	elsewhere := to
	elsewhere.Endpoint = strings.Replace(to.Endpoint, "127.0.0.1", "localhost", 1)
	public, err := webpush.PublicKey(vapidKey)
	require.NoError(t, err)
	push := func(to library.Subscription, change func(*http.Request)) int {
		res, err := library.SendNotificationWithContext(t.Context(), []byte(`{"title":"x"}`), &to, &library.Options{
			HTTPClient: rewriting{b, change}, Subscriber: "push@example.com", TTL: 60, VAPIDPublicKey: public, VAPIDPrivateKey: vapidKey,
		})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		to     library.Subscription
		change func(*http.Request)
		status int
	}{
		"no TTL":               {to, header("TTL", ""), http.StatusBadRequest},
		"an unknown urgency":   {to, header("Urgency", "now"), http.StatusBadRequest},
		"a topic that is long": {to, header("Topic", strings.Repeat("x", 33)), http.StatusBadRequest},
		"another encoding":     {to, header("Content-Encoding", "aesgcm"), http.StatusBadRequest},
		"nobody":               {to, func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusUnauthorized},
		"another scheme":       {to, header("Authorization", "Bearer x"), http.StatusUnauthorized},
		"a changed token": {to, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ".", ".e", 1))
		}, http.StatusForbidden},
		"another service's":   {elsewhere, func(*http.Request) {}, http.StatusForbidden},
		"another method":      {to, func(r *http.Request) { r.Method = http.MethodPut }, http.StatusNotFound},
		"another one's keys":  {wrong, func(*http.Request) {}, http.StatusBadRequest},
		"a path below an own": {to, func(r *http.Request) { r.URL.Path += "/x" }, http.StatusNotFound},
	} {
		require.Equal(t, c.status, push(c.to, c.change), name)
	}
	require.Empty(t, b.messages(t, ""))
	require.Equal(t, http.StatusCreated, push(to, func(*http.Request) {}))
	now = now.Add(13 * time.Hour)
	require.Equal(t, http.StatusForbidden, push(to, func(*http.Request) {}), "the token has ended by the sandbox's clock")
	now = now.Add(-26 * time.Hour)
	require.Equal(t, http.StatusForbidden, push(to, func(*http.Request) {}), "the token lasts longer than a day by it")
	require.Equal(t, http.StatusRequestEntityTooLarge, b.do(t, http.MethodPost, strings.TrimPrefix(to.Endpoint, b.assent.url), nil, strings.Repeat("x", 4097)).status)
}
