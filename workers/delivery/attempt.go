package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/assent-io/assent/events"
)

// attempt is one call to one provider.
type attempt struct {
	h      *Handler
	a      events.VerificationActivated
	m      Message
	c      Candidate
	next   bool // another provider follows at once
	more   bool // another provider follows, at once or when it may be called again
	others bool // another provider could carry the message
	last   bool // if this one counts, the budget is used up

	report events.DeliverySettled
	counts bool // against the budget
	stop   bool // nobody else is to be asked now
}

// make writes the send record, calls, and writes what came of it. settled tells that nobody else is to be
// asked: the message has ended, or what happened could not be written.
func (t *attempt) make(ctx context.Context, done func(error)) (settled bool, err error) {
	h := t.h
	began := h.Now()
	t.report = report(t.a, t.c, t.m.Attempt, began)
	record := t.report
	until := began.Add(min(h.Policy.SendTimeout, t.a.ExpiresAt.Sub(began))).UTC()
	record.Status, record.Until, record.Receipts = events.DeliveryBegun, &until, t.c.Receipts
	if err := h.Journal.Begin(ctx, record); err != nil {
		done(ErrNotAsked)
		return true, fmt.Errorf("store send record: %w", err)
	}
	if done, err = t.still(ctx, done, began, until); done == nil {
		return t.unmade(ctx, err)
	}
	sendCtx, cancel := context.WithTimeout(ctx, until.Sub(h.Now())) // nobody waits for it any longer
	defer cancel()
	landed := h.Metrics.Flight(h.Channel, events.LaneVerification)
	receipt, err := HandOver(sendCtx, t.c.Sender, t.m, h.Log)
	landed()
	done(err)
	ended := h.Now()
	h.Metrics.sent(h.Channel, t.c.Provider, t.a.RequestedAt, began, ended, err)
	log := h.Log.With("verification_id", t.a.ID, "channel", string(t.a.Channel), "provider", t.c.Provider,
		"attempt", t.m.Attempt, "duration_ms", ended.Sub(began).Milliseconds())
	if err == nil {
		log.Info("delivery sent", "provider_id", receipt.ID)
		t.report.Status, t.report.ProviderID = events.DeliverySent, receipt.ID
		if err := h.settle(ctx, t.report, t.a.ExpiresAt); err != nil {
			return true, err
		}
		return true, h.schedule(ctx, t.a, t.c, began, t.others)
	}
	return t.refused(ctx, log, record, err)
}

// errLate is the error of a call that is not made because its record took too long to be written.
var errLate = errors.New("the send record was stored too late for the call")

// still tells whether a call may be made now that its record is stored, which may have taken its time. Without done
// it may not, and has ended.
func (t *attempt) still(ctx context.Context, done func(error), began, until time.Time) (func(error), error) {
	now := t.h.Now()
	if now.Sub(began) > LateCall || !now.Before(until) {
		done(ErrNotAsked)
		return nil, RetryAfter(0, errLate)
	}
	done, no := t.c.Renew(ctx, done, now.Sub(began), until.Sub(now))
	if done == nil {
		return nil, RetryAfter(no.Wait, fmt.Errorf("%w: %s", errLate, no.Reason))
	}
	return done, nil
}

// unmade settles a call that was not made.
func (t *attempt) unmade(ctx context.Context, err error) (settled bool, _ error) {
	h := t.h
	h.Log.Warn("delivery not attempted", "verification_id", t.a.ID, "channel", string(t.a.Channel), "provider", t.c.Provider,
		"attempt", t.m.Attempt, "err", err)
	if !h.Now().Before(t.a.ExpiresAt) {
		return true, h.drop(ctx, t.a, history{attempts: t.m.Attempt}, "")
	}
	return t.again(ctx, err)
}

// HandOver gives a message to its sender. One that panics may have called its provider before, so nobody knows what
// became of the message.
func HandOver(ctx context.Context, s Sender, m Message, log *slog.Logger) (receipt Receipt, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			log.Error("sender panicked", "message_id", m.ID, "stack", string(debug.Stack()))
			err = Unknown(errors.New("the sender panicked"))
		}
	}()
	return s.Send(ctx, m)
}

// refused settles a call that came to nothing, or may have.
func (t *attempt) refused(ctx context.Context, log *slog.Logger, record events.DeliverySettled, err error) (settled bool, _ error) {
	h, class := t.h, ClassOf(err)
	h.Suppressor.Refused(ctx, Addressee{t.a.Channel, t.a.Destination, t.m.To, t.a.ToMasked}, t.c.Provider, err)
	switch {
	case class == ClassPermanent && (!t.more || Final(ReasonOf(err))):
		return true, h.fail(ctx, t.a, t.report, err)
	case class == ClassUnknown:
		// Nobody else is asked at once: a receipt may tell in a moment that the message is on its way.
		t.counts, t.stop = true, true
		if unreported := h.unknown(ctx, t.a, record, err); unreported != nil {
			return true, unreported
		}
		return false, err
	case class == ClassMisconfigured:
		log.Error("delivery refused: the provider's configuration needs the operator", "err", err)
	default:
		log.Warn("delivery attempt failed", "class", string(class), "err", err)
	}
	if t.counts = class != ClassRetryAfter; t.counts && t.last {
		return true, h.giveUp(ctx, t.a, t.report)
	}
	return t.again(ctx, err)
}

// again reports a call that came to nothing, and when another follows.
func (t *attempt) again(ctx context.Context, err error) (settled bool, _ error) {
	h := t.h
	t.report.Status, t.report.Class, t.report.Reason, t.report.Detail = events.DeliveryRetrying, string(ClassOf(err)), ReasonOf(err), DetailOf(err)
	next := h.Now().UTC()
	if !t.next {
		next = next.Add(max(AfterOf(err), firstBackoff))
	}
	t.report.Until = &next
	if unreported := h.settle(ctx, t.report, t.a.ExpiresAt); unreported != nil {
		return true, unreported
	}
	return false, err
}

// report is what all reports of a call have in common.
func report(a events.VerificationActivated, c Candidate, attempt int, began time.Time) events.DeliverySettled {
	return events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Step: a.Step, Send: a.Send, Provider: c.Provider, Route: c.Route, Attempt: attempt,
		// The time is that of the call: a receipt may overtake the answer, and the timeline keeps its order.
		At: began.UTC(),
	}
}
