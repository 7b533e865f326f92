package enrolment_test

import (
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// joined is a phone that has joined.
func (d *desk) joined() enrolment.Joined {
	d.t.Helper()
	j, err := d.Join(d.t.Context(), d.begin(device.AppPush).JoinCode, app("key"))
	require.NoError(d.t, err)
	return j
}

func other(key string) enrolment.Phone {
	return enrolment.Phone{Name: "Fairphone", Platform: device.APNs, PushToken: "token of " + key, PublicKey: []byte(key)}
}

func TestAPhoneTakesThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	d := open(t)
	before := d.joined()
	e, err := d.Renew(t.Context(), "shop", before.Device.ID)
	require.NoError(t, err)
	require.Equal(t, enrolment.Pending, e.State)
	require.WithinDuration(t, d.Now().Add(verification.DefaultLife), e.ExpiresAt, time.Minute)
	require.True(t, strings.HasPrefix(e.URI, "otpauth://totp/Assent:ana-"), e.URI)
	require.Contains(t, e.URI, "secret="+e.JoinCode)
	stored, err := d.users.Device(t.Context(), "shop", before.Device.ID)
	require.NoError(t, err)
	require.Equal(t, []byte("key"), stored.PublicKey, "the phone before goes on until another joins")

	_, err = d.Join(t.Context(), e.JoinCode, app("key"))
	require.ErrorIs(t, err, enrolment.ErrSameKey)
	after, err := d.Join(t.Context(), e.JoinCode, other("new key"))
	require.NoError(t, err)
	require.Equal(t, before.Device.ID, after.Device.ID)
	require.Equal(t, before.Device.Number, after.Device.Number)
	require.NotEqual(t, before.Secret, after.Secret, "codes of the old phone are none")
	require.Equal(t, before.User, after.User)
	stored, err = d.users.DeviceByID(t.Context(), before.Device.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"new key", "token of new key", device.APNs, "Work"}, []string{string(stored.PublicKey), stored.Address, stored.Platform, stored.Name})
	require.Equal(t, after.Secret, device.SecretText(stored.Secret))

	_, err = d.Join(t.Context(), e.JoinCode, other("a third key"))
	require.ErrorIs(t, err, verification.ErrNotFound, "a code works once")
	_, err = d.Join(t.Context(), e.JoinCode, other("new key"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	again := other("new key")
	again.MayRepeat = true
	repeated, err := d.Join(t.Context(), e.JoinCode, again)
	require.NoError(t, err)
	require.Equal(t, after, repeated, "but for a phone whose answer was lost")
}

func TestADeviceThatAClientRegisteredJoinsAgainToo(t *testing.T) {
	t.Parallel()
	d := open(t)
	u := d.user()
	registered, err := d.users.CreateDevice(t.Context(), device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: "shop", Kind: device.Push, Address: "token", Platform: device.FCM,
		PublicKey: []byte("key"), CreatedAt: d.Now(),
	})
	require.NoError(t, err)
	e, err := d.Renew(t.Context(), "shop", registered.ID)
	require.NoError(t, err)
	j, err := d.Join(t.Context(), e.JoinCode, other("new key"))
	require.NoError(t, err)
	require.Equal(t, "Fairphone", j.Device.Name)
}

func TestOfManyPhonesThatWouldTakeAPlaceOneDoes(t *testing.T) {
	t.Parallel()
	d := open(t)
	e, err := d.Renew(t.Context(), "shop", d.joined().Device.ID)
	require.NoError(t, err)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if _, err := d.Join(t.Context(), e.JoinCode, other("key of phone "+string(rune('a'+i)))); err == nil {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, taken.Load())
}

func TestACodeForAPlaceEndsAndIsForAppsOnly(t *testing.T) {
	t.Parallel()
	d := open(t)
	j := d.joined()
	e, err := d.Renew(t.Context(), "shop", j.Device.ID)
	require.NoError(t, err)
	d.pass(verification.DefaultLife + time.Second)
	_, err = d.Join(t.Context(), e.JoinCode, other("new key"))
	require.ErrorIs(t, err, verification.ErrNotFound, "it has ended")

	_, err = d.Renew(t.Context(), "bank", j.Device.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = d.Renew(t.Context(), "shop", d.begin(device.AppPush).Device.ID)
	require.ErrorIs(t, err, verification.ErrNotFound, "it has not joined yet")
	proven := d.begin(device.SMSCode, func(r *enrolment.Request) { r.Proven = true })
	_, err = d.Renew(t.Context(), "shop", proven.Device.ID)
	require.ErrorIs(t, err, enrolment.ErrFactor)

	e, err = d.Renew(t.Context(), "shop", j.Device.ID)
	require.NoError(t, err)
	owner, err := d.users.User(t.Context(), "shop", j.Device.UserID)
	require.NoError(t, err)
	owner.Disabled = true
	_, err = d.users.UpdateUser(t.Context(), owner)
	require.NoError(t, err)
	_, err = d.Join(t.Context(), e.JoinCode, other("new key"))
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = d.Renew(t.Context(), "shop", j.Device.ID)
	require.ErrorIs(t, err, enrolment.ErrLocked)
	require.NoError(t, d.users.DeleteDevice(t.Context(), "shop", j.Device.ID))
	_, err = d.Join(t.Context(), e.JoinCode, other("new key"))
	require.ErrorIs(t, err, verification.ErrNotFound, "no code brings a removed phone back")
}

func TestATokenChangesInTheOrderThatThePhoneSigned(t *testing.T) {
	t.Parallel()
	d := open(t)
	signer := d.joined().Device
	token := func() string {
		stored, err := d.users.Device(t.Context(), "shop", signer.ID)
		require.NoError(t, err)
		return stored.Address
	}
	at := d.Now()
	require.NoError(t, d.ChangeToken(t.Context(), signer, "second", at))
	require.Equal(t, "second", token())
	require.NoError(t, d.ChangeToken(t.Context(), signer, "second", at), "a repetition")
	require.ErrorIs(t, d.ChangeToken(t.Context(), signer, "other", at), enrolment.ErrStale)
	require.ErrorIs(t, d.ChangeToken(t.Context(), signer, "first", at.Add(-time.Second)), enrolment.ErrStale)
	require.NoError(t, d.ChangeToken(t.Context(), signer, "third", at.Add(time.Second)))
	require.Equal(t, "third", token())

	e, err := d.Renew(t.Context(), "shop", signer.ID)
	require.NoError(t, err)
	_, err = d.Join(t.Context(), e.JoinCode, other("new key"))
	require.NoError(t, err)
	require.ErrorIs(t, d.ChangeToken(t.Context(), signer, "fourth", at.Add(time.Minute)), verification.ErrNotFound, "a phone that was replaced")
	require.Equal(t, "token of new key", token())
}

func TestAnOpenQuestionIsFoundAfterTheTokenChanged(t *testing.T) {
	t.Parallel()
	d := open(t)
	phone := d.joined().Device
	a, err := enrolment.Question(phone, uuid.NewString(), enrolment.Message{}, d.Now(), rand.Reader)
	require.NoError(t, err)
	_, _, err = d.verifications.Create(t.Context(), a)
	require.NoError(t, err)
	require.NoError(t, d.ChangeToken(t.Context(), phone, "another token", d.Now()))
	phone, err = d.users.DeviceByID(t.Context(), phone.ID)
	require.NoError(t, err)
	open, err := d.verifications.Prompts(t.Context(), phone)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, a.Verification.ID, open[0].ID)
}

func TestAPhoneTriesItselfOnceForEachSignature(t *testing.T) {
	t.Parallel()
	d := open(t)
	j := d.joined()
	v, err := d.Try(t.Context(), j.Device, time.Date(2026, 11, 21, 10, 5, 2, 0, time.UTC), "de-AT")
	require.NoError(t, err)
	require.Equal(t, "Dieses Gerät ausprobieren", v.Context.Action)
	require.Zero(t, v.NumberLength)
	open, err := d.verifications.Prompts(t.Context(), j.Device)
	require.NoError(t, err)
	require.Equal(t, v.ID, open[0].ID)
	_, err = d.Try(t.Context(), j.Device, time.Date(2026, 11, 21, 10, 5, 2, 0, time.UTC), "de")
	require.ErrorIs(t, err, enrolment.ErrStale)
	v, err = d.Try(t.Context(), j.Device, time.Date(2026, 11, 21, 10, 5, 3, 0, time.UTC), "eo")
	require.NoError(t, err)
	require.Equal(t, "Try this device", v.Context.Action)
}

func TestOfTwoPhonesWithOneKeyTheOneBehindIsRefusedUntilOneJoinsAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	j := d.joined()
	at := d.Now()
	count := func(number int64, nonce string) error {
		at = at.Add(time.Second)
		return d.Count(t.Context(), j.Device, device.Counter{Number: number, Nonce: nonce, At: at})
	}
	require.NoError(t, count(1, "a"))
	require.NoError(t, count(2, "original"))
	require.ErrorIs(t, count(2, "copy"), enrolment.ErrCopied)
	require.NoError(t, count(2, "original"), "whose answer was lost")
	require.NoError(t, count(3, "original"))
	late := device.Counter{Number: 2, Nonce: "original", At: at.Add(-2 * time.Second)}
	require.ErrorIs(t, d.Count(t.Context(), j.Device, late), enrolment.ErrStale, "one that was on its way for long is no copy")

	e, err := d.Renew(t.Context(), "shop", j.Device.ID)
	require.NoError(t, err)
	again, err := d.Join(t.Context(), e.JoinCode, other("new key"))
	require.NoError(t, err)
	require.ErrorIs(t, count(4, "copy"), verification.ErrNotFound, "the key before counts for nothing")
	require.NoError(t, d.Count(t.Context(), again.Device, device.Counter{Number: 1, Nonce: "b"}), "a new phone begins anew")
	require.NoError(t, d.users.DeleteDevice(t.Context(), "shop", j.Device.ID))
	require.ErrorIs(t, d.Count(t.Context(), again.Device, device.Counter{Number: 2, Nonce: "c"}), verification.ErrNotFound)
}
