package store_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// registered makes a device of a user; change says what it is besides a phone.
func registered(t *testing.T, u *store.Users, owner device.User, change ...func(*device.Device)) device.Device {
	t.Helper()
	d := device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: owner.ID, Credential: owner.Credential,
		Kind: device.Phone, Name: "Phone", Address: "+14155550100",
	}
	for _, c := range change {
		c(&d)
	}
	d, err := u.CreateDevice(t.Context(), d)
	require.NoError(t, err)
	require.Positive(t, d.Number)
	return d
}

func app(d *device.Device) {
	d.Kind, d.Platform, d.Address, d.PublicKey = device.Push, device.APNs, "a-very-recognisable-push-token", []byte{1, 2}
	d.Secret = []byte("12345678901234567890")
}

// pendingFor lets the broker drop a device after d.
func (h *house) pendingFor(d time.Duration) func(*device.Device) {
	return func(x *device.Device) {
		x.Pending = &device.Pending{VerificationID: uuid.NewString(), ExpiresAt: h.clock.now().Add(d - events.Grace).UTC()}
	}
}

func TestDevicesComeBackWholeAndBelongToTheirAccount(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user(""))
	d := registered(t, u, ana, app)
	phone := registered(t, u, ana, func(d *device.Device) { d.Factor = device.VoiceMatch }, h.pendingFor(time.Hour))
	for _, want := range []device.Device{d, phone} {
		got, err := u.Device(t.Context(), "shop", want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = u.DeviceByNumber(t.Context(), "shop", want.Number)
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = u.Device(t.Context(), "bank", want.ID)
		require.ErrorIs(t, err, verification.ErrNotFound)
		_, err = u.DeviceByNumber(t.Context(), "bank", want.Number)
		require.ErrorIs(t, err, verification.ErrNotFound)
		_, err = u.CheckCode(t.Context(), "bank", want.ID, "123456")
		require.ErrorIs(t, err, verification.ErrNotFound)
		require.ErrorIs(t, u.DeleteDevice(t.Context(), "bank", want.ID), verification.ErrNotFound)
	}
	list, err := u.Devices(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, []device.Device{phone, d}, list, "newest first")
	list, err = u.Devices(t.Context(), "bank", ana.ID)
	require.NoError(t, err)
	require.Empty(t, list)

	orphan := d
	orphan.ID, orphan.UserID = uuid.NewString(), uuid.NewString()
	_, err = u.CreateDevice(t.Context(), orphan)
	require.ErrorIs(t, err, verification.ErrNotFound)
	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	for _, gone := range []device.Device{d, phone} {
		_, err = u.Device(t.Context(), "shop", gone.ID)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
	require.Equal(t, []string{"gone." + d.ID}, h.deviceKeys(t), "no entry is left but what tells the app")
}

func (h *house) deviceKeys(t *testing.T) []string {
	t.Helper()
	kv, err := h.js().KeyValue(t.Context(), "ASSENT_DEVICES")
	require.NoError(t, err)
	keys, err := kv.ListKeys(t.Context())
	require.NoError(t, err)
	var all []string
	for k := range keys.Keys() {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func TestAnAppIsFoundByItsIDAloneOnceItIsActive(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user(""))
	at := registered(t, u, ana, app)
	got, err := u.DeviceByID(t.Context(), at.ID)
	require.NoError(t, err)
	require.Equal(t, at, got)

	pending := registered(t, u, ana, app, h.pendingFor(time.Hour))
	phone := registered(t, u, ana)
	for _, id := range []string{pending.ID, phone.ID, uuid.NewString(), "", "*", ">"} {
		_, err = u.DeviceByID(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
	}
	active, err := u.ActivateDevice(t.Context(), pending)
	require.NoError(t, err)
	got, err = u.DeviceByID(t.Context(), pending.ID)
	require.NoError(t, err)
	require.Equal(t, active, got)
	require.NoError(t, u.DeleteDevice(t.Context(), "shop", at.ID))
	_, err = u.DeviceByID(t.Context(), at.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestAPendingDeviceLeavesByItselfUnlessItIsProved(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user(""))
	leaves := registered(t, u, ana, h.pendingFor(time.Second))
	proved := registered(t, u, ana, app, h.pendingFor(3*time.Second))
	proved.Name, proved.Platform, proved.Address, proved.PublicKey = "Ana's", device.FCM, "another-token", []byte{3}
	proved.Factor, proved.UserID, proved.Number = device.SMSCode, uuid.NewString(), 1 // cannot be changed
	active, err := u.ActivateDevice(t.Context(), proved)
	require.NoError(t, err)
	require.True(t, active.Active())
	require.Equal(t, "another-token", active.Address)
	require.Equal(t, ana.ID, active.UserID)
	require.Empty(t, active.Factor)
	// One that was to leave with it shows that the time of both is over.
	registered(t, u, ana, h.pendingFor(4*time.Second))

	require.Eventually(t, func() bool { return len(h.deviceKeys(t)) == 4 }, waitLong, tick, "only the active one's are left")
	_, err = u.Device(t.Context(), "shop", leaves.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = u.ActivateDevice(t.Context(), leaves)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = u.UpdatePending(t.Context(), leaves)
	require.ErrorIs(t, err, verification.ErrNotFound)
	list, err := u.Devices(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, []device.Device{active}, list)
	got, err := u.DeviceByNumber(t.Context(), "shop", active.Number)
	require.NoError(t, err)
	require.Equal(t, active, got)
	require.Len(t, h.deviceKeys(t), 4, "what was tried for the gone one left nothing behind")
}

func TestActivationHappensOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	d := registered(t, u, stored(t, u, user("")), app, h.pendingFor(time.Hour))
	first, err := u.ActivateDevice(t.Context(), d)
	require.NoError(t, err)
	d.Name, d.Address = "Another", "another-token"
	again, err := u.ActivateDevice(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, first, again, "as it was stored first")
	d.Pending.VerificationID = "too late"
	again, err = u.UpdatePending(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestAPendingDeviceThatIsAskedAgainStaysLonger(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	d := registered(t, u, stored(t, u, user("")), h.pendingFor(2*time.Second))
	d.Name = "not changed by this"
	next := device.Pending{VerificationID: uuid.NewString(), ExpiresAt: h.clock.now().Add(time.Hour).UTC()}
	d.Pending = &next
	updated, err := u.UpdatePending(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, next, *updated.Pending)
	require.Equal(t, "Phone", updated.Name)
	// One that was to leave later than it has left.
	registered(t, u, stored(t, u, user("")), h.pendingFor(3*time.Second))
	require.Eventually(t, func() bool { return len(h.deviceKeys(t)) == 3 }, waitLong, tick)
	got, err := u.DeviceByNumber(t.Context(), "shop", d.Number)
	require.NoError(t, err)
	require.Equal(t, updated, got)
	d.Pending = nil
	_, err = u.UpdatePending(t.Context(), d)
	require.Error(t, err)
}

func TestADeviceThatIsProvedWhileItIsAskedAgainStays(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := users(t, h), users(t, h)
	ana := stored(t, one, user(""))
	for range 10 {
		d := registered(t, one, ana, h.pendingFor(5*time.Second))
		again := d
		again.Pending = &device.Pending{VerificationID: uuid.NewString(), ExpiresAt: d.Pending.ExpiresAt}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := one.ActivateDevice(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
		for range 3 {
			wg.Go(func() {
				if _, err := two.UpdatePending(t.Context(), again); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := one.Device(t.Context(), "shop", d.ID)
		require.NoError(t, err)
		require.True(t, got.Active())
	}
	// One that was to leave later than all of them has left: what they have stays.
	registered(t, one, ana, h.pendingFor(7*time.Second))
	require.Eventually(t, func() bool { return len(h.deviceKeys(t)) <= 30 }, waitLong, tick)
	require.Len(t, h.deviceKeys(t), 30)
}

func TestACodeOfAnAuthenticatorIsRightOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user(""))
	secret := []byte("12345678901234567890")
	totp := func(d *device.Device) {
		d.Kind, d.Factor, d.Address, d.Secret = device.TOTP, device.AppCode, "", secret
	}
	d, pending := registered(t, u, ana, totp), registered(t, u, ana, totp, h.pendingFor(time.Hour))
	code := func() verification.Code { return verification.Code(device.OneTimeCode(secret, h.clock.now())) }
	check := func(id string, c verification.Code) bool {
		t.Helper()
		ok, err := u.CheckCode(t.Context(), "shop", id, c)
		require.NoError(t, err)
		return ok
	}
	for range 2 * stream.GuessQuota { // right ones are not counted as guesses
		require.True(t, check(d.ID, code()))
		h.clock.forward(30 * time.Second)
	}
	require.True(t, check(pending.ID, code()), "a pending one proves itself by it; another device has used its own")
	now := code()
	require.True(t, check(d.ID, now))
	require.False(t, check(d.ID, now), "each value once")
	for range 2 * stream.GuessQuota { // sent again it is no guess
		require.False(t, check(d.ID, now))
	}
	for range stream.GuessQuota {
		require.False(t, check(d.ID, "not it"))
	}
	_, err := u.CheckCode(t.Context(), "shop", d.ID, code())
	var limit *verification.LimitError
	require.ErrorAs(t, err, &limit, "the right one comes too late too")

	phone := registered(t, u, ana)
	for range stream.GuessQuota {
		require.False(t, check(phone.ID, verification.Code(device.OneTimeCode(nil, h.clock.now()))))
	}
	_, err = u.CheckCode(t.Context(), "shop", phone.ID, "")
	require.ErrorAs(t, err, &limit)
}

func TestOfManyWhoSendOneCodeOneIsRight(t *testing.T) {
	t.Parallel()
	h := build(t)
	secret := []byte("12345678901234567890")
	first := users(t, h)
	d := registered(t, first, stored(t, first, user("")), func(d *device.Device) { d.Kind, d.Secret = device.TOTP, secret })
	code := verification.Code(device.OneTimeCode(secret, h.clock.now()))
	var right atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		u := users(t, h) // a process of its own
		for range 8 {
			wg.Go(func() {
				ok, err := u.CheckCode(t.Context(), "shop", d.ID, code)
				if limit := (*verification.LimitError)(nil); err != nil && !errors.As(err, &limit) {
					t.Error(err)
				}
				if ok {
					right.Add(1)
				}
			})
		}
	}
	wg.Wait()
	require.EqualValues(t, 1, right.Load())
}

func TestARenamedDeviceIsTheSameOtherwise(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user(""))
	d := registered(t, u, ana, app)
	renamed, err := u.RenameDevice(t.Context(), "shop", d.ID, "Office")
	require.NoError(t, err)
	d.Name = "Office"
	require.Equal(t, d, renamed)
	got, err := u.Device(t.Context(), "shop", d.ID)
	require.NoError(t, err)
	require.Equal(t, d, got)

	pending := registered(t, u, ana, h.pendingFor(time.Hour), func(d *device.Device) { d.Pending.Link = "link" })
	got, err = u.Device(t.Context(), "shop", pending.ID)
	require.NoError(t, err)
	require.Equal(t, "link", got.Pending.Link)
	for account, id := range map[string]string{"other": d.ID, "shop": pending.ID} {
		_, err := u.RenameDevice(t.Context(), account, id, "x")
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
}
