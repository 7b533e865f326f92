package callbacks_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/callbacks"
)

func (b *bench) sendGridRequest(at time.Time, body string) *http.Request {
	b.t.Helper()
	stamp := strconv.FormatInt(at.Unix(), 10)
	sum := sha256.Sum256([]byte(stamp + body))
	der, err := ecdsa.SignASN1(rand.Reader, b.key, sum[:])
	require.NoError(b.t, err)
	signature := base64.StdEncoding.EncodeToString(der)
	ok, err := eventwebhook.VerifySignature(&b.key.PublicKey, []byte(body), signature, stamp)
	require.NoError(b.t, err)
	require.True(b.t, ok, "the tests sign as SendGrid's own library verifies")
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/callbacks/sendgrid/events", strings.NewReader(body))
	r.Header.Set(eventwebhook.VerificationHTTPHeader, signature)
	r.Header.Set(eventwebhook.TimestampHTTPHeader, stamp)
	return r
}

func TestMailEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, fields, want, reason, detail string }{
		{"processed", `"event":"processed"`, "sent", "", ""},
		{"deferred", `"event":"deferred","response":"451 later"`, "sent", "", ""},
		{"opened is no answer", `"event":"open"`, "", "", ""},
		{"clicked is no answer", `"event":"click","url":"https://x"`, "", "", ""},
		{"a spam report comes after delivery", `"event":"spamreport"`, "", "", ""},
		{"delivered", `"event":"delivered"`, "delivered", "", ""},
		{"bounced", `"event":"bounce","type":"bounce","status":"5.1.1","reason":"550 no such user ana@example.com"`, "failed", "undeliverable", "5.1.1"},
		{"blocked", `"event":"bounce","type":"blocked","status":"5.7.1"`, "failed", "message_refused", "5.7.1"},
		{"bounced with prose for a status", `"event":"bounce","status":"no ana"`, "failed", "undeliverable", ""},
		{"dropped as bounced", `"event":"dropped","reason":"Bounced Address"`, "failed", "undeliverable", "bounced_address"},
		{"dropped as unsubscribed", `"event":"dropped","reason":"Unsubscribed Address"`, "failed", "unsubscribed", "unsubscribed_address"},
		{"dropped after a spam report", `"event":"dropped","reason":"Spam Reporting Address"`, "failed", "unsubscribed", "spam_reporting_address"},
		{"dropped as spam", `"event":"dropped","reason":"Spam Content (if Spam Checker app enabled)"`, "failed", "message_refused", "spam_content"},
		{"dropped over quota", `"event":"dropped","reason":"Recipient List over Package Quota"`, "failed", "not_configured", "over_quota"},
		{"dropped for a new reason", `"event":"dropped","reason":"moon phase"`, "failed", "undeliverable", "dropped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			at := now.Add(-7 * time.Second)
			body := `[{"sg_event_id":"ev1","sg_message_id":"mid1.filter0","timestamp":` + strconv.FormatInt(at.Unix(), 10) +
				`,"verification_id":"` + emailID + `","step":"0","send":"2","attempt":"1",` + c.fields + `}]`
			require.Equal(t, http.StatusNoContent, b.do(b.sendGridRequest(now, body)).Code)
			if c.want == "" {
				require.Empty(t, b.records.settled)
				require.InDelta(t, 1, b.counted("assent_callbacks_total", "event", "sendgrid", "ignored"), 0)
				return
			}
			require.Equal(t, []events.DeliverySettled{{
				Version: 1, EventID: "sendgrid:ev1", ID: emailID, Channel: events.Email, Send: 2, Attempt: 1, Route: "+1", Status: c.want,
				Provider: "sendgrid", ProviderID: "mid1", Reason: c.reason, Detail: c.detail, At: at.Add(999 * time.Millisecond),
			}}, b.records.settled)
		})
	}
}

func TestOneBadElementDoesNotLoseTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := func(event, send string) string {
		return `{"event":"delivered","sg_event_id":"` + event + `","verification_id":"` + emailID + `","send":` + send + `}`
	}
	body := `[` + strings.Join([]string{
		good("e1", `"1"`), `7`, `null`, `{"event":7}`, `{"event":"delivered","sg_event_id":"e 2","verification_id":"` + emailID + `"}`,
		`{"event":"delivered","sg_event_id":"e3","verification_id":"` + unknownID + `","send":"1"}`,
		`{"event":"delivered","sg_event_id":"e4"}`,
		`{"event":"delivered","sg_event_id":"e5","verification_id":"` + smsID + `","send":"1"}`,
		good("e6", `"0"`), good("e7", `2`), good("e1", `"1"`),
	}, ",") + `]`
	for range 2 { // a batch is posted again until it is taken
		require.Equal(t, http.StatusNoContent, b.do(b.sendGridRequest(now, body)).Code)
	}
	var published []string
	for _, d := range b.records.settled {
		published = append(published, d.EventID)
		require.Equal(t, now, d.At, "an element without a time happened now")
	}
	require.Equal(t, []string{"sendgrid:e1", "sendgrid:e7"}, published)
	require.InDelta(t, 2*4, b.counted("assent_callbacks_total", "event", "sendgrid", "unknown"), 0)
	require.InDelta(t, 2*3, b.counted("assent_callbacks_total", "event", "sendgrid", "garbage"), 0)
}

func TestAnUnbelievableBatchIsRefused(t *testing.T) {
	t.Parallel()
	body := `[{"event":"bounce","sg_event_id":"e1","verification_id":"` + emailID + `","send":"1"}]`
	for name, c := range map[string]struct {
		request func(b *bench) *http.Request
		status  int
		reason  string
	}{
		"no signature": {func(b *bench) *http.Request {
			r := b.sendGridRequest(now, body)
			r.Header.Del(eventwebhook.VerificationHTTPHeader)
			return r
		}, 403, "forged"},
		"not base64": {func(b *bench) *http.Request {
			r := b.sendGridRequest(now, body)
			r.Header.Set(eventwebhook.VerificationHTTPHeader, "%%%")
			return r
		}, 403, "forged"},
		"another key": {func(b *bench) *http.Request { return setup(b.t).sendGridRequest(now, body) }, 403, "forged"},
		"another time": {func(b *bench) *http.Request {
			r := b.sendGridRequest(now.Add(-time.Hour), body)
			r.Header.Set(eventwebhook.TimestampHTTPHeader, strconv.FormatInt(now.Unix(), 10))
			return r
		}, 403, "forged"},
		"another body": {func(b *bench) *http.Request {
			signed := b.sendGridRequest(now, body)
			r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "/callbacks/sendgrid/events", strings.NewReader(strings.Replace(body, "e1", "e2", 1)))
			r.Header = signed.Header
			return r
		}, 403, "forged"},
		"recorded six minutes ago": {func(b *bench) *http.Request { return b.sendGridRequest(now.Add(-6*time.Minute), body) }, 403, "stale"},
		"from six minutes ahead":   {func(b *bench) *http.Request { return b.sendGridRequest(now.Add(6*time.Minute), body) }, 403, "stale"},
		"signed but no JSON":       {func(b *bench) *http.Request { return b.sendGridRequest(now, "event=bounce") }, 400, "malformed"},
		"signed but no list":       {func(b *bench) *http.Request { return b.sendGridRequest(now, body[1:len(body)-1]) }, 400, "malformed"},
		"larger than any batch":    {func(b *bench) *http.Request { return b.sendGridRequest(now, strings.Repeat(" ", 1<<20)+body) }, 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := b.do(c.request(b))
			require.Equal(t, c.status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.InDelta(t, 1, b.counted("assent_callbacks_refused_total", "sendgrid", c.reason), 0)
			require.Empty(t, b.records.settled)
		})
	}
}

func TestParseSendGridKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	der, err := x509.MarshalPKIXPublicKey(&b.key.PublicKey)
	require.NoError(t, err)
	key, err := callbacks.ParseSendGridKey(base64.StdEncoding.EncodeToString(der))
	require.NoError(t, err)
	require.True(t, b.key.PublicKey.Equal(key))

	other, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err = x509.MarshalPKIXPublicKey(other)
	require.NoError(t, err)
	for _, bad := range []string{"", "%", "AAAA", base64.StdEncoding.EncodeToString(der)} {
		_, err := callbacks.ParseSendGridKey(bad)
		require.Error(t, err)
	}
}
