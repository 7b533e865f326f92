package store

import (
	"context"
	"errors"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// RenameDevice stores what an active device is called, and returns it as stored. It fails with ErrNotFound or
// ErrUnavailable.
func (u *Users) RenameDevice(ctx context.Context, account, id, name string) (device.Device, error) {
	for range casTries {
		d, revision, err := u.device(ctx, account, id, u.devices.latest)
		if err == nil && !d.Active() {
			err = verification.ErrNotFound
		}
		if err != nil {
			return device.Device{}, err
		}
		d.Name = name
		if _, err = u.replaceDevice(ctx, d, revision); !errors.Is(err, stream.ErrConflict) {
			return d, err
		}
	}
	return device.Device{}, unavailable(errors.New("rename device: changed too often"))
}
