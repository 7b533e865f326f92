package store

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Roads are those of a verification that an answer of this kind may have come back on: one, or, of a link that went
// out on several, all of them. evidence is the device that signed, where one did. It fails with ErrNotFound.
func (s *Resolver) Roads(ctx context.Context, id, kind, evidence string) ([]events.FallbackStep, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return nil, err
	}
	first := events.FallbackStep{Channel: a.Channel, DeviceID: a.DeviceID, ToMasked: a.ToMasked, Destination: a.Destination}
	roads := []events.FallbackStep{first}[:0]
	for step, r := range append([]events.FallbackStep{first}, a.Fallback...) {
		if kind != events.ResponseLink && string(r.Channel) != kind || kind == events.ResponsePush && evidence != r.DeviceID && evidence != "" {
			continue
		}
		if step > 0 {
			_, err := s.activations.Last(ctx, events.FallbackSubject(r.Channel, id, step))
			if errors.Is(err, stream.ErrAbsent) {
				continue // nothing was sent there
			}
			if err != nil {
				return nil, unavailable(err)
			}
		}
		roads = append(roads, r)
	}
	if len(roads) == 0 {
		return []events.FallbackStep{first}, nil // an answer that came on none of them is about the question all the same
	}
	return roads, nil
}

// Freeze keeps the account's verifications back until a time: from the address of a road and, where whole is set,
// from all devices that its user has on its channel too. A freeze that lasts longer stays, and one that
// would be over already is none. It fails with ErrUnavailable.
func (s *Resolver) Freeze(ctx context.Context, v verification.Verification, road events.FallbackStep, whole bool, until time.Time) error {
	life := until.Sub(s.now())
	if life <= 0 || road.Destination == "" {
		return nil
	}
	until = until.UTC()
	entry := events.Suppression{
		Destination: road.Destination, Channel: road.Channel, ToMasked: road.ToMasked, Account: v.Credential,
		Cause: events.CauseNotMe, Until: &until, At: v.ClosedAt.UTC(),
	}
	entries := []events.Suppression{entry}
	if user := cmp.Or(v.UserID, road.UserID); whole && user != "" { // an address can be asked by whoever names no user
		entry.Destination, entry.UserID = events.FreezeDestination(user, road.Channel), user
		entries = append(entries, entry)
	}
	for _, e := range entries {
		if err := s.pub.Freeze(ctx, e, life); err != nil {
			return unavailable(err)
		}
	}
	return nil
}
