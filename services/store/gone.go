package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

const (
	// goneLife is how long a phone can learn that its device is gone: people look rarely at what asks them nothing.
	goneLife = 90 * 24 * time.Hour
	// mostGone bounds how many keys of one device are remembered, the newest.
	mostGone = 4
)

// goneRecord names no owner: what is left of a person who was removed is a random id, public keys and times.
type goneRecord struct {
	Version int       `json:"version"`
	Keys    []goneKey `json:"keys"`
}

type goneKey struct {
	PublicKey []byte    `json:"public_key"`
	Cause     string    `json:"cause"`
	At        time.Time `json:"at"`
}

func goneKeyOf(id string) string { return "gone." + id }

// bury remembers the key of an app install that is about to lose it, so that its phone can be told.
func (u *Users) bury(ctx context.Context, d device.Device, cause string) error {
	if d.Kind != device.Push || !d.Active() || len(d.PublicKey) == 0 {
		return nil
	}
	key := goneKeyOf(d.ID)
	for range casTries {
		r, revision, err := u.graveOf(ctx, d.ID, u.devices.latest)
		if err != nil {
			return err
		}
		r.Version = events.Version
		r.Keys = slices.DeleteFunc(r.Keys, func(k goneKey) bool { return bytes.Equal(k.PublicKey, d.PublicKey) })
		r.Keys = append(r.Keys, goneKey{d.PublicKey, cause, u.cfg.Now().UTC().Truncate(time.Millisecond)})
		r.Keys = r.Keys[max(0, len(r.Keys)-mostGone):]
		b, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode keys of removed device: %w", err)
		}
		if revision == 0 {
			_, err = u.devices.create(ctx, key, b, goneLife)
		} else {
			_, err = u.devices.update(ctx, key, b, revision, goneLife)
		}
		if !errors.Is(err, stream.ErrConflict) {
			return err
		}
	}
	return unavailable(errors.New("remember removed device: changed too often"))
}

// Gone lists the keys that spoke for a device within the last 90 days and do so no more.
func (u *Users) Gone(ctx context.Context, id string) ([]device.Gone, error) {
	if !events.ValidID(id) {
		return nil, nil
	}
	r, _, err := u.graveOf(ctx, id, u.devices.get)
	if err != nil {
		return nil, err
	}
	gone := make([]device.Gone, 0, len(r.Keys))
	for _, k := range r.Keys {
		gone = append(gone, device.Gone{PublicKey: k.PublicKey, Cause: k.Cause, At: k.At})
	}
	return gone, nil
}

// graveOf is what is remembered; nothing, with revision zero, where there is none.
func (u *Users) graveOf(ctx context.Context, id string, get reading) (goneRecord, uint64, error) {
	var r goneRecord
	b, revision, err := get(ctx, goneKeyOf(id))
	if errors.Is(err, verification.ErrNotFound) {
		return r, 0, nil
	}
	if err != nil {
		return r, 0, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, 0, fmt.Errorf("decode keys of removed device: %w", err)
	}
	return r, revision, nil
}
