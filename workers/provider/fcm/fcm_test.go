package fcm_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/fcm"
	"github.com/assent-io/assent/workers/provider/providertest"
)

const (
	device = "dQw4w9WgXcQ:APA91bHun4MxP5egoKMwt2KZFBaFUH"
	bearer = "ya29.stand-in-token"
)

func gateway(t *testing.T, cfg fcm.Config) *fcm.Gateway {
	t.Helper()
	client := fcm.NewHTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	g, err := fcm.New(t.Context(), cfg, client)
	require.NoError(t, err)
	return g
}

func standIn(base string) fcm.Config {
	return fcm.Config{BaseURL: base, ProjectID: "example", Token: bearer}
}

func message() delivery.Push {
	return delivery.Push{
		Name: delivery.Name{VerificationID: "vrf_01", Send: 1, Attempt: 1}, To: device,
		Title: "Example Bank", Body: "Are you signing in?",
		Data:      map[string]string{"verification_id": "vrf_01", "context": `{"ip":"203.0.113.7"}`},
		ExpiresAt: time.Now().Add(5 * time.Minute),
	}
}

// brought is a push that brings a code.
func brought() delivery.Push {
	m := message()
	m.Body, m.Code = "482913 is your code.", "482913"
	return m
}

func TestEveryAnswerIsClassified(t *testing.T) {
	t.Parallel()
	answer := func(name string, status int, file string, class delivery.Class, reason string) providertest.Case {
		return providertest.Case{Name: name, Status: status, Body: providertest.Body(t, file), Class: class, Reason: reason}
	}
	const (
		permanent     = delivery.ClassPermanent
		misconfigured = delivery.ClassMisconfigured
		transient     = delivery.ClassTransient
	)
	providertest.Run(t, providertest.Suite{
		Adapter: func(t *testing.T, base string) providertest.Send {
			t.Helper()
			g := gateway(t, standIn(base))
			return func(ctx context.Context) (delivery.Receipt, error) { return g.SendPush(ctx, brought()) }
		},
		Secrets: []string{device, bearer, "203.0.113.7", "482913"},
		OK: providertest.Case{
			Status: 200, Body: providertest.Body(t, "200_sent.json"),
			Receipt: delivery.Receipt{ID: "projects/example/messages/0:1500415314455276%31bd1c9631bd1c96"},
		},
		Override: map[string]delivery.Class{providertest.QuotingRefusal: permanent},
		Cases: []providertest.Case{
			// The SDK's questions see nothing in a wrapped error: these two tell whether they were asked first.
			answer("an unregistered device is gone", 404, "404_unregistered.json", permanent, events.ReasonDeviceGone),
			answer("another project's push token is gone", 403, "403_sender_id_mismatch.json", permanent, events.ReasonDeviceGone),
			answer("a malformed push token is gone", 400, "400_bad_token.json", permanent, events.ReasonDeviceGone),
			answer("a field violation of the token is gone", 400, "400_bad_field_token.json", permanent, events.ReasonDeviceGone),
			answer("a payload FCM refuses gives no device up", 400, "400_bad_payload.json", permanent, events.ReasonMessageRefused),
			answer("wrong credentials are the operator's to mend", 401, "401_unauthenticated.json", misconfigured, ""),
			answer("wrong APNs credentials in Firebase are the operator's to mend", 401, "401_third_party_auth.json", misconfigured, ""),
			answer("an API that is off is the operator's to mend", 403, "403_api_disabled.json", misconfigured, ""),
			answer("an unknown project is the operator's to mend", 404, "404_no_project.json", misconfigured, ""),
			answer("a spent quota is a throttle", 429, "429_quota.json", delivery.ClassRetryAfter, ""),
			answer("500 is transient", 500, "500_internal.json", transient, ""),
			answer("503 is transient and asked once", 503, "503_unavailable.json", transient, ""),
			{
				Name: "a spent quota with Retry-After waits as told", Status: 429, Header: map[string]string{"Retry-After": "60"},
				Body: providertest.Body(t, "429_quota.json"), Class: delivery.ClassRetryAfter, After: time.Minute,
			},
			{
				// The SDK alone would sleep for the whole time and then ask again.
				Name: "503 with Retry-After returns at once and waits as told", Status: 503, Header: map[string]string{"Retry-After": "90"},
				Body: providertest.Body(t, "503_unavailable.json"), Class: delivery.ClassRetryAfter, After: 90 * time.Second,
			},
			{Name: "502 from a proxy, in HTML, is transient", Status: 502, Body: "<html>", Class: transient},
			{Name: "413 is refused for good", Status: 413, Class: permanent, Reason: events.ReasonMessageRefused},
			{Name: "200 without a name leaves the fate unknown", Status: 200, Body: "{}", Class: delivery.ClassUnknown},
			{Name: "200 with a login page leaves the fate unknown", Status: 200, Body: "<html>", Class: delivery.ClassUnknown},
			{
				Name: "a redirect is not followed", Status: 307,
				Header: map[string]string{"Location": "/carrier/elsewhere"}, Class: misconfigured,
			},
		},
	})
}

// received is one call as FCM reads it.
type received struct {
	path, authorization string
	Message             map[string]any `json:"message"`
}

// project accepts every message and hands it to each.
func project(t *testing.T, each func(received)) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		got := received{path: r.URL.Path, authorization: r.Header.Get("Authorization")}
		assert.NoError(t, json.Unmarshal(body, &got))
		each(got)
		_, _ = io.WriteString(w, `{"name":"projects/example/messages/1"}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestADataMessageIsSentWhole(t *testing.T) {
	t.Parallel()
	calls := make(chan received, 1)
	base := project(t, func(r received) { calls <- r })
	_, err := gateway(t, standIn(base+"/some/prefix/")).SendPush(t.Context(), message())
	require.NoError(t, err)

	got := <-calls
	assert.Equal(t, "/some/prefix/v1/projects/example/messages:send", got.path)
	assert.Equal(t, "Bearer "+bearer, got.authorization)
	android, ok := got.Message["android"].(map[string]any)
	require.True(t, ok)
	ttl, err := time.ParseDuration(android["ttl"].(string))
	require.NoError(t, err)
	assert.Positive(t, ttl)
	assert.LessOrEqual(t, ttl, 5*time.Minute)
	delete(android, "ttl")
	assert.Equal(t, map[string]any{
		"token": device,
		"data": map[string]any{
			"verification_id": "vrf_01", "context": `{"ip":"203.0.113.7"}`,
			"title": "Example Bank", "body": "Are you signing in?",
		},
		"android": map[string]any{"priority": "high", "collapse_key": "vrf_01"},
	}, got.Message, "data only: FCM would draw a notification of its own without buttons")
}

func TestACodeIsReadInWhatTheAppDrawsAndByItself(t *testing.T) {
	t.Parallel()
	calls := make(chan received, 1)
	base := project(t, func(r received) { calls <- r })
	_, err := gateway(t, standIn(base)).SendPush(t.Context(), brought())
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"verification_id": "vrf_01", "context": `{"ip":"203.0.113.7"}`,
		"title": "Example Bank", "body": "482913 is your code.", "code": "482913",
	}, (<-calls).Message["data"])
}

func TestAMessageThatIsPastItsEndIsNotKept(t *testing.T) {
	t.Parallel()
	calls := make(chan received, 1)
	base := project(t, func(r received) { calls <- r })
	m := message()
	m.ExpiresAt = time.Now().Add(-time.Minute)
	_, err := gateway(t, standIn(base)).SendPush(t.Context(), m)
	require.NoError(t, err)
	android, ok := (<-calls).Message["android"].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "0s", android["ttl"])
}

func TestWhatFCMCannotTakeIsRefusedBeforeTheCall(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*delivery.Push)
		reason string
	}{
		"data over 4096 bytes": {func(m *delivery.Push) { m.Data["place"] = strings.Repeat("x", 4096) }, events.ReasonMessageRefused},
		"no push token":        {func(m *delivery.Push) { m.To = "" }, events.ReasonDeviceGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := project(t, func(received) { t.Error("the call was made") })
			m := message()
			tc.change(&m)
			_, err := gateway(t, standIn(base)).SendPush(t.Context(), m)
			assert.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
			assert.Equal(t, tc.reason, delivery.ReasonOf(err))
		})
	}
}

func TestParallelPushesAreAllSent(t *testing.T) {
	t.Parallel()
	const pushes = 100
	var mu sync.Mutex
	tokens := map[any]int{}
	base := project(t, func(r received) {
		mu.Lock()
		defer mu.Unlock()
		tokens[r.Message["token"]]++
	})
	g := gateway(t, standIn(base))
	var wg sync.WaitGroup
	for i := range pushes {
		wg.Go(func() {
			m := message()
			m.To = delivery.Address(device + strings.Repeat("a", i))
			_, err := g.SendPush(t.Context(), m)
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	require.Len(t, tokens, pushes)
	for _, n := range tokens {
		assert.Equal(t, 1, n)
	}
}
