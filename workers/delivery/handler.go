package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
)

// Handler is the loop of one channel's worker. All fields but Metrics and Suppressor are required.
type Handler struct {
	Channel events.Channel
	Routes  Routes
	Keys    *keyring.Keyring
	Journal Journal
	Policy  Policy
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
	// Suppressor notes the addresses that get no messages; nil: none is noted.
	Suppressor *Suppressor
}

// Journal is what the loop writes down and reads again. Each call bounds itself in time.
type Journal interface {
	// Begin stores a send record. It fails with stream.ErrConflict where this attempt was begun already.
	Begin(ctx context.Context, d events.DeliverySettled) error
	// Settle stores a report of what happened.
	Settle(ctx context.Context, d events.DeliverySettled) error
	// Reports reads what was reported of a verification so far, oldest first.
	Reports(ctx context.Context, id string) ([]events.DeliverySettled, error)
	// Closed tells whether a verification has been answered, withdrawn, or ended otherwise.
	Closed(ctx context.Context, a events.VerificationActivated) (bool, error)
	// Schedule lets the verifier look at a time.
	Schedule(ctx context.Context, at time.Time, t events.TimerDue) error
	// Bury puts an activation that cannot be delivered aside, with the reason.
	Bury(ctx context.Context, a events.VerificationActivated, reason string) error
}

const (
	// stale is how old an activation is when it is worth a look whether its verification is still open.
	stale = time.Second
	// quotaWait is how long a message waits for its turn with one provider before the next is asked.
	quotaWait = 500 * time.Millisecond
	// heldLook is between two looks for the receipt of a message that is held.
	heldLook = time.Second
)

// again makes the broker deliver an activation again after a time. It is an outcome, no failure.
type again struct {
	after time.Duration
	why   error
}

func (e *again) Error() string { return fmt.Sprintf("again in %s: %v", e.after, e.why) }
func (e *again) Unwrap() error { return e.why }

// Handle delivers one activation. It is a Watermill handler: nil acknowledges the message, an
// error makes the broker deliver it again, an events.ErrUndecodable puts it aside.
func (h *Handler) Handle(m *message.Message) error {
	a, err := events.Decode[events.VerificationActivated](m.Payload)
	if err != nil {
		return err
	}
	if a.ID == "" || a.Channel != h.Channel || a.Send < 1 {
		return fmt.Errorf("%w: not an activation of channel %s", events.ErrUndecodable, h.Channel)
	}
	ctx, d := m.Context(), stream.DeliveryOf(m.Context())
	err = h.handle(ctx, a, d != nil && d.Attempt > 1)
	if d == nil || err == nil {
		return err
	}
	after := max(h.within(a, Backoff(1)), settlePause) // a broker in trouble is not hammered
	var e *again
	if errors.As(err, &e) {
		after = h.within(a, e.after)
	}
	d.RetryAfter(after)
	return err
}

// handle delivers an activation. The first time nothing needs to be read: the send record is stored
// under the condition that there is none, and where there is one, a broker that was killed has
// forgotten what it had delivered.
func (h *Handler) handle(ctx context.Context, a events.VerificationActivated, known bool) error {
	var past history
	var err error
	if known {
		if past, err = h.history(ctx, a); err != nil {
			return err
		}
	}
	err = h.step(ctx, a, past, known)
	if errors.Is(err, stream.ErrConflict) && !known {
		return h.handle(ctx, a, true)
	}
	return err
}

func (h *Handler) history(ctx context.Context, a events.VerificationActivated) (history, error) {
	reports, err := h.Journal.Reports(ctx, a.ID)
	if err != nil {
		h.Log.Warn("delivery reports cannot be read", "verification_id", a.ID, "channel", string(a.Channel), "err", err)
		// Only its text goes on: a report that nobody can decode must not bury a sound activation.
		return history{}, errors.New("read delivery reports: " + err.Error())
	}
	return historyOf(a, reports), nil
}

// step does what the history of a message asks for.
func (h *Handler) step(ctx context.Context, a events.VerificationActivated, past history, known bool) error {
	if past.settled != nil {
		return h.awaitReceipt(ctx, a, past) // the process was killed between its report and what follows it
	}
	if past.open {
		if err := h.judge(ctx, a, past); err != nil {
			return err
		}
	}
	if !h.Now().Before(a.ExpiresAt) {
		if past.open {
			return nil // it may have been delivered: that its fate is unknown is the last that is known
		}
		return h.drop(ctx, a, past, "")
	}
	if known || a.Step > 0 || h.Now().Sub(a.RequestedAt) > stale {
		closed, err := h.Journal.Closed(ctx, a)
		if err != nil {
			return err
		}
		if closed && past.open {
			return nil // it may have been delivered, and be what was answered
		}
		if closed {
			return h.drop(ctx, a, past, events.ReasonClosed)
		}
	}
	content, err := h.open(a)
	if err != nil {
		return err
	}
	return h.deliver(ctx, a, content, past)
}

// judge decides about a call of which nobody knows how it ended: nil lets the message be sent again.
func (h *Handler) judge(ctx context.Context, a events.VerificationActivated, past history) error {
	now := h.Now()
	if !now.Before(a.ExpiresAt) {
		return nil
	}
	if left := past.callEnds().Sub(now); left > 0 && !past.noted {
		return &again{left, errors.New("another process may be calling")}
	}
	if !past.noted {
		if err := h.unknown(ctx, a, past.last, errors.New("the process ended during the call")); err != nil {
			return err
		}
	}
	if h.Policy.Unknown != Hold {
		return nil
	}
	until := past.last.At.Add(h.Policy.Hold)
	switch {
	case !past.last.Receipts:
		return &again{a.ExpiresAt.Sub(now), errors.New("held: the provider gives no receipts")}
	case now.Before(until):
		return &again{min(heldLook, until.Sub(now)), errors.New("held: waiting for the provider's receipt")}
	default:
		return nil
	}
}

// unknown reports a call whose fate nobody knows.
func (h *Handler) unknown(ctx context.Context, a events.VerificationActivated, call events.DeliverySettled, cause error) error {
	h.Log.Warn("fate of a delivery is unknown", "verification_id", a.ID, "channel", string(a.Channel), "provider", call.Provider,
		"attempt", call.Attempt, "policy", string(h.Policy.Unknown), "err", cause)
	call.Status, call.Class, call.Detail, call.Until, call.At = events.DeliveryUnknown, string(ClassUnknown), DetailOf(cause), nil, h.Now().UTC()
	return h.settle(ctx, call, a.ExpiresAt)
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

// deliver asks the message's providers one after the other, each at most once, until one takes it. A nil
// error means settled for good.
func (h *Handler) deliver(ctx context.Context, a events.VerificationActivated, c events.DeliveryContent, past history) error {
	m := messageOf(a, c)
	candidates := h.Routes.Candidates(m, slices.Concat(a.Avoid, past.failed))
	if len(candidates) == 0 {
		return h.fail(ctx, a, report(a, Candidate{}, past.attempts+1, h.Now()), Nobody(a.Channel))
	}
	if past.tried >= h.Policy.MaxAttempts { // the last one's fate was unknown, or it could not be given up
		return h.giveUp(ctx, a, report(a, Candidate{Provider: past.last.Provider, Route: past.last.Route}, past.attempts, h.Now()))
	}
	soonest := time.Duration(-1) // when the first of the providers may be asked again
	skipped, called := false, false
	var refused struct {
		Candidate
		Refusal
	}
	note := func(wait time.Duration) {
		if soonest < 0 || wait < soonest {
			soonest = wait
		}
	}
	var last error
	for i, candidate := range candidates {
		if !h.Now().Before(a.ExpiresAt) { // the call before this one took what was left
			break
		}
		done, no := candidate.Admit(ctx, quotaWait)
		if done == nil {
			if refused.Reason == "" || no.Wait < refused.Wait {
				refused.Candidate, refused.Refusal = candidate, no
			}
			note(no.Wait)
			skipped = true
			last = errors.Join(last, fmt.Errorf("%s is left alone for %s: %s", candidate.Provider, no.Wait, no.Reason))
			continue
		}
		past.attempts++
		called = true
		m.Attempt = past.attempts
		next := i < len(candidates)-1
		call := attempt{
			h: h, a: a, m: m, c: candidate, next: next, more: next || skipped, others: others(candidates, candidate.Provider, a.Avoid),
			last: past.tried+1 >= h.Policy.MaxAttempts,
		}
		settled, err := call.make(ctx, done)
		if settled {
			return err
		}
		if call.counts {
			past.tried++
		}
		note(AfterOf(err))
		if last = errors.Join(last, err); call.stop {
			break
		}
	}
	wait := untilNext(past.tried, soonest)
	if !called && refused.Reason != "" && refused.Reason != past.waiting {
		h.waits(ctx, a, refused.Candidate, refused.Reason, wait)
	}
	return &again{wait, last}
}

func messageOf(a events.VerificationActivated, c events.DeliveryContent) Message {
	return Message{
		ID: a.ID, Lane: events.LaneVerification, Channel: a.Channel, Challenge: a.Challenge, Step: a.Step, Send: a.Send,
		To: Address(c.To), Code: Code(c.Code), LinkToken: Code(c.Token), NumberLength: a.NumberLength, Choices: c.Choices, NumberSalt: Code(c.NumberSalt), Text: Code(c.Text),
		Autofill: autofill.Hint{Origin: c.Origin, AppHash: c.AppHash}, Device: a.Device, DeviceID: a.DeviceID,
		Locale: a.Locale, Brand: a.Brand, Context: a.Context, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt,
	}
}
