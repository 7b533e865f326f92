package callbacks_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs with HMAC-SHA1
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go/client"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/verification"
)

// sign is Twilio's published algorithm, written out: HMAC-SHA1 over the URL and the sorted parameters.
func sign(token, target string, form url.Values) string {
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(target))
	for _, k := range keys {
		mac.Write([]byte(k + form.Get(k)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func twilioRequest(t *testing.T, token, path string, form url.Values) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", sign(token, public+path, form))
	r.Host = "internal:8080" // never what was signed
	return r
}

func TestTheTestsSignLikeTwilioDoes(t *testing.T) {
	t.Parallel()
	form := url.Values{"MessageSid": {"SM1"}, "Body": {"Grüße, 50 €"}}
	v := client.NewRequestValidator(authToken)
	require.True(t, v.ValidateBody(public+"/x", []byte(form.Encode()), sign(authToken, public+"/x", form)))
}

func TestSMSStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ status, code, want, reason, detail string }{
		{"accepted", "", "sent", "", ""},
		{"queued", "", "sent", "", ""},
		{"sending", "", "sent", "", ""},
		{"sent", "", "sent", "", ""},
		{"a word of next year", "", "", "", ""},
		{"delivered", "", "delivered", "", ""},
		{"read", "", "delivered", "", ""},
		{"undelivered", "30003", "failed", "undeliverable", "30003"},
		{"undelivered", "30005", "failed", "undeliverable", "30005"},
		{"undelivered", "30006", "failed", "undeliverable", "30006"},
		{"undelivered", "30008", "failed", "undeliverable", "30008"},
		{"undelivered", "30004", "failed", "unsubscribed", "30004"},
		{"failed", "21610", "failed", "unsubscribed", "21610"},
		{"undelivered", "30007", "failed", "message_refused", "30007"},
		{"failed", "21408", "failed", "region_blocked", "21408"},
		{"failed", "30034", "failed", "not_configured", "30034"},
		{"failed", "30036", "expired", "", "30036"},
		{"failed", "", "failed", "undeliverable", ""},
		{"failed", "call +14155550100 <b>", "failed", "undeliverable", ""},
	} {
		t.Run(c.status+" "+c.code, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			form := url.Values{"MessageSid": {"SM9"}, "MessageStatus": {c.status}, "ErrorCode": {c.code}, "To": {ana}, "New": {"field"}}
			w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+smsID+"/0/2/1", form))
			require.Equal(t, http.StatusNoContent, w.Code)
			if c.want == "" {
				require.Empty(t, b.records.settled)
				require.InDelta(t, 1, b.counted("assent_callbacks_total", "sms", "twilio", "ignored"), 0)
				return
			}
			require.Equal(t, []events.DeliverySettled{{
				Version: 1, EventID: "twilio:SM9:" + c.want, ID: smsID, Channel: events.SMS, Send: 2, Attempt: 1, Route: "+1", Status: c.want,
				Provider: "twilio", ProviderID: "SM9", Reason: c.reason, Detail: c.detail, At: now,
			}}, b.records.settled)
		})
	}
}

func TestCallStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ status, code, sip, want, reason, detail string }{
		{"initiated", "", "", "sent", "", ""},
		{"ringing", "", "", "sent", "", ""},
		{"in-progress", "", "", "sent", "", ""},
		{"a word of next year", "", "", "", "", ""},
		{"queued", "", "", "sent", "", ""},
		{"completed", "", "200", "delivered", "", ""},
		{"busy", "", "486", "unanswered", "", "busy"},
		{"no-answer", "", "487", "unanswered", "", "no_answer"},
		{"canceled", "", "", "unanswered", "", "canceled"},
		{"failed", "", "404", "failed", "undeliverable", "sip_404"},
		{"failed", "13224", "", "failed", "undeliverable", "13224"},
		{"failed", "13227", "", "failed", "region_blocked", "13227"},
		{"failed", "", "503", "unanswered", "", "sip_503"},
		{"failed", "", "", "unanswered", "", ""},
	} {
		t.Run(c.status+" "+c.code+c.sip, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			form := url.Values{"CallSid": {"CA9"}, "CallStatus": {c.status}, "ErrorCode": {c.code}, "SipResponseCode": {c.sip}}
			w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/call/"+voiceID+"/0/1/1", form))
			require.Equal(t, http.StatusNoContent, w.Code)
			if c.want == "" {
				require.Empty(t, b.records.settled)
				return
			}
			require.Len(t, b.records.settled, 1)
			d := b.records.settled[0]
			require.Equal(t, []string{"twilio:CA9:" + c.want, c.want, c.reason, c.detail}, []string{d.EventID, d.Status, d.Reason, d.Detail})
			require.Equal(t, events.Voice, d.Channel)
		})
	}
}

func TestAForgedOrAlteredCallIsRefused(t *testing.T) {
	t.Parallel()
	path := "/callbacks/twilio/sms/" + smsID + "/0/1/1"
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}}
	body := func(s string) func(*http.Request) {
		return func(r *http.Request) {
			*r = *httptest.NewRequestWithContext(t.Context(), r.Method, r.URL.String(), strings.NewReader(s))
			r.Header.Set("X-Twilio-Signature", sign(authToken, public+path, form))
		}
	}
	for name, c := range map[string]struct {
		alter  func(*http.Request)
		status int
		reason string
	}{
		"without a signature":   {func(r *http.Request) { r.Header.Del("X-Twilio-Signature") }, 403, "forged"},
		"signed by another key": {func(r *http.Request) { r.Header.Set("X-Twilio-Signature", sign("other", public+path, form)) }, 403, "forged"},
		"for another host": {func(r *http.Request) {
			r.Header.Set("X-Twilio-Signature", sign(authToken, "http://internal:8080"+path, form))
		}, 403, "forged"},
		"for another path":        {func(r *http.Request) { r.URL.Path = "/callbacks/twilio/sms/" + approvalID + "/0/1/1" }, 403, "forged"},
		"with a query added":      {func(r *http.Request) { r.URL.RawQuery = "x=1" }, 403, "forged"},
		"with a body digest":      {func(r *http.Request) { r.URL.RawQuery = "bodySHA256=00" }, 403, "forged"},
		"with a changed field":    {body("MessageSid=SM1&MessageStatus=delivered&ErrorCode=30003"), 403, "forged"},
		"with a field added":      {body(form.Encode() + "&More=1"), 403, "forged"},
		"with an unreadable form": {body("MessageSid=%zz"), 400, "malformed"},
		"too large":               {body("x=" + strings.Repeat("a", 64<<10)), 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := twilioRequest(t, authToken, path, form)
			c.alter(r)
			w := b.do(r)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.InDelta(t, 1, b.counted("assent_callbacks_refused_total", "twilio", c.reason), 0)
			require.Empty(t, b.records.settled)
			require.Empty(t, b.records.asked, "nothing is looked up before the signature is right")
		})
	}
}

func TestAQueryThatTwilioSignedIsFine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}
	b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+smsID+"/0/1/1?rc=2&x=a%2Fb", form))
	require.Len(t, b.records.settled, 1)
}

func TestARepeatedFieldCountsOnceAsSigned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := "/callbacks/twilio/sms/" + smsID + "/0/1/1"
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"scheduled"}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()+"&MessageStatus=failed"))
	r.Header.Set("X-Twilio-Signature", sign(authToken, public+path, form))
	require.Equal(t, http.StatusNoContent, b.do(r).Code)
	require.Empty(t, b.records.settled)
}

func TestReplaysAndUnknownIdsAreHarmless(t *testing.T) {
	t.Parallel()
	b := setup(t)
	delivered := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}
	for range 3 {
		b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+smsID+"/0/1/1", delivered))
	}
	require.Len(t, b.records.settled, 1)
	unknown := []string{
		unknownID + "/0/1/1", "*/0/1/1", "%3E/0/1/1", strings.ToUpper(smsID) + "/0/1/1", smsID + "/0/0/1", smsID + "/0/x/1",
		smsID + "/0/3/1", smsID + "/1/1/1", smsID + "/-1/1/1", smsID + "/x/1/1", smsID + "/0/1/0", smsID + "/0/1/2", smsID + "/0/1/x",
		voiceID + "/0/1/1", approvalID + "/0/1/1", smsID + "/0", smsID + "/x", voiceID + "/1", unknownID + "/1",
	}
	for _, rest := range unknown {
		w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+rest, delivered))
		require.Equal(t, http.StatusNoContent, w.Code, rest)
	}
	require.Len(t, b.records.settled, 1)
	require.InDelta(t, len(unknown), b.counted("assent_callbacks_total", "sms", "twilio", "unknown"), 0)
	require.NotContains(t, b.records.asked, "*", "an id that is a wildcard is never looked up")
	require.NotContains(t, b.records.asked, ">")
	w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+smsID+"/0/1/1", url.Values{"MessageSid": {"SM1\r\nX: y"}, "MessageStatus": {"delivered"}}))
	require.Equal(t, http.StatusBadRequest, w.Code, "a header cannot be smuggled in")
}

func TestVoiceCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ id, want, result string }{
		"an open one is read out":             {voiceID, "code en Example Bank 482913", "spoken"},
		"an expired one ends the call":        {expiredID, "goodbye en", "closed"},
		"an unknown one ends the call":        {unknownID, "goodbye ", "unknown"},
		"a malformed id ends the call":        {"*", "goodbye ", "unknown"},
		"a text's code is not read out":       {smsID, "goodbye en", "unknown"},
		"an approval has no code to read out": {callID, "goodbye en", "unknown"},
		"a closed approval has none either":   {closedID, "goodbye en", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/voice/"+c.id+"/code", url.Values{"CallSid": {"CA1"}, "Digits": {"1"}}))
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "text/xml; charset=utf-8", w.Header().Get("Content-Type"))
			require.Equal(t, c.want, w.Body.String())
			require.InDelta(t, 1, b.counted("assent_callbacks_total", "voice", "twilio", c.result), 0)
		})
	}
	t.Run("a forged key press gets no code", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		w := b.do(twilioRequest(t, "wrong", "/callbacks/twilio/voice/"+voiceID+"/code", url.Values{"CallSid": {"CA1"}}))
		require.Equal(t, http.StatusForbidden, w.Code)
		require.NotContains(t, w.Body.String(), "482913")
	})
}

func TestVoiceAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id, keys, want string
		decision       events.Decision
	}{
		"1 approves":                         {callID, "1", "answer en Example Bank approve", events.Approve},
		"2 denies":                           {callID, "2", "answer en Example Bank deny", events.Deny},
		"3 says it was somebody else":        {callID, "3", "answer en Example Bank not_me", events.NotMe},
		"another key is asked again":         {callID, "7", "retry " + callID, ""},
		"no key is asked again":              {callID, "", "retry " + callID, ""},
		"two keys are asked again":           {callID, "11", "retry " + callID, ""},
		"a closed one ends the call":         {closedID, "1", "goodbye en", ""},
		"an unknown one ends the call":       {unknownID, "1", "goodbye ", ""},
		"a call for a code takes no answers": {voiceID, "1", "goodbye en", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			form := url.Values{"CallSid": {"CA1"}, "Digits": {c.keys}}
			for range 2 { // Twilio may repeat a call that was slow
				w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/voice/"+c.id+"/answer", form))
				require.Equal(t, http.StatusOK, w.Code)
				require.Equal(t, c.want, w.Body.String())
			}
			if c.decision == "" {
				require.Empty(t, b.records.answered)
				return
			}
			require.Equal(t, []events.ResponseReceived{{
				Version: 1, EventID: "twilio:CA1:" + string(c.decision), ID: callID, Kind: events.ResponseVoice,
				Decision: c.decision, Evidence: "CA1", ReceivedAt: now,
			}}, b.records.answered)
		})
	}
}

func TestInboundText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, body, result string
		decision           events.Decision
	}{
		"yes approves the newest":   {ana, " yes ", "published", events.Approve},
		"no refuses the newest":     {ana, "NO", "published", events.Deny},
		"other words do nothing":    {ana, "who is this?", "unclear", ""},
		"an empty one does nothing": {ana, "", "unclear", ""},
		"a stranger does nothing":   {"+14155550199", "YES", "unknown", ""},
		"a short code is no person": {"12345", "YES", "garbage", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			form := url.Values{"MessageSid": {"SM7"}, "From": {c.from}, "To": {"+15005550006"}, "Body": {c.body}}
			w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", form))
			require.Equal(t, http.StatusOK, w.Code)
			require.Contains(t, w.Body.String(), "<Response/>")
			require.InDelta(t, 1, b.counted("assent_callbacks_total", "inbound", "twilio", c.result), 0)
			if c.decision == "" {
				require.Empty(t, b.records.answered)
				return
			}
			require.Equal(t, []events.ResponseReceived{{
				Version: 1, EventID: "twilio:SM7", ID: approvalID, Kind: events.ResponseSMS,
				Decision: c.decision, Evidence: "SM7", ReceivedAt: now,
			}}, b.records.answered)
		})
	}
}

func TestARecordedReplyNeverAnswersALaterQuestion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	form := url.Values{"MessageSid": {"SM7"}, "From": {ana}, "Body": {"YES"}}
	b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", form))
	approved := b.records.verifications[approvalID]
	approved.Status = verification.Approved
	b.records.verifications[approvalID] = approved
	clear(b.records.seen) // the broker has forgotten the event id by now
	b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", form))
	require.Len(t, b.records.answered, 1, "the older question stays open")
}

func TestAnExpiredApprovalIsNotAnsweredByText(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *callbacks.Config) { c.Now = func() time.Time { return now.Add(time.Hour) } })
	b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", url.Values{"MessageSid": {"SM7"}, "From": {ana}, "Body": {"YES"}}))
	require.Empty(t, b.records.answered)
}
