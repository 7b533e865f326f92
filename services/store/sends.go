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
// holds across all processes. giveBack undoes the count. What sends nothing takes nothing. once, where it
// is not empty, names a send that may be asked for again after a process was killed, and counts once.
func (s *Resolver) takeWindows(ctx context.Context, e events.VerificationActivated, once string) (giveBack func(context.Context), err error) {
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
		options := []stream.Option{stream.WithTTL(s.limits.SendWindow)}
		if once != "" {
			options = append(options, stream.WithID(w.policy+":"+once))
		}
		seq, err := s.pub.Put(ctx, subject, entry, options...)
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
func (s *Resolver) limited(ctx context.Context, policy, subject string) error {
	e := &verification.LimitError{Policy: policy, Quota: s.limits.SendQuota, Window: s.limits.SendWindow, RetryAfter: s.limits.SendWindow}
	if sends, err := s.windows.All(ctx, subject); err == nil && len(sends) > 0 {
		e.RetryAfter = sends[0].StoredAt.Add(s.limits.SendWindow).Sub(s.now())
	}
	e.RetryAfter = max(time.Second, e.RetryAfter)
	return e
}

// requested notes a resend in the timeline. The message is on its way whether or not this succeeds,
// and a client told otherwise would ask for another: so a failure is not one of the resend.
func (s *Resolver) requested(ctx context.Context, a events.VerificationActivated) {
	_ = s.pub.Settle(ctx, events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Send: a.Send, Status: events.DeliveryRequested, At: a.RequestedAt,
	})
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
		a.Send++
		a.RequestedAt = s.cfg.Now().UTC()
		giveBack, err := s.takeWindows(ctx, a, "")
		if err != nil {
			return v, err
		}
		data, err := events.Encode(a)
		if err != nil {
			return v, err
		}
		life := a.ExpiresAt.Sub(s.cfg.Now()) + stream.Grace
		_, err = s.pub.Put(ctx, events.ActivationSubject(a.Channel, id), data, stream.Expecting(seq), stream.WithTTL(life))
		if err == nil {
			v.Sends = a.Send
			s.requested(ctx, a)
			return v, nil
		}
		if !errors.Is(err, stream.ErrConflict) {
			return v, unavailable(err)
		}
		giveBack(ctx) // another resend was first: look again
	}
	return verification.Verification{}, verification.ErrUnavailable
}
