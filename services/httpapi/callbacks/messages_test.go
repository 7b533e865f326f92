package callbacks_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

const noticeID = "0193c0de-0000-7000-8000-00000000000a"

// heard stands in for the store of notifications: twilio was called for message 7 of part 1.
type heard struct {
	receipts []events.MessageReceipt
	err      error
}

func (h *heard) Received(_ context.Context, r events.MessageReceipt) (notification.Call, error) {
	if h.err != nil {
		return notification.Call{}, h.err
	}
	if r.ID != noticeID || r.Part != 1 || r.Place != 7 || r.Provider == "nobody" {
		return notification.Call{}, verification.ErrNotFound
	}
	h.receipts = append(h.receipts, r)
	return notification.Call{Route: "+1", BegunAt: now.Add(-10 * time.Second), News: r.Status != events.DeliverySent}, nil
}

func TestReportsAboutMessagesOfNotificationsAreHandedOn(t *testing.T) {
	t.Parallel()
	h := &heard{}
	b := setup(t, func(c *callbacks.Config) { c.Notifications = h })
	message := events.MessageID(noticeID, 1, 7)
	b.says(message+"/0/1/2", "SM1", "delivered")
	b.says(message+"/0/1/2", "SM1", "queued")
	b.says(events.MessageID(noticeID, 1, 8)+"/0/1/1", "SM1", "delivered")
	b.says("*-0-0/0/1/1", "SM1", "delivered")
	require.Equal(t, []int{1, 1, 2}, []int{b.result("published"), b.result("ignored"), b.result("unknown")})
	require.Equal(t, events.MessageReceipt{
		EventID: "twilio:SM1:delivered", ID: noticeID, Part: 1, Place: 7, Attempt: 2, Status: events.DeliveryDelivered,
		Provider: "twilio", ProviderID: "SM1", At: now,
	}, h.receipts[0])
	require.Equal(t, map[string]float64{"sms twilio +1": 10}, b.timed())

	w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/call/"+message+"/0/1/1", url.Values{"CallSid": {"CA1"}, "CallStatus": {"no-answer"}}))
	require.Equal(t, http.StatusNoContent, w.Code)
	require.Equal(t, events.DeliveryUnanswered, h.receipts[2].Status)
	require.Empty(t, b.records.settled, "nothing of it is a verification's")
	require.Empty(t, b.records.asked)

	h.err = verification.ErrUnavailable
	w = b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+message+"/0/1/2", url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}))
	require.Equal(t, http.StatusServiceUnavailable, w.Code, "the provider may call again")
}

func TestWithoutNotificationsTheirReportsAreAboutNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.says(events.MessageID(noticeID, 1, 7)+"/0/1/1", "SM1", "delivered")
	require.Equal(t, 1, b.result("unknown"))
}
