package enrolment

import (
	"bytes"
	"context"
	"fmt"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// Count notes how far a phone has counted. It fails with ErrCopied where the number is behind the one that was noted, or the
// same with another nonce: then two phones have the key, or this one's data is of an earlier day. It fails with
// ErrStale where it was signed before the one that was noted, and verification.ErrNotFound where the phone is gone or was
// replaced since it signed. Nothing is taken from either phone: which of them is the owner's cannot be told, and whoever
// joins again ends the other.
func (e *Enrolments) Count(ctx context.Context, signer device.Device, next device.Counter) error {
	_, err := e.Users.ChangeApp(ctx, signer.Credential, signer.ID, func(d *device.Device) error {
		switch {
		case !bytes.Equal(d.PublicKey, signer.PublicKey):
			return verification.ErrNotFound
		case d.Counter.Follows(next):
		case next.At.Before(d.Counter.At):
			return ErrStale // one that was on its way for long, and was overtaken by a later one of the same phone
		default:
			return ErrCopied
		}
		d.Counter = next
		return nil
	})
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}
