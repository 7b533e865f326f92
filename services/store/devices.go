package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// CreateDevice stores a device of an existing user and gives it a number. A pending one leaves by
// itself, a while after its proof was due, and so do the entries that lead to it.
func (u *Users) CreateDevice(ctx context.Context, d device.Device) (device.Device, error) {
	if _, err := u.User(ctx, d.Credential, d.UserID); err != nil {
		return device.Device{}, err
	}
	// Before the device is there: who is told of an error here tries again, and would have one more with each try.
	if err := u.back(ctx, d); err != nil {
		return device.Device{}, err
	}
	life := u.life(d)
	var err error
	if d.Number, err = u.drawNumber(ctx, u.devices, d.Credential, d.ID, life); err != nil {
		return device.Device{}, err
	}
	// The entries first: one that leads nowhere is skipped, a device that is in no list would be lost.
	if err := u.enter(ctx, d, life); err != nil {
		return device.Device{}, err
	}
	record, err := u.encodeDevice(d)
	if err != nil {
		return device.Device{}, err
	}
	if _, err := u.devices.create(ctx, deviceKey(d.Credential, d.ID), record, life); err != nil {
		return device.Device{}, fmt.Errorf("store device: %w", err)
	}
	return d, nil
}

// back takes the push token of an app install off the list of those that get no messages, where its provider
// had said that it is gone: whoever registers it has it.
func (u *Users) back(ctx context.Context, d device.Device) error {
	if d.Kind != device.Push || !d.Active() || d.Address == "" {
		return nil
	}
	destination, err := destinationOf(u.cfg.Keys, d.Address)
	if err != nil {
		return err
	}
	if _, err := u.pub.Unsuppress(ctx, destination, events.SuppressionScope("", ""), events.CauseDeviceGone); err != nil {
		return unavailable(err)
	}
	return nil
}

// life is how long a device's record stays; zero is for ever.
func (u *Users) life(d device.Device) time.Duration {
	if d.Active() {
		return 0
	}
	return max(time.Second, d.Pending.ExpiresAt.Add(events.Grace).Sub(u.cfg.Now()))
}

// entriesOf are the entries that lead to a device, with what stands in them.
func entriesOf(d device.Device) map[string]string {
	entries := map[string]string{ofKey(d.Credential, d.UserID, d.ID): d.ID}
	if d.Number != 0 {
		entries[numberKey(d.Credential, d.Number)] = d.ID
	}
	if d.Kind == device.Push && d.Active() {
		entries[ownerKey(d.ID)] = d.Credential
	}
	return entries
}

func (u *Users) enter(ctx context.Context, d device.Device, life time.Duration) error {
	for key, value := range entriesOf(d) {
		if err := u.devices.put(ctx, key, []byte(value), life); err != nil {
			return err
		}
	}
	return nil
}

// strike removes the entries that lead to a device.
func (u *Users) strike(ctx context.Context, d device.Device) error {
	for key := range entriesOf(d) {
		if err := u.devices.remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// ActivateDevice stores a pending device as proved, with its name, address, secret, platform and key as
// d has them, for good. One that is active already is returned as it is stored; ErrNotFound when it has gone.
func (u *Users) ActivateDevice(ctx context.Context, d device.Device) (device.Device, error) {
	entered := device.Device{}
	stored, err := u.changePending(ctx, d, func(stored device.Device) (device.Device, error) {
		stored.Name, stored.Address, stored.Secret = d.Name, d.Address, d.Secret
		stored.Platform, stored.PublicKey = d.Platform, d.PublicKey
		stored.Pending = nil
		entered = stored
		// Before the record is: who is told that it counts must not lose what leads to it, or be told nothing ever after.
		if err := u.back(ctx, stored); err != nil {
			return stored, err
		}
		return stored, u.enter(ctx, stored, 0)
	})
	if errors.Is(err, verification.ErrNotFound) && entered.ID != "" {
		_ = u.strike(context.WithoutCancel(ctx), entered) // it left at the last moment
	}
	return stored, err
}

// UpdatePending replaces what a pending device waits for, and lets it stay as long as that takes. One that
// is active by now is returned as it is stored; ErrNotFound when it has gone.
func (u *Users) UpdatePending(ctx context.Context, d device.Device) (device.Device, error) {
	if d.Pending == nil {
		return device.Device{}, errors.New("update pending device: it is not pending")
	}
	return u.changePending(ctx, d, func(stored device.Device) (device.Device, error) {
		pending := *d.Pending
		stored.Pending = &pending
		return stored, u.enter(ctx, stored, u.life(stored))
	})
}

// changePending changes a device by compare-and-set while it is pending. change may be called more than once.
func (u *Users) changePending(ctx context.Context, d device.Device, change func(device.Device) (device.Device, error)) (device.Device, error) {
	for try := range casTries {
		stored, revision, err := u.device(ctx, d.Credential, d.ID, u.devices.latest)
		if err == nil && stored.Active() && try > 0 {
			// Activated since change was called, which may have given an end to its entries: they are mended for whoever is
			// not waited for any more, too.
			err = u.enter(context.WithoutCancel(ctx), stored, 0)
		}
		if err != nil || stored.Active() {
			return stored, err
		}
		if stored, err = change(stored); err != nil {
			return device.Device{}, err
		}
		if _, err = u.replaceDevice(ctx, stored, revision); !errors.Is(err, stream.ErrConflict) {
			return stored, err
		}
	}
	return device.Device{}, unavailable(errors.New("change device: changed too often"))
}

func (u *Users) replaceDevice(ctx context.Context, d device.Device, revision uint64) (device.Device, error) {
	record, err := u.encodeDevice(d)
	if err != nil {
		return device.Device{}, err
	}
	_, err = u.devices.update(ctx, deviceKey(d.Credential, d.ID), record, revision, u.life(d))
	return d, err
}

// ChangeApp stores an active app install of an account as change leaves it, by compare-and-set, and returns what is
// stored. change may be called more than once. It fails with what change fails with, ErrNotFound or ErrUnavailable.
func (u *Users) ChangeApp(ctx context.Context, account, id string, change func(*device.Device) error) (device.Device, error) {
	for range casTries {
		d, revision, err := u.device(ctx, account, id, u.devices.latest)
		if err == nil && (d.Kind != device.Push || !d.Active()) {
			err = verification.ErrNotFound
		}
		if err != nil {
			return device.Device{}, err
		}
		before := d
		if err := change(&d); err != nil {
			return device.Device{}, err
		}
		if !bytes.Equal(before.PublicKey, d.PublicKey) {
			if err := u.bury(ctx, before, device.CauseReplaced); err != nil {
				return device.Device{}, err
			}
		}
		if d.Address != before.Address || !d.TokenAt.Equal(before.TokenAt) { // a phone that says nothing of its token proves nothing of it
			if err := u.back(ctx, d); err != nil {
				return device.Device{}, err
			}
		}
		if _, err = u.replaceDevice(ctx, d, revision); !errors.Is(err, stream.ErrConflict) {
			return d, err
		}
	}
	return device.Device{}, unavailable(errors.New("change app: changed too often"))
}

// Device reads one device of an account, pending or not; ErrNotFound for those of others.
func (u *Users) Device(ctx context.Context, account, id string) (device.Device, error) {
	d, revision, err := u.device(ctx, account, id, u.devices.get)
	for range casTries {
		if err != nil || d.Number != 0 {
			return d, err
		}
		// One of the time before there were numbers, and owners of app installs.
		if d.Number, err = u.drawNumber(ctx, u.devices, account, id, 0); err != nil {
			return device.Device{}, err
		}
		if err := u.enter(ctx, d, 0); err != nil {
			return device.Device{}, err
		}
		if d, err = u.replaceDevice(ctx, d, revision); !errors.Is(err, stream.ErrConflict) {
			return d, err
		}
		d, revision, err = u.device(ctx, account, id, u.devices.latest)
	}
	return device.Device{}, unavailable(errors.New("give device a number: changed too often"))
}

func (u *Users) device(ctx context.Context, account, id string, get reading) (device.Device, uint64, error) {
	if !events.ValidID(id) {
		return device.Device{}, 0, verification.ErrNotFound
	}
	b, revision, err := get(ctx, deviceKey(account, id))
	if err != nil {
		return device.Device{}, 0, err
	}
	d, err := u.decodeDevice(account, id, b)
	return d, revision, err
}

// DeviceByNumber reads the device of an account that has this number.
func (u *Users) DeviceByNumber(ctx context.Context, account string, number int64) (device.Device, error) {
	id, _, err := u.devices.get(ctx, numberKey(account, number))
	if err != nil {
		return device.Device{}, err
	}
	d, err := u.Device(ctx, account, string(id))
	if err == nil && d.Number != number {
		return device.Device{}, verification.ErrNotFound
	}
	return d, err
}

// DeviceByID reads an active app install by its id alone, whatever account it belongs to: for the
// phone itself, which proves by its signature that it is the one.
func (u *Users) DeviceByID(ctx context.Context, id string) (device.Device, error) {
	if !events.ValidID(id) {
		return device.Device{}, verification.ErrNotFound
	}
	account, _, err := u.devices.get(ctx, ownerKey(id))
	if err != nil {
		return device.Device{}, err
	}
	d, err := u.Device(ctx, string(account), id)
	if err == nil && (d.Kind != device.Push || !d.Active()) {
		return device.Device{}, verification.ErrNotFound
	}
	return d, err
}

// Devices lists the devices of one user, pending ones too, newest first.
func (u *Users) Devices(ctx context.Context, account, userID string) ([]device.Device, error) {
	if !events.ValidID(userID) {
		return nil, verification.ErrNotFound
	}
	ids, err := list(ctx, u.devices, ofKey(account, userID, "*"))
	if err != nil {
		return nil, err
	}
	devices := make([]device.Device, 0, len(ids))
	for _, id := range ids {
		d, err := u.Device(ctx, account, id)
		if errors.Is(err, verification.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// DeleteDevice removes a device. Entries that stay behind when it is cut short lead nowhere, which is
// harmless.
func (u *Users) DeleteDevice(ctx context.Context, account, id string) error {
	d, err := u.Device(ctx, account, id)
	if err != nil {
		return err
	}
	// Before: a phone that is told too early is not told at all, since the device itself is asked first.
	if err := u.bury(ctx, d, device.CauseRemoved); err != nil {
		return err
	}
	if err := u.devices.remove(ctx, deviceKey(account, id)); err != nil {
		return err
	}
	_ = u.strike(context.WithoutCancel(ctx), d) // it is gone, whatever becomes of these
	return nil
}

// DeletePending removes a device that is not proved yet. One that is by now stays: then removed is false. ErrNotFound where
// it has gone.
func (u *Users) DeletePending(ctx context.Context, account, id string) (removed bool, err error) {
	for range casTries {
		d, revision, err := u.device(ctx, account, id, u.devices.latest)
		if err != nil || d.Active() {
			return false, err
		}
		err = u.devices.removeRevision(ctx, deviceKey(account, id), revision)
		if errors.Is(err, stream.ErrConflict) {
			continue
		}
		if err != nil {
			return false, err
		}
		_ = u.strike(context.WithoutCancel(ctx), d)
		return true, nil
	}
	return false, unavailable(errors.New("remove pending device: changed too often"))
}

// guessCode is the kind of the guesses that CheckCode counts.
const guessCode = "one_time_code"

// CheckCode compares a one-time code with the device's secret (RFC 6238): one step of drift either
// way, and each value once, across all processes. It fails with *verification.LimitError after too
// many wrong ones. A device without a secret knows no right one.
func (u *Users) CheckCode(ctx context.Context, account, deviceID string, code verification.Code) (bool, error) {
	d, err := u.Device(ctx, account, deviceID)
	if err != nil {
		return false, err
	}
	right, err := u.cfg.Guesses.Guess(ctx, guessCode, d.ID)
	if err != nil {
		return false, err
	}
	step, ok := device.MatchCode(d.Secret, code.Reveal(), u.cfg.Now())
	if !ok {
		return false, nil
	}
	fresh, err := u.cfg.Guesses.useStep(ctx, d.ID, step)
	if err != nil {
		return false, err
	}
	right(ctx) // one that was used before was no guess either: the client sent it twice
	return fresh, nil
}

func deviceKey(account, id string) string   { return "device." + account + "." + id }
func ofKey(account, user, id string) string { return "of." + account + "." + user + "." + id }
func ownerKey(id string) string             { return "owner." + id }

type deviceRecord struct {
	Version int           `json:"version"`
	ID      string        `json:"id"`
	Number  int64         `json:"number,omitempty"`
	UserID  string        `json:"user_id"`
	Kind    device.Kind   `json:"kind"`
	Factor  device.Factor `json:"factor,omitempty"`
	// Name stands in records of before it was sealed.
	Name       string         `json:"name,omitempty"`
	SealedName *events.Sealed `json:"sealed_name,omitempty"`
	Address    events.Sealed  `json:"address"`
	Secret     *events.Sealed `json:"secret,omitempty"`
	Pending    *pendingRecord `json:"pending,omitempty"`
	Platform   string         `json:"platform,omitempty"`
	PublicKey  []byte         `json:"public_key,omitempty"`
	TokenAt    time.Time      `json:"token_at,omitzero"`
	Counter    int64          `json:"counter,omitempty"`
	Nonce      string         `json:"counter_nonce,omitempty"`
	CountedAt  time.Time      `json:"counted_at,omitzero"`
	CreatedAt  time.Time      `json:"created_at"`
}

type pendingRecord struct {
	VerificationID string    `json:"verification_id,omitempty"`
	Link           string    `json:"link,omitempty"`
	Browser        string    `json:"browser,omitempty"`
	ProvedBy       string    `json:"proved_by,omitempty"`
	ExpiresAt      time.Time `json:"expires_at"`
}

// secretOf and nameOf bind what is sealed to its device, and keep it apart from the address.
func secretOf(id string) string { return id + "/secret" }
func nameOf(id string) string   { return id + "/name" }

func (u *Users) encodeDevice(d device.Device) ([]byte, error) {
	r := deviceRecord{
		Version: events.Version, ID: d.ID, Number: d.Number, UserID: d.UserID, Kind: d.Kind, Factor: d.Factor,
		Platform: d.Platform, PublicKey: d.PublicKey, TokenAt: d.TokenAt, CreatedAt: d.CreatedAt,
		Counter: d.Counter.Number, Nonce: d.Counter.Nonce, CountedAt: d.Counter.At,
	}
	var err error
	if d.Name != "" { // clients put numbers and mailboxes into names
		sealed, err := u.cfg.Keys.Seal(keyring.Records, nameOf(d.ID), []byte(d.Name))
		if err != nil {
			return nil, fmt.Errorf("seal name: %w", err)
		}
		r.SealedName = &sealed
	}
	if r.Address, err = u.cfg.Keys.Seal(keyring.Records, d.ID, []byte(d.Address)); err != nil {
		return nil, fmt.Errorf("seal address: %w", err)
	}
	if len(d.Secret) > 0 {
		sealed, err := u.cfg.Keys.Seal(keyring.Records, secretOf(d.ID), d.Secret)
		if err != nil {
			return nil, fmt.Errorf("seal secret: %w", err)
		}
		r.Secret = &sealed
	}
	if d.Pending != nil {
		r.Pending = &pendingRecord{
			VerificationID: d.Pending.VerificationID, Link: d.Pending.Link, Browser: d.Pending.Browser, ProvedBy: d.Pending.ProvedBy,
			ExpiresAt: d.Pending.ExpiresAt,
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode device: %w", err)
	}
	return b, nil
}

func (u *Users) decodeDevice(account, id string, b []byte) (device.Device, error) {
	var r deviceRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return device.Device{}, fmt.Errorf("decode device: %w", err)
	}
	address, err := u.cfg.Keys.Open(keyring.Records, id, r.Address)
	if err != nil {
		return device.Device{}, fmt.Errorf("open address: %w", err)
	}
	d := device.Device{
		ID: id, Number: r.Number, UserID: r.UserID, Credential: account, Kind: r.Kind, Factor: r.Factor, Name: r.Name,
		Address: string(address), Platform: r.Platform, PublicKey: r.PublicKey, TokenAt: r.TokenAt, CreatedAt: r.CreatedAt,
		Counter: device.Counter{Number: r.Counter, Nonce: r.Nonce, At: r.CountedAt},
	}
	if r.SealedName != nil {
		name, err := u.cfg.Keys.Open(keyring.Records, nameOf(id), *r.SealedName)
		if err != nil {
			return device.Device{}, fmt.Errorf("open name: %w", err)
		}
		d.Name = string(name)
	}
	if r.Secret != nil {
		if d.Secret, err = u.cfg.Keys.Open(keyring.Records, secretOf(id), *r.Secret); err != nil {
			return device.Device{}, fmt.Errorf("open secret: %w", err)
		}
	}
	if r.Pending != nil {
		d.Pending = &device.Pending{
			VerificationID: r.Pending.VerificationID, Link: r.Pending.Link, Browser: r.Pending.Browser, ProvedBy: r.Pending.ProvedBy,
			ExpiresAt: r.Pending.ExpiresAt,
		}
	}
	return d, nil
}
