package stream

import (
	"context"
	"time"

	"github.com/assent-io/assent/events"
)

// reportLife is how long the steps of a delivery stay readable: the longest verification and its grace.
const reportLife = 15*time.Minute + events.Grace

// Settle reports a step of a delivery. It returns once the broker has the report.
func (p *Publisher) Settle(ctx context.Context, d events.DeliverySettled) error {
	d.Version = events.Version
	return p.emit(ctx, events.DeliverySubject(d.ID, d.Status), d.EventID, d, reportLife)
}

// Begin stores the send record of a call that is about to be made. It fails with ErrConflict where there is
// one already: somebody else makes that call, or made it.
func (p *Publisher) Begin(ctx context.Context, d events.DeliverySettled) error {
	d.Version = events.Version
	data, err := events.Encode(d)
	if err != nil {
		return err
	}
	_, err = p.Put(ctx, events.BegunSubject(d.ID, d.Step, d.Send, d.Attempt), data, Expecting(0), WithTTL(reportLife))
	return err
}

// Respond hands an authenticated answer to the verifier. It returns once the broker has it.
func (p *Publisher) Respond(ctx context.Context, r events.ResponseReceived) error {
	r.Version = events.Version
	return p.emit(ctx, events.ResponseSubject(r.Kind, r.ID), r.EventID, r, 0)
}

// emit stores what happened. What is reported while the broker is away may well be stored when it is back, and
// must then be there before the broker delivers again what it reports of. So this does not wait as Put does.
func (p *Publisher) emit(ctx context.Context, subject, id string, event any, life time.Duration) error {
	data, err := events.Encode(event)
	if err != nil {
		return err
	}
	var options []Option
	if id != "" {
		options = append(options, WithID(id))
	}
	if life > 0 {
		options = append(options, WithTTL(life))
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err = p.put(ctx, subject, data, options)
	return err
}
