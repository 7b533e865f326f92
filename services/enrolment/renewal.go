package enrolment

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/assent-io/assent/events/webpush"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// issuer is what an app shows beside the user until it has joined.
const issuer = "Assent"

// Renew gives out an activation code with which a phone takes the place of an active app install: same device, another
// key. The phone before goes on until then. It fails with verification.ErrNotFound, ErrFactor for a device without an
// app, and ErrLocked.
func (e *Enrolments) Renew(ctx context.Context, account, deviceID string) (Enrolment, error) {
	d, err := e.Users.Device(ctx, account, deviceID)
	if err == nil && !d.Active() {
		err = verification.ErrNotFound
	}
	if err != nil {
		return Enrolment{}, fmt.Errorf("read device: %w", err)
	}
	if d.Kind != device.Push {
		return Enrolment{}, fmt.Errorf("renew device: %w", ErrFactor)
	}
	owner, err := e.Users.User(ctx, account, d.UserID)
	if err != nil {
		return Enrolment{}, fmt.Errorf("read owner of phone: %w", err)
	}
	if owner.Barred() {
		return Enrolment{}, ErrLocked
	}
	code, err := newJoinCode(e.random())
	if err != nil {
		return Enrolment{}, err
	}
	until := e.end(Request{})
	j := joining{Account: account, Device: d.ID, User: shown(owner), Replaces: fingerprint(d.PublicKey)}
	if err := e.issue(ctx, code, j, until); err != nil {
		return Enrolment{}, err
	}
	return Enrolment{
		Device: d, State: Pending, ExpiresAt: until, JoinCode: code, URI: device.KeyURI(issuer, shown(owner), code),
	}, nil
}

// fingerprint stands for a key in a ticket.
func fingerprint(public []byte) []byte {
	sum := sha256.Sum256(public)
	return sum[:]
}

// rejoin makes a phone the device that another one was. The first phone with the code gets it: after that the device
// has another key than the code is for.
func (e *Enrolments) rejoin(ctx context.Context, j joining, p Phone, ended bool) (Joined, error) {
	before, err := e.Users.Device(ctx, j.Account, j.Device)
	if err == nil && ended {
		err = j.used()
		if bytes.Equal(fingerprint(before.PublicKey), j.Replaces) {
			err = j.expired(j.ExpiresAt)
		}
	}
	if err != nil {
		return Joined{}, fmt.Errorf("read device: %w", err)
	}
	owner, err := e.Users.User(ctx, j.Account, before.UserID)
	if err == nil && owner.Barred() {
		err = verification.ErrNotFound // not to be told to whoever holds a code
	}
	if err != nil {
		return Joined{}, fmt.Errorf("read owner of phone: %w", err)
	}
	if bytes.Equal(fingerprint(p.PublicKey), j.Replaces) {
		return Joined{}, ErrSameKey // with it the code would work once more
	}
	secret, err := device.NewSecret(e.random())
	if err != nil {
		return Joined{}, fmt.Errorf("draw secret: %w", err)
	}
	d, err := e.Users.ChangeApp(ctx, j.Account, j.Device, func(d *device.Device) error {
		switch {
		case bytes.Equal(fingerprint(d.PublicKey), j.Replaces):
			d.Name, d.Address, d.Platform, d.PublicKey = cmp.Or(d.Name, p.Name), p.PushToken, p.Platform, p.PublicKey
			d.Secret, d.TokenAt, d.Counter = secret, time.Time{}, device.Counter{}
			return nil
		case p.MayRepeat && bytes.Equal(d.PublicKey, p.PublicKey) && d.Address == p.PushToken:
			return nil // the same phone, whose answer was lost
		default:
			return j.used()
		}
	})
	if err != nil {
		return Joined{}, fmt.Errorf("join phone: %w", err)
	}
	return Joined{Device: d, User: j.User, Brand: j.Brand, Secret: device.SecretText(d.Secret)}, nil
}

// ChangeToken stores the push token that a phone sent at this time of its own; a page may have none any more. It fails with ErrStale where a later
// change was stored, and verification.ErrNotFound where the phone is gone or was replaced since it signed.
func (e *Enrolments) ChangeToken(ctx context.Context, signer device.Device, token string, at time.Time) error {
	if token == "" {
		token = webpush.Page(signer.ID)
	}
	_, err := e.Users.ChangeApp(ctx, signer.Credential, signer.ID, func(d *device.Device) error {
		switch {
		case !bytes.Equal(d.PublicKey, signer.PublicKey):
			return verification.ErrNotFound
		case at.Equal(d.TokenAt) && d.Address == token: // a repetition
			return nil
		case !at.After(d.TokenAt):
			return ErrStale // somebody plays an old change again
		}
		d.Address, d.TokenAt = token, at.UTC()
		return nil
	})
	if err != nil {
		return fmt.Errorf("change push token: %w", err)
	}
	return nil
}
