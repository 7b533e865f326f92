package scenario_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio's choice
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/workers/sandbox"
)

// counted is the sum of a metric over all processes, with these labels.
func (s *story) counted(metric string, labels ...string) float64 {
	s.t.Helper()
	sum := 0.0
	for _, base := range s.metrics {
		a, err := s.ask(s.t.Context(), http.MethodGet, base+"/metrics", nil)
		require.NoError(s.t, err)
		require.Equal(s.t, http.StatusOK, a.status)
		lines := bufio.NewScanner(strings.NewReader(string(a.body)))
		for lines.Scan() {
			series, value, _ := strings.Cut(lines.Text(), "} ")
			name, given, _ := strings.Cut(series, "{")
			if name != metric || !containsAll(given, labels) {
				continue
			}
			n, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			require.NoError(s.t, err)
			sum += n
		}
	}
	return sum
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

func TestAForgedCallbackIsRefusedAndCounted(t *testing.T) {
	t.Parallel()
	s, ana, ben, carla := Together(t), somebody(), somebody(), somebody()
	code, approval, spoken := s.Create(text(ana)), s.Create(text(ben).Approval()), s.Create(call(carla).Approval())
	s.Message(ben.number)
	s.Message(carla.number)
	before := s.counted("assent_callbacks_refused_total")
	form := header("Content-Type", "application/x-www-form-urlencoded")
	forged := 0
	for _, signature := range []string{"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "not base64"} {
		for path, fields := range map[string]url.Values{
			"sms/" + code.ID + "/0/1/1":      {"MessageSid": {"SM" + strings.Repeat("0", 32)}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}},
			"call/" + spoken.ID + "/0/1/1":   {"CallSid": {"CA" + strings.Repeat("0", 32)}, "CallStatus": {"failed"}},
			"voice/" + spoken.ID + "/answer": {"CallSid": {"CA" + strings.Repeat("0", 32)}, "Digits": {spoken.MatchNumber}},
			"voice/" + spoken.ID + "/code":   {"CallSid": {"CA" + strings.Repeat("0", 32)}, "Digits": {"1"}},
			"inbound":                        {"MessageSid": {"SM" + strings.Repeat("1", 32)}, "From": {ben.number}, "To": {"+15005550006"}, "Body": {approval.MatchNumber}},
		} {
			a := s.Call(http.MethodPost, "/callbacks/twilio/"+path, fields.Encode(), form, header("X-Twilio-Signature", signature))
			require.Equal(t, http.StatusForbidden, a.status, "%s: %s", path, a.body)
			forged++
		}
		batch := fmt.Sprintf(`[{"event":"bounce","verification_id":%q,"send":"1","sg_event_id":"e","timestamp":1}]`, code.ID)
		a := s.Call(http.MethodPost, "/callbacks/sendgrid/events", batch,
			header("X-Twilio-Email-Event-Webhook-Signature", signature), header("X-Twilio-Email-Event-Webhook-Timestamp", "1"))
		require.Equal(t, http.StatusForbidden, a.status)
		forged++
	}
	require.GreaterOrEqual(t, s.counted("assent_callbacks_refused_total"), before+float64(forged))
	for _, v := range []api.Verification{code, approval, spoken} {
		s.Want(v, api.StatusPending, "")
	}
}

func TestAForgedPushAnswerDecidesNothing(t *testing.T) {
	t.Parallel()
	s := Together(t)
	mine, other := s.Phone(api.PlatformAPNs), s.Phone(api.PlatformAPNs)
	v, theirs := s.Create(push(mine)), s.Create(push(other))
	m, foreign := s.Message(mine.Token), s.Message(other.Token)
	at := foreign.ReceivedAt.UTC().Format("2006-01-02T15:04:05Z")
	for name, signature := range map[string]string{
		"none": "", "noise": strings.Repeat("A", 86), "not base64": "%%%",
	} {
		body := api.PushAnswer{DeviceID: m.Data["device_id"], Decision: api.DecisionApprove, AnsweredAt: at, Signature: signature, Number: v.MatchNumber}
		a := s.Call(http.MethodPost, "/v1/verifications/"+v.ID+"/responses", body, header("Authorization", ""))
		require.Contains(t, []int{http.StatusForbidden, http.StatusUnprocessableEntity}, a.status, "%s: %s", name, a.body)
	}
	s.Want(v, api.StatusPending, "")
	require.Equal(t, http.StatusAccepted, s.Decides(m, api.DecisionApprove, v.MatchNumber).Status)
	s.Becomes(v, api.StatusApproved, "")
	s.Want(theirs, api.StatusPending, "")
	require.Equal(t, http.StatusConflict, s.Decides(m, api.DecisionDeny).Status, "the first answer counts")
	s.Want(v, api.StatusApproved, "")
}

func TestGarbageOnTheBusIsPutAsideAndStopsNobody(t *testing.T) {
	t.Parallel()
	s, ana, ben := Apart(t), somebody(), somebody()
	nc, err := nats.Connect(s.broker)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	before := s.counted("assent_deadletters_total")
	buried := 0
	for i, garbage := range []string{"", "{", "null", `[]`, `{"version":99}`, `{"version":1}`, `{"version":1,"id":7}`, "\x00\xff"} {
		for _, subject := range []string{"assent.activation.sms", "assent.activation.email", "assent.response.link"} {
			if subject == "assent.response.link" && garbage == `{"version":1}` {
				continue // it can be decoded: an answer to nothing
			}
			require.NoError(t, nc.Publish(fmt.Sprintf("%s.00000000-0000-4000-8000-%012d", subject, i), []byte(garbage)))
			buried++
		}
	}
	require.NoError(t, nc.Flush())
	v := s.Create(text(ana))
	require.True(t, s.Check(v, s.Message(ana.number).Code).Valid, "the others go on")
	link := s.Create(mail(ben).Link())
	client := s.Waiting(link)
	Opens(t, s.Message(ben.mailbox).Link).Seeing(link.MatchNumber).Presses("Approve")
	client.Sees(api.StatusApproved, "")
	eventually(t, "all garbage is counted as dead letters", func() bool {
		return s.counted("assent_deadletters_total") >= before+float64(buried)
	})
	require.InDelta(t, before+float64(buried), s.counted("assent_deadletters_total"), 0)
}

// signed is a callback as the sandbox's Twilio account signs it.
func signed(t *testing.T, target string, fields url.Values) option {
	t.Helper()
	account, err := sandbox.AccountFrom([]byte(sharedSecret))
	require.NoError(t, err)
	text := target
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		text += name + fields.Get(name)
	}
	mac := hmac.New(sha1.New, []byte(account.TwilioAuthToken))
	mac.Write([]byte(text))
	return header("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestASignedCallbackIsHeardOnceHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	s, nobody := Apart(t), "+14155550195" // the carrier never reports anything of this number
	v := s.Create(ask(nobody, api.ChannelSMS))
	s.Message(nobody)
	eventually(t, "it is reported as sent", func() bool { return len(s.timelineOf(t, v, "sent")) == 1 })
	fields := url.Values{"MessageSid": {s.timelineOf(t, v, "sent")[0].ProviderID}, "MessageStatus": {"delivered"}}
	form := header("Content-Type", "application/x-www-form-urlencoded")
	for range 3 {
		path := "/callbacks/twilio/sms/" + v.ID + "/0/1/1"
		a := s.Call(http.MethodPost, path, fields.Encode(), form, signed(t, s.base+path, fields))
		require.Equal(t, http.StatusNoContent, a.status, "%s", a.body)
	}
	eventually(t, "the receipt is in the timeline", func() bool { return len(s.timelineOf(t, v, "delivered")) == 1 })

	before := s.counted("assent_callbacks_total", `result="unknown"`)
	unknown := "/callbacks/twilio/sms/018f2f4e-0000-7000-8000-000000000000/0/1/1"
	a := s.Call(http.MethodPost, unknown, fields.Encode(), form, signed(t, s.base+unknown, fields))
	require.Equal(t, http.StatusNoContent, a.status, "what is unknown need not come again")
	require.GreaterOrEqual(t, s.counted("assent_callbacks_total", `result="unknown"`), before+1)

	// Another message's receipt is not this one's.
	other := url.Values{"MessageSid": {"SM" + strings.Repeat("a", 32)}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}}
	path := "/callbacks/twilio/sms/" + v.ID + "/0/1/1"
	a = s.Call(http.MethodPost, path, other.Encode(), form, signed(t, s.base+path, other))
	require.Equal(t, http.StatusNoContent, a.status)
	require.GreaterOrEqual(t, s.counted("assent_callbacks_total", `result="unknown"`), before+2)

	// A signature is good for its own URL and fields only.
	a = s.Call(http.MethodPost, unknown, fields.Encode(), form, signed(t, s.base+"/callbacks/twilio/inbound", fields))
	require.Equal(t, http.StatusForbidden, a.status)
	fields.Set("MessageStatus", "undelivered")
	other = url.Values{"MessageSid": fields["MessageSid"], "MessageStatus": {"delivered"}}
	a = s.Call(http.MethodPost, path, fields.Encode(), form, signed(t, s.base+path, other))
	require.Equal(t, http.StatusForbidden, a.status)
	s.Want(v, api.StatusPending, "")
}
