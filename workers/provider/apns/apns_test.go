package apns_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/apns"
	"github.com/assent-io/assent/workers/provider/providertest"
)

const device = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"

// signingKey makes a .p8 file's text.
func signingKey(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func config(t *testing.T, base string) apns.Config {
	t.Helper()
	return apns.Config{
		BaseURL: base, Key: signingKey(t, elliptic.P256()),
		KeyID: "ABC123DEFG", TeamID: "DEF123GHIJ", Topic: "com.example.bank",
	}
}

func gateway(t *testing.T, base string) *apns.Gateway {
	t.Helper()
	cfg := config(t, base)
	client := apns.NewHTTPClient(cfg)
	t.Cleanup(client.CloseIdleConnections)
	g, err := apns.New(cfg, client)
	require.NoError(t, err)
	return g
}

func message() delivery.Push {
	return delivery.Push{
		Name: delivery.Name{VerificationID: "vrf_01", Send: 1, Attempt: 1}, To: device,
		Title: "Example Bank", Body: "Are you signing in?",
		Data:      map[string]string{"verification_id": "vrf_01", "context": `{"ip":"203.0.113.7","action":"Pay <5>"}`},
		Buttons:   true,
		ExpiresAt: time.Now().Add(5 * time.Minute),
	}
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
		HTTP2: true,
		Adapter: func(t *testing.T, base string) providertest.Send {
			t.Helper()
			g := gateway(t, base)
			return func(ctx context.Context) (delivery.Receipt, error) { return g.SendPush(ctx, brought()) }
		},
		Secrets: []string{device, "203.0.113.7", "Example Bank", "482913"},
		OK: providertest.Case{
			Status: 200, Header: map[string]string{"apns-id": "8c5f0a52-1c0e-4f6e-9a2f-2a9a7f0b8a11"},
			Receipt: delivery.Receipt{ID: "8c5f0a52-1c0e-4f6e-9a2f-2a9a7f0b8a11"},
		},
		// 200 is the whole of APNs' promise: its body is empty and means nothing.
		Override: map[string]delivery.Class{
			providertest.HalfBody:       "",
			providertest.QuotingRefusal: permanent,
		},
		Cases: []providertest.Case{
			answer("an unregistered device is gone", 410, "410_unregistered.json", permanent, events.ReasonDeviceGone),
			answer("an expired push token is gone", 410, "410_expired_token.json", permanent, events.ReasonDeviceGone),
			answer("a bad push token is gone", 400, "400_bad_device_token.json", permanent, events.ReasonDeviceGone),
			answer("another app's push token is gone", 400, "400_device_token_not_for_topic.json", permanent, events.ReasonDeviceGone),
			answer("a topic the key may not use is the operator's to mend", 400, "400_topic_disallowed.json", misconfigured, ""),
			answer("a missing topic is the operator's to mend", 400, "400_missing_topic.json", misconfigured, ""),
			answer("a malformed request is refused for good", 400, "400_bad_collapse_id.json", permanent, events.ReasonMessageRefused),
			answer("a connection closed for silence is transient", 400, "400_idle_timeout.json", transient, ""),
			answer("a wrong signature is the operator's to mend", 403, "403_invalid_provider_token.json", misconfigured, ""),
			answer("a stale token is the operator's clock to mend", 403, "403_expired_provider_token.json", misconfigured, ""),
			answer("the wrong environment is the operator's to mend", 403, "403_bad_certificate_environment.json", misconfigured, ""),
			answer("a wrong path is the operator's to mend", 404, "404_bad_path.json", misconfigured, ""),
			answer("a payload that is too large is refused for good", 413, "413_payload_too_large.json", permanent, events.ReasonMessageRefused),
			answer("too many pushes to one device is transient", 429, "429_too_many_requests.json", transient, ""),
			answer("too many provider tokens is a throttle", 429, "429_too_many_provider_token_updates.json", delivery.ClassRetryAfter, ""),
			answer("500 is transient", 500, "500_internal_server_error.json", transient, ""),
			answer("503 is transient", 503, "503_service_unavailable.json", transient, ""),
			answer("a server shutting down is transient", 503, "503_shutdown.json", transient, ""),
			{
				Name: "503 with Retry-After waits as told", Status: 503, Header: map[string]string{"Retry-After": "900"},
				Body: providertest.Body(t, "503_service_unavailable.json"), Class: delivery.ClassRetryAfter, After: 15 * time.Minute,
			},
			{Name: "403 from a proxy, in HTML, keeps its status", Status: 403, Body: "<html>", Class: misconfigured},
			{Name: "410 without a body still means gone", Status: 410, Class: permanent, Reason: events.ReasonDeviceGone},
			{Name: "204 is not APNs' word for taken", Status: 204, Class: delivery.ClassUnknown},
		},
	})
}

// received is one call as a server saw it.
type received struct {
	path    string
	header  http.Header
	proto   int
	payload map[string]any
}

// server accepts every push and hands it to each.
func server(t *testing.T, each func(received), start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		got := received{path: r.URL.Path, header: r.Header, proto: r.ProtoMajor}
		assert.NoError(t, json.Unmarshal(body, &got.payload))
		each(got)
	}))
	start(srv)
	t.Cleanup(srv.Close)
	return srv
}

func clearText(srv *httptest.Server) {
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
}

func TestANotificationIsSentWhole(t *testing.T) {
	t.Parallel()
	calls := make(chan received, 1)
	srv := server(t, func(r received) { calls <- r }, clearText)
	m := message()
	receipt, err := gateway(t, srv.URL+"/some/prefix/").SendPush(t.Context(), m)
	require.NoError(t, err)

	got := <-calls
	assert.Equal(t, "/some/prefix/3/device/"+device, got.path)
	assert.Equal(t, 2, got.proto)
	assert.Regexp(t, `^bearer [\w-]+\.[\w-]+\.[\w-]+$`, got.header.Get("authorization"))
	assert.Equal(t, "com.example.bank", got.header.Get("apns-topic"))
	assert.Equal(t, "alert", got.header.Get("apns-push-type"))
	assert.Equal(t, "10", got.header.Get("apns-priority"))
	assert.Equal(t, "vrf_01", got.header.Get("apns-collapse-id"))
	assert.Equal(t, strconv.FormatInt(m.ExpiresAt.Unix(), 10), got.header.Get("apns-expiration"))
	id, err := uuid.Parse(got.header.Get("apns-id"))
	require.NoError(t, err)
	assert.Equal(t, delivery.Receipt{ID: id.String()}, receipt)
	assert.Equal(t, map[string]any{
		"aps": map[string]any{
			"alert":              map[string]any{"title": "Example Bank", "body": "Are you signing in?"},
			"category":           "ASSENT_APPROVAL",
			"interruption-level": "time-sensitive",
			"sound":              "default",
		},
		"verification_id": "vrf_01",
		"context":         `{"ip":"203.0.113.7","action":"Pay <5>"}`,
	}, got.payload)
}

// brought is a push that brings a code.
func brought() delivery.Push {
	m := message()
	m.Body, m.Code, m.Buttons = "482913 is your code.", "482913", false
	return m
}

func TestACodeIsReadInTheNotificationAndInTheApp(t *testing.T) {
	t.Parallel()
	calls := make(chan received, 1)
	srv := server(t, func(r received) { calls <- r }, clearText)
	_, err := gateway(t, srv.URL).SendPush(t.Context(), brought())
	require.NoError(t, err)
	got := <-calls
	assert.Equal(t, "482913", got.payload["code"])
	assert.Equal(t, map[string]any{
		"alert":              map[string]any{"title": "Example Bank", "body": "482913 is your code."},
		"interruption-level": "time-sensitive",
		"sound":              "default",
	}, got.payload["aps"], "no buttons: there is nothing to approve")
}

func TestTheSameSendHasTheSameIDAndAnotherSendAnother(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 3)
	srv := server(t, func(r received) { ids <- r.header.Get("apns-id") + " " + r.header.Get("apns-collapse-id") }, clearText)
	g := gateway(t, srv.URL)
	for _, send := range []int{1, 1, 2} {
		m := message()
		m.Send = send
		_, err := g.SendPush(t.Context(), m)
		require.NoError(t, err)
	}
	first, again, resend := <-ids, <-ids, <-ids
	assert.Equal(t, first, again)
	assert.NotEqual(t, first, resend)
	assert.Equal(t, strings.Fields(first)[1], strings.Fields(resend)[1], "all sends of a verification replace each other")
}

func TestTheExpirationHeaderIsNeverLeftOut(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]time.Time{
		"the zero time": {}, "the epoch": time.Unix(0, 0), "an instant that is past": time.Now().Add(-time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := make(chan received, 1)
			srv := server(t, func(r received) { calls <- r }, clearText)
			m := message()
			m.ExpiresAt = at
			_, err := gateway(t, srv.URL).SendPush(t.Context(), m)
			require.NoError(t, err)
			seconds, err := strconv.ParseInt((<-calls).header.Get("apns-expiration"), 10, 64)
			require.NoError(t, err)
			assert.Positive(t, seconds)
		})
	}
}

func TestALongVerificationIDStillCollapses(t *testing.T) {
	t.Parallel()
	calls := make(chan received, 1)
	srv := server(t, func(r received) { calls <- r }, clearText)
	m := message()
	m.VerificationID = strings.Repeat("v", 65)
	_, err := gateway(t, srv.URL).SendPush(t.Context(), m)
	require.NoError(t, err)
	assert.Len(t, (<-calls).header.Get("apns-collapse-id"), 64)
}

func TestWhatAPNsCannotTakeIsRefusedBeforeTheCall(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*delivery.Push)
		reason string
	}{
		"a payload over 4096 bytes": {func(m *delivery.Push) { m.Data["place"] = strings.Repeat("x", 4096) }, events.ReasonMessageRefused},
		"no push token":             {func(m *delivery.Push) { m.To = "" }, events.ReasonDeviceGone},
		"a push token with a path":  {func(m *delivery.Push) { m.To = "../../elsewhere" }, events.ReasonDeviceGone},
		"a push token with a query": {func(m *delivery.Push) { m.To = device + "?x" }, events.ReasonDeviceGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := server(t, func(received) { t.Error("the call was made") }, clearText)
			m := message()
			tc.change(&m)
			_, err := gateway(t, srv.URL).SendPush(t.Context(), m)
			assert.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
			assert.Equal(t, tc.reason, delivery.ReasonOf(err))
		})
	}
}

func TestOverTLSManyPushesShareFewConnectionsAndOneToken(t *testing.T) {
	t.Parallel()
	const pushes = 500 // more than one connection to the stub carries at a time
	var connections atomic.Int64
	var mu sync.Mutex
	tokens := map[string]int{}
	srv := server(t, func(r received) {
		mu.Lock()
		defer mu.Unlock()
		tokens[r.header.Get("authorization")]++
	}, func(srv *httptest.Server) {
		srv.EnableHTTP2 = true
		srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		srv.StartTLS()
	})

	cfg := config(t, srv.URL)
	client := apns.NewHTTPClient(cfg)
	transport, ok := client.Transport.(*http2.Transport) //nolint:staticcheck // SA1019: see NewHTTPClient
	require.True(t, ok)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	//nolint:staticcheck // SA1019: see NewHTTPClient
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	t.Cleanup(client.CloseIdleConnections)
	g, err := apns.New(cfg, client)
	require.NoError(t, err)

	var wg sync.WaitGroup
	for range pushes {
		wg.Go(func() {
			_, err := g.SendPush(t.Context(), message())
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Len(t, tokens, 1, "APNs throttles a key whose token is renewed too often")
	assert.LessOrEqual(t, connections.Load(), int64(8), "APNs takes a burst of connections for an attack")
}

// APNs closes connections when it likes. Those are replaced, and no call is lost with them.
func TestConnectionsThatAPNsClosesAreReplaced(t *testing.T) {
	t.Parallel()
	const pushes = 200
	var calls atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 50 {
			w.Header().Set("Connection", "close") // over HTTP/2, a GOAWAY after this answer
		}
	}))
	clearText(srv)
	t.Cleanup(srv.Close)
	g := gateway(t, srv.URL)
	var wg sync.WaitGroup
	for range pushes {
		wg.Go(func() {
			_, err := g.SendPush(t.Context(), message())
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Equal(t, int64(pushes), calls.Load())
}

// apns2 signs lazily and drops the error: a key that cannot sign would be refused with 403 for ever.
func TestAKeyThatCannotSignStopsTheStart(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"not PEM":            "hello",
		"PEM of nonsense":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("nonsense")})),
		"another curve":      signingKey(t, elliptic.P384()),
		"a key cut in half":  signingKey(t, elliptic.P256())[:80],
		"an RSA certificate": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, "")
			cfg.Key = key
			_, err := apns.New(cfg, apns.NewHTTPClient(cfg))
			require.ErrorContains(t, err, "configure apns")
			assert.NotContains(t, err.Error(), key)
		})
	}
}

func TestTheKeyMayComeFromAFile(t *testing.T) {
	t.Parallel()
	cfg := config(t, "")
	cfg.KeyFile = filepath.Join(t.TempDir(), "AuthKey_ABC123DEFG.p8")
	require.NoError(t, os.WriteFile(cfg.KeyFile, []byte(cfg.Key), 0o600))
	cfg.Key = ""
	_, err := apns.New(cfg, apns.NewHTTPClient(cfg))
	require.NoError(t, err)

	cfg.KeyFile += ".missing"
	_, err = apns.New(cfg, apns.NewHTTPClient(cfg))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAConfigurationNamesAllItsFaults(t *testing.T) {
	t.Parallel()
	_, err := apns.New(apns.Config{BaseURL: "api.push.apple.com"}, apns.NewHTTPClient(apns.Config{}))
	for _, key := range []string{"base_url:", "key_file:", "key_id:", "team_id:", "topic:"} {
		require.ErrorContains(t, err, key)
	}
	both := config(t, "")
	both.KeyFile = "also.p8"
	require.Len(t, both.Validate(), 1)
	assert.Empty(t, config(t, "").Validate())
}
