package store

import (
	"context"
	"errors"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// takeWindows counts one send in the rolling windows of its destination and its user, or fails
// with a *verification.LimitError and counts nothing. The broker refuses what is too many, so it
// holds across all processes. giveBack undoes the count. What sends nothing takes nothing.
func (s *Verifications) takeWindows(ctx context.Context, e events.VerificationActivated) (giveBack func(context.Context), err error) {
	if e.Channel == events.TOTP {
		return func(context.Context) {}, nil
	}
	entry, err := events.Encode(events.WindowEntry{Version: events.Version, ID: e.ID, At: e.RequestedAt})
	if err != nil {
		return nil, err
	}
	var taken []uint64
	giveBack = func(ctx context.Context) {
		for _, seq := range taken {
			// What cannot be given back now leaves by itself with its window.
			_ = stream.Delete(context.WithoutCancel(ctx), s.js, stream.Windows, seq)
		}
	}
	for _, w := range []struct{ policy, key string }{
		{events.WindowDestination, e.Destination},
		{events.WindowUser, e.UserID},
	} {
		if w.key == "" {
			continue
		}
		subject := events.WindowSubject(w.policy, w.key)
		seq, err := s.pub.Put(ctx, subject, entry, stream.WithTTL(s.cfg.SendWindow))
		if errors.Is(err, stream.ErrFull) {
			giveBack(ctx)
			return nil, s.limited(ctx, w.policy, subject)
		}
		if err != nil {
			giveBack(ctx)
			return nil, unavailable(err)
		}
		taken = append(taken, seq)
	}
	return giveBack, nil
}

// limited says when the oldest send leaves the window.
func (s *Verifications) limited(ctx context.Context, policy, subject string) error {
	e := &verification.LimitError{Policy: policy, Quota: s.cfg.SendQuota, Window: s.cfg.SendWindow, RetryAfter: s.cfg.SendWindow}
	if sends, err := s.windows.All(ctx, subject); err == nil && len(sends) > 0 {
		e.RetryAfter = sends[0].StoredAt.Add(s.cfg.SendWindow).Sub(s.cfg.Now())
	}
	e.RetryAfter = max(time.Second, e.RetryAfter)
	return e
}

// requested notes a resend in the timeline. The message is on its way whether or not this succeeds,
// and a client told otherwise would ask for another: so a failure is not one of the resend.
func (s *Verifications) requested(ctx context.Context, a events.VerificationActivated) {
	_ = s.pub.Settle(ctx, events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Step: a.Step, Send: a.Send, Status: events.DeliveryRequested, At: a.RequestedAt,
	})
}

// sendAgain puts an activation in the place of the one that stands at its subject with this sequence, as the
// next send of the same message: the same secret, the same end, and what is left of its life. It fails with
// stream.ErrConflict where another stands there by now, a *verification.LimitError, or ErrUnavailable; of what was
// refused nothing is counted.
func (s *Verifications) sendAgain(ctx context.Context, a events.VerificationActivated, subject string, sequence uint64) (events.VerificationActivated, error) {
	a.Send++
	a.RequestedAt = s.cfg.Now().UTC()
	giveBack, err := s.takeWindows(ctx, a)
	if err != nil {
		return a, err
	}
	data, err := events.Encode(a)
	if err != nil {
		return a, err
	}
	life := a.ExpiresAt.Sub(s.cfg.Now()) + stream.Grace
	_, err = s.pub.Put(ctx, subject, data, stream.Expecting(sequence), stream.WithTTL(life))
	switch {
	case err == nil:
		s.requested(ctx, a)
		return a, nil
	case errors.Is(err, stream.ErrConflict):
		giveBack(ctx)
		return a, err
	default:
		return a, unavailable(err)
	}
}

// Resend asks for the same message again, with the same code and the same end. It fails with
// ErrNotFound, ErrClosed, ErrChallenge where no message was sent, a *verification.LimitError, or ErrUnavailable.
func (s *Verifications) Resend(ctx context.Context, id string) (verification.Verification, error) {
	for range resolveTries {
		a, seq, err := s.freshActivation(ctx, id)
		if err != nil {
			return verification.Verification{}, err
		}
		rec, err := s.outcomes.Latest(ctx, events.OutcomeSubject(id))
		v, err := s.folded(a, rec, err)
		if err != nil {
			return v, err
		}
		if v.Status.Closed() {
			return v, verification.ErrClosed
		}
		if a.Channel == events.TOTP {
			return v, verification.ErrChallenge
		}
		sent, err := s.sendAgain(ctx, a, events.ActivationSubject(a.Channel, id), seq)
		if err == nil {
			v.Sends = sent.Send
			return v, nil
		}
		if !errors.Is(err, stream.ErrConflict) {
			return v, err
		}
		// Another resend was first: look again.
	}
	return verification.Verification{}, verification.ErrUnavailable
}
