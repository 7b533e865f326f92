package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
)

// Handler is the loop of one channel's worker. All fields but Metrics are required.
type Handler struct {
	Channel events.Channel
	Sender  Sender
	Keys    *keyring.Keyring
	// Settle stores a report of what happened; it is called before the message is acknowledged.
	Settle func(context.Context, events.DeliverySettled) error
	// Reports reads what was reported of a verification so far, oldest first.
	Reports func(ctx context.Context, id string) ([]events.DeliverySettled, error)
	// SendTimeout bounds one call to the provider.
	SendTimeout time.Duration
	Now         func() time.Time
	Log         *slog.Logger
	Metrics     *Metrics
}

// DefaultSendTimeout is above what providers need and below what a person waits.
const DefaultSendTimeout = 10 * time.Second

// The wait before the next attempt doubles from the first to the last value, and varies by half
// so that a fleet does not come back at once.
const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 15 * time.Second
	// minLife is what must be left of a verification for another attempt to make sense.
	minLife = time.Second
	// late is above what an activation takes to get here, and below what a broker takes to come back.
	late = 100 * time.Millisecond
	// A report is tried this often at once, and then with pauses while the verification lives.
	settleTries = 3
	settlePause = 250 * time.Millisecond
)

// Handle delivers one activation. It is a Watermill handler: nil acknowledges the message, an
// error makes the broker deliver it again, an events.ErrUndecodable puts it aside.
func (h *Handler) Handle(m *message.Message) error {
	a, err := events.Decode[events.VerificationActivated](m.Payload)
	if err != nil {
		return err
	}
	if a.ID == "" || a.Channel != h.Channel {
		return fmt.Errorf("%w: not an activation of channel %s", events.ErrUndecodable, h.Channel)
	}
	ctx, d := m.Context(), stream.DeliveryOf(m.Context())
	attempt := 1
	if d != nil {
		attempt = d.Attempt
	}
	// A broker that was killed forgets what it had delivered last, and counts from one again; what
	// comes late may have been sent. This goes before the deadline: what was sent in time did not expire.
	if attempt > 1 || h.Now().Sub(a.RequestedAt) > late {
		sent, err := h.sentBefore(ctx, a)
		if err != nil || sent {
			return err
		}
	}
	if !h.Now().Before(a.ExpiresAt) {
		return h.expire(ctx, a, attempt)
	}
	content, err := h.open(a)
	if err == nil {
		err = h.deliver(ctx, a, content, attempt)
	}
	if err != nil && d != nil {
		d.RetryAfter(h.wait(a, attempt, err))
	}
	return err
}

// sentBefore tells whether this send was reported as taken by the provider: the process was
// killed between its report and its acknowledgement.
func (h *Handler) sentBefore(ctx context.Context, a events.VerificationActivated) (bool, error) {
	reports, err := h.Reports(ctx, a.ID)
	if err != nil {
		h.Log.Warn("delivery reports cannot be read", "verification_id", a.ID, "channel", string(a.Channel), "err", err)
		// Only its text goes on: a report that nobody can decode must not bury a sound activation.
		return false, errors.New("read delivery reports: " + err.Error())
	}
	for _, r := range reports {
		// An id that comes from an idempotency key returns after its grace; reports stay a little longer.
		if r.At.Before(a.CreatedAt.Add(-stream.Grace / 2)) {
			continue
		}
		asked := r.Status == events.DeliveryRequested || r.Status == events.DeliveryExpired
		if r.Send == a.Send && r.Channel == a.Channel && !asked {
			return true, nil
		}
	}
	return false, nil
}

// open unseals what to send where. Content that does not belong to this activation is undecodable;
// a key that is missing is the operator's to bring.
func (h *Handler) open(a events.VerificationActivated) (events.DeliveryContent, error) {
	var c events.DeliveryContent
	plain, err := h.Keys.Open(keyring.Channel(h.Channel), a.ID, a.Content)
	if errors.Is(err, keyring.ErrForged) {
		return c, fmt.Errorf("%w: %w", events.ErrUndecodable, err)
	}
	if err != nil {
		h.Log.Error("activation cannot be opened", "verification_id", a.ID, "channel", string(h.Channel), "err", err)
		return c, Misconfigured(err)
	}
	if json.Unmarshal(plain, &c) != nil || c.To == "" {
		return c, fmt.Errorf("%w: sealed content has another form", events.ErrUndecodable)
	}
	return c, nil
}

// deliver makes one attempt and settles it. A nil error means settled for good.
func (h *Handler) deliver(ctx context.Context, a events.VerificationActivated, c events.DeliveryContent, attempt int) error {
	sendCtx, cancel := context.WithTimeout(ctx, min(h.SendTimeout, a.ExpiresAt.Sub(h.Now())))
	defer cancel()
	began := h.Now()
	receipt, err := h.Sender.Send(sendCtx, messageOf(a, c, attempt))
	h.Metrics.sent(h.Channel, receipt.Provider, a.RequestedAt, began, h.Now(), err)

	report := events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Send: a.Send, Status: events.DeliverySent,
		// The time is that of the call: a receipt may overtake the answer, and the timeline keeps its order.
		Provider: receipt.Provider, ProviderID: receipt.ID, Attempt: attempt, At: began.UTC(),
	}
	log := h.Log.With("verification_id", a.ID, "channel", string(a.Channel), "provider", receipt.Provider,
		"attempt", attempt, "duration_ms", h.Now().Sub(began).Milliseconds())
	switch class := ClassOf(err); {
	case err == nil:
		log.Info("delivery sent", "provider_id", receipt.ID)
	case class == ClassPermanent:
		report.Status, report.Reason, report.Detail = events.DeliveryFailed, ReasonOf(err), detailOf(err)
		log.Warn("delivery failed", "reason", report.Reason, "err", err)
	case class == ClassMisconfigured:
		log.Error("delivery refused: the provider's configuration needs the operator", "err", err)
		return err
	default:
		log.Warn("delivery attempt failed", "class", string(class), "err", err)
		return err
	}
	return h.settle(ctx, report, a.ExpiresAt)
}

func messageOf(a events.VerificationActivated, c events.DeliveryContent, attempt int) Message {
	return Message{
		ID: a.ID, Channel: a.Channel, Challenge: a.Challenge, Send: a.Send, Attempt: attempt,
		To: Address(c.To), Code: Code(c.Code), LinkToken: Code(c.Token), NumberLength: a.NumberLength, Choices: c.Choices, Text: Code(c.Text),
		Device: a.Device, DeviceID: a.DeviceID,
		Locale: a.Locale, Brand: a.Brand, Context: a.Context, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt,
	}
}

// expire settles what came too late; nobody is called.
func (h *Handler) expire(ctx context.Context, a events.VerificationActivated, attempt int) error {
	h.Metrics.expired(h.Channel)
	h.Log.Warn("delivery expired", "verification_id", a.ID, "channel", string(a.Channel), "attempt", attempt)
	return h.settle(ctx, events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Send: a.Send, Status: events.DeliveryExpired, Attempt: attempt, At: h.Now().UTC(),
	}, a.ExpiresAt)
}

// settle stores a report. Report before acknowledgement: a lost acknowledgement costs a second
// look, a lost report would cost a second message or a stuck verification. So a broker that takes
// no reports is asked until the end of the verification: given up, a message that the provider has
// taken would be sent anew with each attempt.
func (h *Handler) settle(ctx context.Context, report events.DeliverySettled, end time.Time) error {
	// A try whose answer was lost may have been stored: the broker drops what comes after it.
	report.EventID = fmt.Sprintf("worker:%s:%s:%d:%s:%d", report.ID, report.Channel, report.Send, report.Status, report.Attempt)
	for try := 1; ; try++ {
		// The report must be stored even when the grace of a shutdown has just ended; each try bounds itself.
		err := h.Settle(context.WithoutCancel(ctx), report)
		if err == nil {
			return nil
		}
		if try < settleTries {
			continue
		}
		if try == settleTries {
			h.Log.Warn("delivery not reported yet", "verification_id", report.ID, "channel", string(report.Channel), "err", err)
		}
		if !h.Now().Before(end) || !pause(ctx, settlePause) {
			return fmt.Errorf("report delivery: %w", err)
		}
	}
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait is how long until the next attempt. It never outlives the verification: towards the end
// attempts come closer, and the last message then settles as expired.
func (h *Handler) wait(a events.VerificationActivated, attempt int, err error) time.Duration {
	backoff := lastBackoff
	if attempt < 6 {
		backoff = min(lastBackoff, firstBackoff<<(attempt-1))
	}
	backoff = backoff/2 + rand.N(backoff) //nolint:gosec // spreads retries, guards nothing
	backoff = max(backoff, AfterOf(err))
	left := a.ExpiresAt.Sub(h.Now())
	if left <= minLife {
		return max(left, 0) + time.Millisecond // then it settles as expired
	}
	return min(backoff, left-minLife/2)
}
