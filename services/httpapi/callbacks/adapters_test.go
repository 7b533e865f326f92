package callbacks_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webhook"
	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/verification"
)

const (
	acmeSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_b3RoZXIgc2VjcmV0LCBhbHNvIDMyIGJ5dGVzIGxvbmc="

	acmePath = "/callbacks/adapters/acme/" + smsID + "/0/1/2"
)

func key(t *testing.T, secret string) webhook.Key {
	t.Helper()
	k, err := webhook.ParseSecret(secret)
	require.NoError(t, err)
	return k
}

// withAdapters knows two adapters, and that acme was called for a text message and for a call.
func withAdapters(t *testing.T) *bench {
	t.Helper()
	b := setup(t, func(c *callbacks.Config) {
		c.Adapters = map[string]webhook.Key{"acme": key(t, acmeSecret), "other": key(t, otherSecret)}
	})
	v := b.records.verifications[smsID]
	v.CodeLength = 6
	b.records.verifications[smsID] = v
	b.records.reports = []events.DeliverySettled{
		begun(smsID, events.SMS, "twilio", 0, 1, 1), begun(smsID, events.SMS, "acme", 0, 1, 2),
		begun(smsID, events.Voice, "acme", 1, 1, 1),
	}
	return b
}

func (b *bench) receipt(secret, path, body string, at time.Time) *http.Request {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, path, strings.NewReader(body))
	require.NoError(b.t, key(b.t, secret).Sign(r.Header, "receipt-1", at, []byte(body)))
	return r
}

// body is a receipt about the text message of acmePath.
func body(fields map[string]string) string {
	said := map[string]string{"message_id": smsID + "-0-1", "id": "m-1", "status": "delivered"}
	for name, value := range fields {
		said[name] = value
	}
	b, _ := json.Marshal(said) // strings always encode
	return string(b)
}

func TestWhatAnAdapterReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields               map[string]string
		want, reason, detail string
	}{
		"sent":                             {map[string]string{"status": "sent"}, "sent", "", ""},
		"delivered":                        {nil, "delivered", "", ""},
		"expired":                          {map[string]string{"status": "expired", "detail": "TTL"}, "expired", "", "TTL"},
		"unanswered":                       {map[string]string{"status": "unanswered", "detail": "busy"}, "unanswered", "", "busy"},
		"failed":                           {map[string]string{"status": "failed"}, "failed", "undeliverable", ""},
		"failed for a reason":              {map[string]string{"status": "failed", "reason": "unsubscribed", "detail": "30004"}, "failed", "unsubscribed", "30004"},
		"a reason of what did not fail":    {map[string]string{"reason": "undeliverable"}, "delivered", "", ""},
		"prose for a detail":               {map[string]string{"status": "failed", "detail": "no such number"}, "failed", "undeliverable", ""},
		"more than thirty-two characters":  {map[string]string{"status": "failed", "detail": strings.Repeat("x", 33)}, "failed", "undeliverable", ""},
		"a detail that may be the code":    {map[string]string{"status": "failed", "detail": "otp=482913"}, "failed", "undeliverable", ""},
		"a code may begin with a letter":   {map[string]string{"status": "failed", "detail": "B41832"}, "failed", "undeliverable", ""},
		"a detail that may be the number":  {map[string]string{"status": "failed", "detail": "+14155550100"}, "failed", "undeliverable", ""},
		"a detail with a number and words": {map[string]string{"status": "failed", "detail": "err_4015:landline"}, "failed", "undeliverable", "err_4015:landline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withAdapters(t)
			for range 2 {
				w := b.do(b.receipt(acmeSecret, acmePath, body(c.fields), now))
				require.Equal(t, http.StatusNoContent, w.Code)
			}
			require.Equal(t, []events.DeliverySettled{{
				Version: 1, EventID: "acme:" + smsID + "-0-1-2:" + c.want, ID: smsID, Channel: events.SMS, Send: 1, Attempt: 2,
				Status: c.want, Provider: "acme", ProviderID: "m-1", Route: "+1", Reason: c.reason, Detail: c.detail, At: now,
			}}, b.records.settled)
			require.InDelta(t, 1, b.counted("assent_callbacks_total", "receipt", "acme", "published"), 0)
			require.InDelta(t, 1, b.counted("assent_callbacks_total", "receipt", "acme", "ignored"), 0)
		})
	}
}

func TestTheReceiptOfAnAdaptersCall(t *testing.T) {
	t.Parallel()
	b := withAdapters(t)
	b.do(b.receipt(acmeSecret, "/callbacks/adapters/acme/"+smsID+"/1/1/1", body(map[string]string{"message_id": smsID + "-1-1"}), now))
	require.Len(t, b.records.settled, 1)
	require.Equal(t, events.Voice, b.records.settled[0].Channel)
	require.Equal(t, map[string]float64{"voice acme +1": 10}, b.timed())
}

func TestAReceiptThatWasNotSignedForThisMessageIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request func(b *bench) *http.Request
		status  int
		who     string
		reason  string
	}{
		"no signature": {func(b *bench) *http.Request {
			r := b.receipt(acmeSecret, acmePath, body(nil), now)
			r.Header.Del("webhook-signature")
			return r
		}, 403, "acme", "forged"},
		"another adapter's secret": {func(b *bench) *http.Request { return b.receipt(otherSecret, acmePath, body(nil), now) }, 403, "acme", "forged"},
		"another body": {func(b *bench) *http.Request {
			r := b.receipt(acmeSecret, acmePath, body(map[string]string{"status": "failed"}), now)
			r.Header = b.receipt(acmeSecret, acmePath, body(nil), now).Header
			return r
		}, 403, "acme", "forged"},
		"another message's": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(map[string]string{"message_id": smsID + "-1-1"}), now)
		}, 403, "acme", "forged"},
		"without its message": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, `{"id":"m-1","status":"delivered"}`, now)
		}, 403, "acme", "forged"},
		"six minutes old": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(nil), now.Add(-6*time.Minute))
		}, 403, "acme", "stale"},
		"from six minutes ahead": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(nil), now.Add(6*time.Minute))
		}, 403, "acme", "stale"},
		"an unknown adapter": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, strings.Replace(acmePath, "acme", "nobody", 1), body(nil), now)
		}, 404, "adapter", "unknown"},
		"signed but no JSON": {func(b *bench) *http.Request { return b.receipt(acmeSecret, acmePath, "status=delivered", now) }, 400, "acme", "malformed"},
		"signed but no status": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(map[string]string{"status": ""}), now)
		}, 400, "acme", "malformed"},
		"a word that is none": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(map[string]string{"status": "begun"}), now)
		}, 400, "acme", "malformed"},
		"a reason that is none": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(map[string]string{"status": "failed", "reason": "not_configured"}), now)
		}, 400, "acme", "malformed"},
		"no id": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(map[string]string{"id": ""}), now)
		}, 400, "acme", "malformed"},
		"a message of ours, played back": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, `{"type":"message.v1","message_id":"`+smsID+`-0-1","attempt":2,"channel":"sms","to":"+14155550100"}`, now)
		}, 400, "acme", "malformed"},
		"larger than any receipt": {func(b *bench) *http.Request {
			return b.receipt(acmeSecret, acmePath, body(nil)+strings.Repeat(" ", 16<<10), now)
		}, 413, "acme", "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withAdapters(t)
			w := b.do(c.request(b))
			require.Equal(t, c.status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.InDelta(t, 1, b.counted("assent_callbacks_refused_total", c.who, c.reason), 0)
			require.Empty(t, b.records.settled)
			require.Empty(t, b.records.asked, "nothing is looked up before the receipt is believed")
		})
	}
}

func TestAnAdaptersReceiptOfWhatItWasNotCalledForIsUnknown(t *testing.T) {
	t.Parallel()
	b := withAdapters(t)
	for path, message := range map[string]string{
		"acme/" + unknownID + "/0/1/2":  unknownID + "-0-1",
		"acme/" + smsID + "/0/1/1":      smsID + "-0-1", // that attempt was Twilio's
		"acme/" + smsID + "/0/2/1":      smsID + "-0-2",
		"acme/" + smsID + "/0/1/x":      smsID + "-0-1",
		"acme/" + voiceID + "/0/1/1":    voiceID + "-0-1",
		"acme/" + "%3E" + "/0/1/1":      ">-0-1",
		"acme/" + approvalID + "/0/1/1": approvalID + "-0-1",
	} {
		w := b.do(b.receipt(acmeSecret, "/callbacks/adapters/"+path, body(map[string]string{"message_id": message}), now))
		require.Equal(t, http.StatusNoContent, w.Code, path)
	}
	require.Empty(t, b.records.settled)
	require.InDelta(t, 7, b.counted("assent_callbacks_total", "receipt", "acme", "unknown"), 0)
	require.NotContains(t, b.records.asked, ">")

	b.records.err = verification.ErrUnavailable
	w := b.do(b.receipt(acmeSecret, acmePath, body(nil), now))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
}
