package callbacks

import (
	"context"
	"errors"
	"fmt"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// received hands on a receipt about a message of a notification. An error is worth a repetition.
func (h *handler) received(ctx context.Context, c receipt, r events.MessageReceipt) (result string, err error) {
	if h.Notifications == nil {
		return resultUnknown, nil
	}
	if c.guarded && revealing(c.fate.detail, 0) {
		c.fate.detail = ""
	}
	r.EventID, r.Attempt, r.Status, r.Provider, r.ProviderID = c.eventID, c.name.attempt, c.fate.status, c.provider, c.providerID
	r.Reason, r.Detail, r.At = c.fate.reason, c.fate.detail, c.at
	call, err := h.Notifications.Received(ctx, r)
	switch {
	case errors.Is(err, verification.ErrNotFound):
		return resultUnknown, nil
	case err != nil:
		return "", fmt.Errorf("keep receipt: %w", err)
	case !call.News:
		return resultIgnored, nil
	}
	if r.Status == events.DeliveryDelivered && c.channel != "" {
		h.took.WithLabelValues(string(c.channel), r.Provider, call.Route).Observe(max(0, r.At.Sub(call.BegunAt).Seconds()))
	}
	// One line for each message of a batch is more than anybody reads.
	h.Log.DebugContext(ctx, "message reported", "notification_id", r.ID, "part", r.Part, "place", r.Place, "attempt", r.Attempt,
		"provider", r.Provider, "status", r.Status, "reason", r.Reason, "detail", r.Detail)
	return resultPublished, nil
}
