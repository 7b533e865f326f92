package callbacks_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// says posts a status of Twilio's for a text message.
func (b *bench) says(path, sid, status string) {
	b.t.Helper()
	w := b.do(twilioRequest(b.t, authToken, "/callbacks/twilio/sms/"+path, url.Values{"MessageSid": {sid}, "MessageStatus": {status}}))
	require.Equal(b.t, http.StatusNoContent, w.Code)
}

// published are the receipts that were, in order.
func (b *bench) published() []string {
	var all []string
	for _, d := range b.records.settled {
		all = append(all, d.Status)
	}
	return all
}

func (b *bench) result(result string) int {
	b.t.Helper()
	return int(b.counted("assent_callbacks_total", "sms", "twilio", result))
}

// timed are the receipts whose time was measured: seconds by labels.
func (b *bench) timed() map[string]float64 {
	b.t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(b.t, err)
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "assent_receipt_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			all[strings.Join(labels, " ")] = m.GetHistogram().GetSampleSum()
			require.EqualValues(b.t, 1, m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestAReceiptCountsOnlyWhereItSaysMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ said, want string }{
		"in order":                              {"queued sent delivered", "sent delivered"},
		"a late word for sent says nothing":     {"delivered sent queued", "delivered"},
		"a failure after delivery says nothing": {"sent delivered undelivered failed", "sent delivered"},
		"delivery after a failure says more":    {"undelivered delivered", "failed delivered"},
		"twice is once":                         {"delivered delivered read delivered", "delivered"},
		"a failure is said once":                {"failed undelivered failed", "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, status := range strings.Fields(c.said) {
				b.says(smsID+"/0/1/1", "SM1", status)
				clear(b.records.seen) // the broker forgets event ids after two minutes
			}
			require.Equal(t, strings.Fields(c.want), b.published())
		})
	}
	b := setup(t)
	for _, status := range []string{"delivered", "undelivered", "sent", "delivered"} {
		b.says(smsID+"/0/1/1", "SM1", status)
	}
	require.Equal(t, []int{1, 1, 2}, []int{b.result("published"), b.result("outranked"), b.result("ignored")})
}

func TestAWordForSentIsNewsOnlyWhereTheWorkerCouldNotTell(t *testing.T) {
	t.Parallel()
	call := begun(smsID, events.SMS, "twilio", 0, 1, 1)
	for name, c := range map[string]struct {
		known []string
		want  []string
	}{
		"the worker died before it told":       {nil, []string{events.DeliverySent}},
		"the worker never saw the answer":      {[]string{events.DeliveryUnknown}, []string{events.DeliverySent}},
		"the worker took the answer for no":    {[]string{events.DeliveryRetrying}, []string{events.DeliverySent}},
		"the worker told":                      {[]string{events.DeliverySent}, nil},
		"it was delivered before anybody told": {[]string{events.DeliveryDelivered}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for _, status := range c.known {
				b.records.reports = append(b.records.reports, after(call, status, "SM1"))
			}
			b.says(smsID+"/0/1/1", "SM1", "queued")
			require.Equal(t, c.want, b.published())
		})
	}
}

func TestAReceiptIsBelievedOnlyOfWhoWasCalledForTheMessage(t *testing.T) {
	t.Parallel()
	mine := begun(approvalID, events.SMS, "twilio", 1, 2, 3)
	for name, c := range map[string]struct {
		reports []events.DeliverySettled
		path    string
		believe bool
	}{
		"who was called":                         {[]events.DeliverySettled{mine}, "1/2/3", true},
		"nobody was":                             {nil, "1/2/3", false},
		"another provider was":                   {[]events.DeliverySettled{begun(approvalID, events.SMS, "acme", 1, 2, 3)}, "1/2/3", false},
		"for another step":                       {[]events.DeliverySettled{mine}, "0/2/3", false},
		"for another send":                       {[]events.DeliverySettled{mine}, "1/1/3", false},
		"for another attempt":                    {[]events.DeliverySettled{mine}, "1/2/2", false},
		"on another channel":                     {[]events.DeliverySettled{begun(approvalID, events.Voice, "twilio", 1, 2, 3)}, "1/2/3", false},
		"in an earlier life of the verification": {[]events.DeliverySettled{earlier(mine)}, "1/2/3", false},
		"and the message got this id":            {[]events.DeliverySettled{mine, after(mine, events.DeliverySent, "SM1")}, "1/2/3", true},
		"and the message got another id":         {[]events.DeliverySettled{mine, after(mine, events.DeliverySent, "SM2")}, "1/2/3", false},
		"by a program without send records":      {[]events.DeliverySettled{after(mine, events.DeliverySent, "SM1")}, "1/2/3", true},
		"by one that was told no more":           {[]events.DeliverySettled{after(mine, events.DeliveryUnknown, "")}, "1/2/3", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.records.reports = c.reports
			b.says(approvalID+"/"+c.path, "SM1", "delivered")
			if !c.believe {
				require.Empty(t, b.records.settled)
				require.Equal(t, 1, b.result("unknown"))
				return
			}
			want := events.DeliverySettled{
				Version: 1, EventID: "twilio:SM1:delivered", ID: approvalID, Channel: events.SMS, Step: 1, Send: 2, Attempt: 3,
				Status: events.DeliveryDelivered, Provider: "twilio", ProviderID: "SM1", Route: "+1", At: now,
			}
			for _, r := range c.reports {
				if r.Status == events.DeliveryBegun && r.Provider == "twilio" && r.Send == 2 {
					want.Took = now.Sub(r.At).Seconds()
				}
			}
			require.Equal(t, []events.DeliverySettled{want}, b.records.settled)
		})
	}
}

func earlier(d events.DeliverySettled) events.DeliverySettled {
	d.At = d.At.Add(-15 * time.Minute)
	return d
}

func TestAFallbackIsReportedOnItsOwnChannel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.records.reports = append(b.records.reports, begun(smsID, events.Voice, "twilio", 1, 1, 1))
	form := url.Values{"CallSid": {"CA1"}, "CallStatus": {"busy"}}
	b.do(twilioRequest(t, authToken, "/callbacks/twilio/call/"+smsID+"/1/1/1", form))
	require.Len(t, b.records.settled, 1)
	d := b.records.settled[0]
	require.Equal(t, []any{events.Voice, 1, events.DeliveryUnanswered}, []any{d.Channel, d.Step, d.Status})
	b.says(smsID+"/1/1/1", "SM1", "delivered")
	require.Len(t, b.records.settled, 1, "nobody sent a text in this step")
}

func TestMessagesOfOlderProgramsAreStillReported(t *testing.T) {
	t.Parallel()
	sent := func(attempt int, sid string) events.DeliverySettled {
		d := after(begun(approvalID, events.SMS, "twilio", 0, 1, attempt), events.DeliverySent, sid)
		d.Route = ""
		return d
	}
	second := begun(approvalID, events.SMS, "twilio", 0, 1, 2)
	told := after(begun(approvalID, events.SMS, "twilio", 0, 1, 0), events.DeliveryDelivered, "SM1")
	for name, c := range map[string]struct {
		reports []events.DeliverySettled
		attempt int // zero: not believed
	}{
		"the only attempt":                             {[]events.DeliverySettled{sent(1, "SM1")}, 1},
		"the attempt with this id":                     {[]events.DeliverySettled{sent(1, "SM1"), second}, 1},
		"the last attempt where none has an id":        {[]events.DeliverySettled{begun(approvalID, events.SMS, "twilio", 0, 1, 1), second}, 2},
		"an attempt that got no other id":              {[]events.DeliverySettled{begun(approvalID, events.SMS, "twilio", 0, 1, 1), sent(2, "SM2")}, 1},
		"none where all got another":                   {[]events.DeliverySettled{sent(1, "SM2")}, 0},
		"none where an older program has told it":      {[]events.DeliverySettled{sent(1, "SM1"), told}, 0},
		"none of a step, which their paths don't name": {[]events.DeliverySettled{begun(approvalID, events.SMS, "twilio", 1, 1, 1)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.records.reports = c.reports
			b.says(approvalID+"/1", "SM1", "delivered")
			if c.attempt == 0 {
				require.Empty(t, b.records.settled)
				return
			}
			require.Len(t, b.records.settled, 1)
			require.Equal(t, c.attempt, b.records.settled[0].Attempt)
		})
	}
}

func TestAMailTellsItsStepAndAttempt(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		`"step":"2","send":"1","attempt":"4"`: "2/1/4",
		`"step":2,"send":1,"attempt":4`:       "2/1/4",
		`"send":"1"`:                          "0/1/1", // of an older program
		`"step":"2","send":"1"`:               "2/1/4",
		`"step":"1","send":"1","attempt":"4"`: "",
		`"step":"x","send":"1","attempt":"4"`: "",
	} {
		b := setup(t)
		b.records.reports = append(b.records.reports, begun(emailID, events.Email, "sendgrid", 2, 1, 4))
		body := `[{"event":"delivered","sg_event_id":"e1","sg_message_id":"mid1.x","verification_id":"` + emailID + `",` + fields + `}]`
		require.Equal(t, http.StatusNoContent, b.do(b.sendGridRequest(now, body)).Code)
		got := ""
		for _, d := range b.records.settled {
			got = fmt.Sprintf("%d/%d/%d", d.Step, d.Send, d.Attempt)
		}
		require.Equal(t, want, got, fields)
	}
}

func TestTheTimeToAReceiptIsMeasuredOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, status := range []string{"sent", "delivered", "delivered"} {
		b.says(smsID+"/0/1/1", "SM1", status)
	}
	b.says(smsID+"/0/2/1", "SM2", "undelivered")
	require.Equal(t, map[string]float64{"sms twilio +1": 10}, b.timed())
}

func TestReportsThatCannotBeReadMakeTheProviderCallAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.records.unreadable = verification.ErrUnavailable
	w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+smsID+"/0/1/1", url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, 1, b.result("failed"))
}
