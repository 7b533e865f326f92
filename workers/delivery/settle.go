package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/assent-io/assent/events"
)

// A report is tried this often at once, and then with pauses while the verification lives.
const (
	settleTries = 3
	settlePause = 250 * time.Millisecond
)

// fail settles a message that can never arrive.
func (h *Handler) fail(ctx context.Context, a events.VerificationActivated, r events.DeliverySettled, err error) error {
	r.Status, r.Reason, r.Detail = events.DeliveryFailed, ReasonOf(err), DetailOf(err)
	h.Log.Warn("delivery failed", "verification_id", a.ID, "channel", string(a.Channel), "provider", r.Provider,
		"attempt", r.Attempt, "reason", r.Reason, "err", err)
	if !Final(r.Reason) { // the operator can do something about it
		if err := h.Journal.Bury(ctx, a, r.Reason); err != nil {
			return err
		}
	}
	return h.settle(ctx, r, a.ExpiresAt)
}

// giveUp settles a message that was tried as often as is allowed.
func (h *Handler) giveUp(ctx context.Context, a events.VerificationActivated, r events.DeliverySettled) error {
	r.Until, r.Class, r.At = nil, "", h.Now().UTC()
	return h.fail(ctx, a, r, Permanent(events.ReasonProviderUnavailable, fmt.Errorf("%d attempts came to nothing", h.Policy.MaxAttempts)))
}

// drop settles what came too late, or is not wanted any more; nobody is called.
func (h *Handler) drop(ctx context.Context, a events.VerificationActivated, past history, reason string) error {
	h.Metrics.expired(h.Channel)
	h.Log.Warn("delivery expired", "verification_id", a.ID, "channel", string(a.Channel), "attempt", past.attempts, "reason", reason)
	return h.settle(ctx, events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Step: a.Step, Send: a.Send, Status: events.DeliveryExpired, Reason: reason,
		Attempt: past.attempts, At: h.Now().UTC(),
	}, a.ExpiresAt)
}

// waits tells why no provider is called for now. It is for people to see: where it cannot be stored, nothing waits
// for it.
func (h *Handler) waits(ctx context.Context, a events.VerificationActivated, c Candidate, reason string, wait time.Duration) {
	r := report(a, c, 0, h.Now())
	until := r.At.Add(wait)
	r.Status, r.Reason, r.Until = events.DeliveryWaiting, reason, &until
	r.EventID = fmt.Sprintf("waiting:%s:%d:%d:%s", a.ID, a.Step, a.Send, reason)
	if err := h.Journal.Settle(ctx, r); err != nil {
		h.Log.Warn("waiting delivery not reported", "verification_id", a.ID, "channel", string(a.Channel), "err", err)
	}
}

// settle stores a report. Report before acknowledgement: a lost acknowledgement costs a second
// look, a lost report would cost a second message or a stuck verification. So a broker that takes
// no reports is asked until the end of the verification: given up, a message that the provider has
// taken would be sent anew with each attempt.
func (h *Handler) settle(ctx context.Context, r events.DeliverySettled, end time.Time) error {
	// A try whose answer was lost may have been stored: the broker drops what comes after it.
	r.EventID = fmt.Sprintf("worker:%s:%s:%d:%d:%s:%d", r.ID, r.Channel, r.Step, r.Send, r.Status, r.Attempt)
	for try := 1; ; try++ {
		// The report must be stored even when the grace of a shutdown has just ended; each try bounds itself.
		err := h.Journal.Settle(context.WithoutCancel(ctx), r)
		if err == nil {
			return nil
		}
		if try < settleTries {
			continue
		}
		if try == settleTries {
			h.Log.Warn("delivery not reported yet", "verification_id", r.ID, "channel", string(r.Channel), "err", err)
		}
		if !h.Now().Before(end) || !Pause(ctx, settlePause) {
			return fmt.Errorf("report delivery: %w", err)
		}
	}
}

// Pause waits; false when ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
