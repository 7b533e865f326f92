package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

// cancelTries bounds how often a lost compare-and-set is tried again. A worker writes a few entries a second.
const cancelTries = 32

// Cancel withdraws every message of a notification that is not on its way, and returns the notification as it
// reads after. What it says is canceled is never begun. It fails with notification.ErrClosed where nothing
// is left to withdraw, and as Get does; a part of the messages may then be withdrawn.
func (s *Notifications) Cancel(ctx context.Context, id string) (notification.View, error) {
	first, err := s.part(ctx, id, 0)
	if err != nil {
		return notification.View{}, err
	}
	withdrawn := 0
	v, err := s.view(ctx, first, func(ctx context.Context, n events.NotificationQueued, part, count int) (notification.Facts, error) {
		f, did, err := s.withdraw(ctx, n, part, count, nil)
		withdrawn += did
		return f, err
	})
	if err == nil && withdrawn == 0 {
		err = notification.ErrClosed
	}
	return v, err
}

// CancelMessage withdraws one message. It fails as Cancel does.
func (s *Notifications) CancelMessage(ctx context.Context, messageID string) (notification.Message, error) {
	p, place, err := s.message(ctx, messageID)
	if err != nil {
		return notification.Message{}, err
	}
	f, withdrawn, err := s.withdraw(ctx, p, p.Part, len(p.Recipients), &place)
	if err != nil {
		return notification.Message{}, err
	}
	m := folded(p, place, f.Fold(s.cfg.Now()))
	if withdrawn == 0 {
		return m, notification.ErrClosed
	}
	return m, nil
}

// withdraw appends to the log of a part what is withdrawn: everything that can be, or one place. The entry is
// written only behind the log that it was decided on, so a begun record is before it and seen, or never made.
func (s *Notifications) withdraw(
	ctx context.Context, n events.NotificationQueued, part, count int, only *int,
) (notification.Facts, int, error) {
	for try := range cancelTries {
		log, err := s.progress.NewestPartLog(ctx, n.ID, part)
		if err != nil { // what cannot be read may be a begun record
			return notification.Facts{}, 0, unavailable(err)
		}
		f := facts(n, count, log)
		places, untouched := f.Withdrawable(s.cfg.Now())
		if only != nil {
			untouched = untouched && count == 1
			places = slices.DeleteFunc(places, func(place int) bool { return place != *only })
		}
		if len(places) == 0 {
			return f, 0, nil
		}
		entry := events.NotificationProgressed{Version: events.Version, ID: n.ID, Part: part, At: s.cfg.Now().UTC()}
		if untouched {
			entry.All = true
		} else {
			entry.Canceled = places
		}
		data, err := events.Encode(entry)
		if err != nil {
			return f, 0, err
		}
		life := n.ExpiresAt.Sub(s.cfg.Now()) + stream.NotificationGrace
		_, err = s.pub.Put(ctx, events.ProgressSubject(n.ID, part), data, stream.Expecting(log.Sequence), stream.WithTTL(life))
		if err == nil {
			f.Log = append(f.Log, entryOf(entry))
			return f, len(places), nil
		}
		if !errors.Is(err, stream.ErrConflict) {
			return f, 0, unavailable(err)
		}
		if err := pause(ctx, try); err != nil { // a replica that lags may have answered
			return f, 0, unavailable(err)
		}
	}
	return notification.Facts{}, 0, fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, cancelTries)
}
