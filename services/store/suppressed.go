package store

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/suppression"
)

// SuppressionList knows which addresses get no messages; stream.SuppressionList is one. It answers from
// memory where an address is on no list.
type SuppressionList interface {
	// Entry is what keeps a message of a lane back from a destination; nil where nothing does.
	Entry(ctx context.Context, account, credential, destination string, lane events.Lane) (*events.Suppression, error)
}

// Honour makes verifications respect a list: what would go to an address on it is refused, or, of a step that
// is taken later, skipped. refused is told of each, by channel; it may be nil.
func (s *Resolver) Honour(list SuppressionList, refused func(channel string)) {
	s.list, s.kept = list, refused
}

// suppressed fails with a *suppression.RefusedError where an address of an activation is on the list.
func (s *Resolver) suppressed(ctx context.Context, e events.VerificationActivated) error {
	if s.list == nil {
		return nil
	}
	var places []suppression.Place
	look := func(step int, channel events.Channel, destination, deviceID, userID string) error {
		looked := []string{destination}
		if userID != "" && deviceID != "" {
			looked = append(looked, events.FreezeDestination(userID, channel))
		}
		for _, d := range looked {
			entry, err := s.list.Entry(ctx, e.Credential, e.Client, d, events.LaneVerification)
			if err != nil {
				return unavailable(err)
			}
			if entry == nil || suppressionOf(*entry).Ended(s.now()) {
				continue
			}
			places = append(places, suppression.Place{Step: step, Entry: suppressionOf(*entry)})
			if s.kept != nil {
				s.kept(string(channel))
			}
			break
		}
		return nil
	}
	if err := look(0, e.Channel, e.Destination, e.DeviceID, e.UserID); err != nil {
		return err
	}
	for i, f := range e.Fallback {
		if err := look(i+1, f.Channel, f.Destination, f.DeviceID, cmp.Or(e.UserID, f.UserID)); err != nil {
			return err
		}
	}
	if len(places) > 0 {
		return &suppression.RefusedError{Places: places}
	}
	return nil
}

// withoutSuppressed leaves out the steps of a fallback whose address is on the list. What is asked for first stays.
func (s *Resolver) withoutSuppressed(ctx context.Context, e *events.VerificationActivated) error {
	err := s.suppressed(ctx, *e)
	var refused *suppression.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	var kept []events.FallbackStep
	for i, step := range e.Fallback {
		if !slices.ContainsFunc(refused.Places, func(p suppression.Place) bool { return p.Step == i+1 }) {
			kept = append(kept, step)
		}
	}
	e.Fallback = kept
	return nil
}

// suppressedStep is suppressed for one message: the steps after it are looked at when they are taken.
func (s *Resolver) suppressedStep(ctx context.Context, e events.VerificationActivated) error {
	e.Fallback = nil
	return s.suppressed(ctx, e)
}

// wantsNone tells whether err is that the address is on the list.
func wantsNone(err error) bool { return errors.As(err, new(*suppression.RefusedError)) }
