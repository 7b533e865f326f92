package httpapi

import (
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/notification"
)

// stateOf is what a notification's state is called: a single one has that of its message once its time has come.
func stateOf(v notification.View) notification.State {
	if v.Message == nil || v.State == notification.Scheduled {
		return v.State
	}
	return v.Message.State
}

func notificationWire(v notification.View) api.Notification {
	out := api.Notification{
		ID: v.ID, State: api.NotificationState(stateOf(v)), Lane: api.Lane(v.Lane),
		CreatedAt: v.CreatedAt.UTC(), SendAt: v.SendAt.UTC(), ExpiresAt: v.ExpiresAt.UTC(), Accepted: v.Count(),
		Counts: api.MessageCounts{
			Queued: v.Counts[notification.Queued], Sending: v.Counts[notification.Sending], Sent: v.Counts[notification.Sent],
			Delivered: v.Counts[notification.Delivered], Failed: v.Counts[notification.Failed], Expired: v.Counts[notification.Expired],
			Canceled: v.Counts[notification.Canceled], Unknown: v.Counts[notification.Unknown],
		},
		Refused:  make([]api.RefusedRecipient, 0, len(v.Refused)),
		Template: v.Template, TemplateVersion: v.TemplateVersion, Metadata: v.Metadata,
	}
	for _, x := range v.Refused {
		out.Refused = append(out.Refused, api.RefusedRecipient{Index: x.Index, Code: x.Code, Pointer: x.Pointer, Detail: x.Detail})
	}
	if m := v.Message; m != nil {
		out.Reason, out.Channel, out.To = m.Reason, api.MessageChannel(m.Channel), m.ToMasked
		out.UserID, out.DeviceID = m.UserID, m.DeviceID
	}
	if v.Wait != nil {
		out.Waiting = &api.Waiting{Reason: v.Wait.Reason, Provider: v.Wait.Provider}
	}
	return out
}

func messageWire(m notification.Message) api.Message {
	id, _, _, _ := events.ParseMessageID(m.ID)
	return api.Message{
		ID: m.ID, NotificationID: id, Index: m.Index, Channel: api.MessageChannel(m.Channel), To: m.ToMasked,
		UserID: m.UserID, DeviceID: m.DeviceID, State: api.MessageState(m.State), Reason: m.Reason, Detail: m.Detail,
		Provider: m.Provider, ProviderID: m.ProviderID, Attempts: m.Attempts, SentAt: known(m.SentAt), UpdatedAt: known(m.UpdatedAt),
	}
}

// known is a time where there is one.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// countAccepted counts what was queued, by the channels of its parts.
func (m *metrics) countAccepted(n notification.Notification) {
	for _, p := range n.Parts {
		m.accepted.WithLabelValues(n.Lane, p.Channel).Add(float64(p.Count))
	}
}

func (m *metrics) countRefused(lane string, refused []notification.Refused) {
	for _, r := range refused {
		m.refused.WithLabelValues(lane, r.Code).Inc()
	}
}
