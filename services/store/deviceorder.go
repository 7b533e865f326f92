package store

import (
	"context"
	"errors"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
)

// OrderDevices stores which devices a user is asked by first, in place of what was said before, and returns the user as
// stored. Whether the ids are devices of the user is for the caller to know; ErrNotFound where there is no such user.
func (u *Users) OrderDevices(ctx context.Context, account, userID string, ids []string) (device.User, error) {
	for range casTries {
		user, err := u.user(ctx, account, userID, u.users.latest)
		if err != nil {
			return device.User{}, err
		}
		user.DeviceOrder = ids
		if user, err = u.replaceUser(ctx, user); !errors.Is(err, stream.ErrConflict) {
			return user, err
		}
	}
	return device.User{}, unavailable(errors.New("order devices: changed too often"))
}
