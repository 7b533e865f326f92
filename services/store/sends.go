package store

import (
	"context"
	"errors"
	"fmt"
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
	undo := giveBack
	if once != "" {
		// Somebody else may have been told of the same entry, and the broker would drop a second one.
		giveBack = func(context.Context) {}
	}
	for _, w := range []struct{ policy, key string }{
		{events.WindowDestination, windowOf(e)},
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
			undo(ctx)
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

// windowOf is what the sends of a message are counted by: its destination, but for pushes the device. One browser or app may
// be the device of several people, who share its token, and must not use up each other's sends.
func windowOf(e events.VerificationActivated) string {
	if e.Channel == events.Push && e.DeviceID != "" {
		return e.DeviceID
	}
	return e.Destination
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

// asked says why a message is asked for, for the timeline.
type asked struct {
	reason string
	// missed is the channel of the message that nothing was heard of, where there is one, and provider and
	// route are that one's.
	missed          events.Channel
	provider, route string
}

// note puts into the timeline that a message was asked for. It is on its way whether or not this succeeds,
// and a client told otherwise would ask for another: so a failure is not one of the request.
func (s *Resolver) note(ctx context.Context, a events.VerificationActivated, why asked) {
	_ = s.pub.Settle(ctx, events.DeliverySettled{
		EventID: fmt.Sprintf("requested:%s:%d:%d", a.ID, a.Step, a.Send), ID: a.ID, Channel: a.Channel, Step: a.Step, Send: a.Send,
		Status: events.DeliveryRequested, Reason: why.reason, Missed: why.missed, Provider: why.provider, Route: why.route, At: a.RequestedAt,
	})
}

// sendAgain puts an activation in the place of the one that stands at its subject with this sequence, as the
// next send of the same message: the same secret, the same end, and what is left of its life. It fails with
// stream.ErrConflict where another stands there by now, a *suppression.RefusedError, a *verification.LimitError, or
// ErrUnavailable; of what was refused nothing is counted.
func (s *Resolver) sendAgain(ctx context.Context, a events.VerificationActivated, sequence uint64, why asked) (events.VerificationActivated, error) {
	if err := s.suppressedStep(ctx, a); err != nil {
		return a, err
	}
	a.Send++
	a.RequestedAt = s.now().UTC()
	giveBack, err := s.takeWindows(ctx, a, "")
	if err != nil {
		return a, err
	}
	if err := s.putActivation(ctx, a, sequence); err != nil {
		if errors.Is(err, stream.ErrConflict) {
			giveBack(ctx)
		}
		return a, err
	}
	s.note(ctx, a, why)
	return a, nil
}

// activationPlace is the subject that an activation stands at.
func activationPlace(a events.VerificationActivated) string {
	if a.Step > 0 {
		return events.FallbackSubject(a.Channel, a.ID, a.Step)
	}
	return events.ActivationSubject(a.Channel, a.ID)
}

// putActivation queues a message in the place of the one before. ErrConflict says that somebody else did.
func (s *Resolver) putActivation(ctx context.Context, a events.VerificationActivated, before uint64) error {
	data, err := events.Encode(a)
	if err != nil {
		return err
	}
	_, err = s.pub.Put(ctx, activationPlace(a), data, stream.Expecting(before), stream.WithTTL(a.ExpiresAt.Sub(s.now())+events.Grace))
	if err != nil && !errors.Is(err, stream.ErrConflict) {
		return unavailable(err)
	}
	return err
}

// Resend asks for the same message again, with the same code and the same end. It fails with
// ErrNotFound, ErrClosed, ErrChallenge where no message was sent, a *suppression.RefusedError, a
// *verification.LimitError, or ErrUnavailable.
func (s *Verifications) Resend(ctx context.Context, id string) (verification.Verification, error) {
	for range resolveTries {
		a, seq, v, err := s.fresh(ctx, id)
		if err != nil {
			return v, err
		}
		if v.Status.Closed() {
			return v, verification.ErrClosed
		}
		if a.Channel == events.TOTP {
			return v, verification.ErrChallenge
		}
		sent, err := s.sendAgain(ctx, a, seq, asked{})
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
