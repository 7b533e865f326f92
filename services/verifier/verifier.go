// Package verifier consumes what comes back, answers of people and final failures of
// deliveries, and turns each into a fact for the domain. It decides nothing itself:
// verification.Apply does, under compare-and-set, so that any number of verifiers may
// run side by side and a repeated event changes nothing. Only a wrong number counts once
// more where the broker delivers its event again, which errs towards refusing.
package verifier

import (
	"context"
	"errors"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Consumers are what a verifier subscribes to.
func Consumers() []stream.Consumer {
	return []stream.Consumer{
		{Stream: stream.Responses, Name: ResponsesConsumer, Filter: events.ResponseSubjects, MaxAckPending: maxAckPending},
		{Stream: stream.Deliveries, Name: DeliveriesConsumer, Filter: events.DeliveriesWith(events.DeliveryFailed), MaxAckPending: maxAckPending},
	}
}

// The names of the durable consumers.
const (
	ResponsesConsumer  = "verifier-responses"
	DeliveriesConsumer = "verifier-deliveries"
	maxAckPending      = 4096
)

// Resolver applies a fact under compare-and-set.
type Resolver interface {
	Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error)
}

// Verifier handles the two kinds of events.
type Verifier struct {
	Verifications Resolver
	Log           *slog.Logger
	// Resolved counts what a fact came to, by its kind and the status after; may be nil.
	Resolved func(kind, status string)
}

// HandleResponse applies a person's answer. It is a Watermill handler.
func (v *Verifier) HandleResponse(m *message.Message) error {
	r, err := events.Decode[events.ResponseReceived](m.Payload)
	if err != nil {
		return err
	}
	return v.resolve(m.Context(), r.Kind, r.ID, verification.Answered{Decision: verification.Decision(r.Decision), Number: r.Number})
}

// HandleDelivery applies a delivery's final failure. It is a Watermill handler.
func (v *Verifier) HandleDelivery(m *message.Message) error {
	d, err := events.Decode[events.DeliverySettled](m.Payload)
	if err != nil {
		return err
	}
	if d.Status != events.DeliveryFailed {
		return nil
	}
	return v.resolve(m.Context(), "delivery", d.ID, verification.Undelivered{Send: d.Send, Reason: verification.Reason(d.Reason)})
}

// resolve applies a fact. One that comes too late, or that no verification waits for, is settled:
// delivering it again would change nothing. What the broker could not answer is tried again.
func (v *Verifier) resolve(ctx context.Context, kind, id string, f verification.Fact) error {
	after, err := v.Verifications.Resolve(ctx, id, f)
	log := v.Log.With("verification_id", id, "kind", kind)
	result := string(after.Status)
	switch {
	case err == nil:
		log.Info("verification resolved", "status", result, "reason", string(after.Reason))
	case errors.Is(err, verification.ErrClosed):
		result = "late"
		log.Info("fact came too late", "status", string(after.Status))
	case errors.Is(err, verification.ErrNotFound), errors.Is(err, verification.ErrChallenge):
		result = "ignored"
		log.Warn("fact fits no verification", "err", err)
	default:
		log.Warn("fact not applied yet", "err", err)
		return err
	}
	if v.Resolved != nil {
		v.Resolved(kind, result)
	}
	return nil
}
