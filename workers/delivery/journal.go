package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// Streams is the Journal on JetStream.
type Streams struct {
	pub      *stream.Publisher
	reports  *stream.Reader
	outcomes *stream.Reader
}

// NewStreams opens the journal, which writes through pub. The streams must exist.
func NewStreams(ctx context.Context, js jetstream.JetStream, pub *stream.Publisher) (*Streams, error) {
	s := &Streams{pub: pub}
	var err error
	if s.reports, err = stream.NewReader(ctx, js, stream.Deliveries); err != nil {
		return nil, err
	}
	s.outcomes, err = stream.NewReader(ctx, js, stream.Outcomes)
	return s, err
}

// Begin stores a send record where there is none of this attempt.
func (s *Streams) Begin(ctx context.Context, d events.DeliverySettled) error {
	return s.pub.Begin(ctx, d)
}

// Settle stores a report.
func (s *Streams) Settle(ctx context.Context, d events.DeliverySettled) error {
	return s.pub.Settle(ctx, d)
}

// Reports reads what was reported of a verification, oldest first.
func (s *Streams) Reports(ctx context.Context, id string) ([]events.DeliverySettled, error) {
	return s.reports.Reports(ctx, id)
}

// Schedule hands a timer to the broker.
func (s *Streams) Schedule(ctx context.Context, at time.Time, t events.TimerDue) error {
	return s.pub.Schedule(ctx, at, t)
}

// Closed reads the outcome of a verification; one that cannot be read by this program is not closed.
func (s *Streams) Closed(ctx context.Context, a events.VerificationActivated) (bool, error) {
	rec, err := s.outcomes.Last(ctx, events.OutcomeSubject(a.ID))
	if errors.Is(err, stream.ErrAbsent) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o, err := events.Decode[events.VerificationChanged](rec.Data)
	if err != nil {
		return false, nil //nolint:nilerr // a report that nobody can decode must not bury a sound activation
	}
	// One of an earlier life of an idempotent id says nothing about this one.
	return o.ClosedAt != nil && !events.EarlierLife(a.CreatedAt, o.ChangedAt), nil
}

// Bury puts the activation that the context's delivery brought aside, sealed; it does so once.
func (s *Streams) Bury(ctx context.Context, a events.VerificationActivated, reason string) error {
	d := stream.DeliveryOf(ctx)
	if d == nil {
		return errors.New("put activation aside: there is no delivery")
	}
	payload, err := events.Encode(a)
	if err != nil {
		return err
	}
	return s.pub.Letter(ctx, events.DeadLetter{
		Subject: d.Subject, Consumer: d.Consumer, Sequence: d.Sequence, Kind: events.LetterUndelivered, Reason: reason,
		VerificationID: a.ID, Credential: a.Credential, Channel: a.Channel,
	}, payload)
}
