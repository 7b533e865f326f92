// Package verifier consumes what comes back, answers of people, failures of deliveries and
// times that have come, and turns each into a fact for the domain. It decides nothing itself:
// verification.Apply does, under compare-and-set, so that any number of verifiers may
// run side by side and a repeated event changes nothing: a wrong number too counts once for each
// event, however often the broker delivers it or a provider's callback is played again.
package verifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Consumers are what a verifier subscribes to.
func Consumers() []stream.Consumer {
	return []stream.Consumer{
		{Stream: stream.Responses, Name: ResponsesConsumer, Filters: []string{events.ResponseSubjects}, MaxAckPending: maxAckPending},
		{
			Stream: stream.Deliveries, Name: DeliveriesConsumer, MaxAckPending: maxAckPending,
			Filters: []string{events.DeliveriesWith(events.DeliveryFailed), events.DeliveriesWith(events.DeliveryUnanswered)},
		},
		{Stream: stream.Timers, Name: TimersConsumer, Filters: []string{events.DueSubjects}, MaxAckPending: maxAckPending},
	}
}

// The names of the durable consumers.
const (
	ResponsesConsumer  = "verifier-responses"
	DeliveriesConsumer = "verifier-deliveries"
	TimersConsumer     = "verifier-timers"
	maxAckPending      = 4096
)

// Resolver applies what happened, under compare-and-set.
type Resolver interface {
	Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error)
	// Prove checks what a phone signed; nil for an answer that needs no proof. It fails with
	// verification.ErrUnproved or ErrNotFound.
	Prove(ctx context.Context, r events.ResponseReceived) (*verification.Proof, error)
	// Archive keeps the proof that closed a verification; it may be repeated. It fails with
	// verification.ErrUnarchived where trying again is in vain.
	Archive(ctx context.Context, id string, p verification.Proof) error
	// Timed takes a step of a fallback whose time has come; Undelivered does what follows from a message that
	// did not arrive, and Unheard from one of which nothing is heard. They return what was done, and fail with
	// verification.ErrNotFound or ErrClosed where nothing is to be done.
	Timed(ctx context.Context, id string, step int) (verification.Move, error)
	Undelivered(ctx context.Context, d events.DeliverySettled) (verification.Move, error)
	Unheard(ctx context.Context, t events.TimerDue) (verification.Move, error)
}

// Verifier handles answers, reports of messages that did not arrive, and times that have come.
type Verifier struct {
	Verifications Resolver
	Log           *slog.Logger
	// Guard and Audit are told what people answered; without them nothing follows from an answer but the outcome.
	Guard Guard
	Audit Audit
	// NotMe is what follows where a person says that a request was not theirs, and Warned counts it by channel; may
	// be nil.
	NotMe  NotMe
	Warned func(channel string)
	// Resolved counts what a fact came to, by its kind and the status after; may be nil.
	Resolved func(kind, status string)
}

// HandleResponse applies a person's answer. It is a Watermill handler.
func (v *Verifier) HandleResponse(m *message.Message) error {
	r, err := events.Decode[events.ResponseReceived](m.Payload)
	if err != nil {
		return err
	}
	proof, err := v.Verifications.Prove(m.Context(), r)
	if err != nil {
		if d := stream.DeliveryOf(m.Context()); errors.Is(err, verification.ErrNotFound) && r.Proof != nil && d != nil && d.Attempt > 1 {
			// It may have closed its verification when it came before: then its proof must not be lost in silence.
			if err := v.archive(m.Context(), r.ID, verification.Proof{AnsweredAt: r.Proof.AnsweredAt, Signature: r.Proof.Signature}); err != nil {
				return err
			}
		}
		return v.refused(v.Log.With("verification_id", r.ID, "kind", r.Kind), r.Kind, err)
	}
	answered := verification.Answered{Decision: verification.Decision(r.Decision), EventID: r.EventID, Number: r.Number, Proof: proof}
	after, err := v.resolve(m.Context(), r.Kind, r.ID, answered)
	if err != nil {
		return err
	}
	// After the outcome, which somebody waits for, and before the ack: whoever is killed between is followed by one
	// that finds the verification closed by this very answer. Neither waits for the other: an archive that is full
	// keeps nobody from being warned. What cannot be archived is put aside once nothing else is left to do.
	followed := v.follow(m.Context(), r, after)
	if proof == nil || !after.Status.Closed() {
		return followed
	}
	if err := v.archive(m.Context(), r.ID, *proof); followed == nil {
		return err
	}
	return followed
}

// A proof that was not archived is tried again after a pause that grows with each try.
const (
	archivePause = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// archive keeps a proof. The answer whose proof can be kept no more becomes a dead letter.
func (v *Verifier) archive(ctx context.Context, id string, p verification.Proof) error {
	err := v.Verifications.Archive(ctx, id, p)
	switch {
	case errors.Is(err, verification.ErrUnarchived):
		v.Log.Error("proof not archived: its answer goes to the dead letters", "verification_id", id, "err", err)
		v.count(events.ResponsePush, "unarchived")
		return fmt.Errorf("%w: %w", events.ErrUndecodable, err) // of no use to whoever gets it again
	case err != nil:
		v.Log.Warn("proof not archived yet", "verification_id", id, "err", err)
		if d := stream.DeliveryOf(ctx); d != nil {
			d.RetryAfter(min(time.Duration(d.Attempt)*archivePause, longestPause))
		}
		return fmt.Errorf("archive proof: %w", err)
	}
	return nil
}

// HandleDelivery applies that a message did not arrive. It is a Watermill handler.
func (v *Verifier) HandleDelivery(m *message.Message) error {
	d, err := events.Decode[events.DeliverySettled](m.Payload)
	if err != nil {
		return err
	}
	if d.Status != events.DeliveryFailed && d.Status != events.DeliveryUnanswered {
		return nil
	}
	move, err := v.Verifications.Undelivered(m.Context(), d)
	return v.moved(kindDelivery, d.ID, d.Reason, move, err)
}

// HandleTimer does what was to be done at this time. It is a Watermill handler.
func (v *Verifier) HandleTimer(m *message.Message) error {
	t, err := events.Decode[events.TimerDue](m.Payload)
	if err != nil {
		return err
	}
	switch t.Kind {
	case events.TimerFallback:
		move, err := v.Verifications.Timed(m.Context(), t.ID, t.Step)
		if d := stream.DeliveryOf(m.Context()); errors.Is(err, verification.ErrNotFound) && d != nil && time.Since(d.StoredAt) < recordWithin {
			return fmt.Errorf("take step of fallback: %w", err) // its record is stored after its timer
		}
		return v.moved(t.Kind, t.ID, events.ReasonUnanswered, move, err)
	case events.TimerReceipt:
		move, err := v.Verifications.Unheard(m.Context(), t)
		return v.moved(t.Kind, t.ID, events.ReasonNoReceipt, move, err)
	default:
		return fmt.Errorf("%w: timer of kind %q", events.ErrUndecodable, t.Kind)
	}
}

const kindDelivery = "delivery"

// recordWithin is longer than a create takes between a fallback's timer and its record.
const recordWithin = 15 * time.Second

// moved tells what became of a message that did not arrive, or of a time that has come.
func (v *Verifier) moved(kind, id, reason string, move verification.Move, err error) error {
	log := v.Log.With("verification_id", id, "kind", kind, "reason", reason)
	result := "nothing"
	switch {
	case err != nil:
		return v.refused(log, kind, err)
	case move.Take > 0:
		result = "fallback"
		log.Info("fallback taken", "step", move.Take)
	case move.Again:
		result = "again"
		log.Info("message asked for again")
	case move.Close:
		result = string(verification.Failed)
		log.Info("verification resolved", "status", result)
	default:
		log.Debug("nothing to do")
	}
	v.count(kind, result)
	return nil
}

// resolve applies a fact, and returns the verification as it reads after.
func (v *Verifier) resolve(ctx context.Context, kind, id string, f verification.Fact) (verification.Verification, error) {
	after, err := v.Verifications.Resolve(ctx, id, f)
	log := v.Log.With("verification_id", id, "kind", kind)
	if err != nil {
		return after, v.refused(log, kind, err)
	}
	log.Info("verification resolved", "status", string(after.Status), "reason", string(after.Reason))
	v.count(kind, string(after.Status))
	return after, nil
}

// refused settles what comes too late, or what no verification waits for: delivering it again would change
// nothing. What the broker could not answer is tried again.
func (v *Verifier) refused(log *slog.Logger, kind string, err error) error {
	switch {
	case errors.Is(err, verification.ErrClosed):
		log.Info("fact came too late")
		v.count(kind, "late")
	case errors.Is(err, verification.ErrUnproved):
		log.Warn("answer without a valid proof refused", "err", err)
		v.count(kind, "unproved")
	case errors.Is(err, verification.ErrNotFound), errors.Is(err, verification.ErrChallenge):
		log.Warn("fact fits no verification", "err", err)
		v.count(kind, "ignored")
	default:
		log.Warn("fact not applied yet", "err", err)
		return err
	}
	return nil
}

func (v *Verifier) count(kind, result string) {
	if v.Resolved != nil {
		v.Resolved(kind, result)
	}
}
