package store

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
)

// Rehash brings what an older root key hashed or sealed under the current one, where the keyring holds several: an
// entry is looked up by the hash that the current key makes of its address. Scope, cause, time and note stay. It tells
// how many entries it moved, and how many stay where they are because no key opens them. Several processes may do it
// at once, and again: each entry is moved once. It fails with verification.ErrUnavailable; what was moved then stays so.
func (s *Suppressions) Rehash(ctx context.Context) (moved, sealed int, err error) {
	if len(s.cfg.Keys.IDs()) < 2 {
		return 0, 0, nil
	}
	// What is stored from now on has the current key.
	_, last, err := stream.Span(ctx, s.js, stream.Suppressions)
	if err != nil {
		return 0, 0, unavailable(err)
	}
	var moves, closed atomic.Int64
	for from := uint64(1); from <= last; {
		records, err := s.reader.Page(ctx, events.SuppressionSubjects, from)
		if err != nil {
			return int(moves.Load()), int(closed.Load()), unavailable(err)
		}
		if len(records) == 0 {
			break
		}
		from = records[len(records)-1].Sequence + 1
		err = severally(ctx, len(records), func(ctx context.Context, i int) error {
			old, err := stream.Suppression(records[i])
			// Of a later version, removed, or ending by itself before anybody misses it.
			if err != nil || old == nil || old.Covers == events.CoversVerifications {
				return nil //nolint:nilerr // who wrote it can read it
			}
			event, current, err := s.rehashed(*old)
			if err != nil {
				closed.Add(1)
				return nil //nolint:nilerr // it is counted
			}
			if current {
				return nil
			}
			did, err := s.pub.MoveSuppression(ctx, records[i], event)
			if err != nil {
				return unavailable(err)
			}
			if did {
				moves.Add(1)
			}
			return nil
		})
		if err != nil {
			return int(moves.Load()), int(closed.Load()), fmt.Errorf("rehash suppressions: %w", err)
		}
	}
	return int(moves.Load()), int(closed.Load()), nil
}

// rehashed is an entry under the current key; current tells that it was. A worker may seal with the current key what
// an older one hashed, and the other way round, so both are looked at. It fails where the address does not open.
func (s *Suppressions) rehashed(e events.Suppression) (event events.Suppression, current bool, err error) {
	use := keyring.Channel(e.Channel)
	to, err := s.cfg.Keys.Open(use, e.Destination, e.Address)
	if err != nil {
		return e, false, fmt.Errorf("open suppressed address: %w", err)
	}
	d, err := destinationOf(s.cfg.Keys, sameTo(e.Channel, string(to)))
	if err != nil {
		return e, false, err
	}
	if d == e.Destination && e.Address.KeyID == s.cfg.Keys.CurrentID() {
		return e, true, nil
	}
	before := e.Destination
	e.Destination = d
	if e.Address, err = s.cfg.Keys.Seal(use, d, to); err != nil {
		return e, false, fmt.Errorf("seal suppressed address: %w", err)
	}
	if e.Note == nil {
		return e, false, nil
	}
	text, err := s.cfg.Keys.Open(use, noteOf(before), *e.Note)
	if err != nil { // nobody could read it any more
		e.Note = nil
		return e, false, nil //nolint:nilerr // the entry counts all the same
	}
	note, err := s.cfg.Keys.Seal(use, noteOf(d), text)
	if err != nil {
		return e, false, fmt.Errorf("seal note: %w", err)
	}
	e.Note = &note
	return e, false, nil
}
