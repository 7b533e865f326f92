package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func TestTheKeysOfAnAppThatIsGoneAreRememberedForItsPhones(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	d := registered(t, u, stored(t, u, user("")), app)
	gone, err := u.Gone(t.Context(), d.ID)
	require.NoError(t, err)
	require.Empty(t, gone)

	for _, key := range []byte{3, 4, 5, 6} {
		_, err := u.ChangeApp(t.Context(), "shop", d.ID, func(d *device.Device) error {
			d.PublicKey = []byte{key}
			return nil
		})
		require.NoError(t, err)
	}
	_, err = u.ChangeApp(t.Context(), "shop", d.ID, func(d *device.Device) error {
		d.Address = "another token"
		return nil
	})
	require.NoError(t, err)
	h.clock.forward(time.Hour)
	require.NoError(t, u.DeleteDevice(t.Context(), "shop", d.ID))

	gone, err = u.Gone(t.Context(), d.ID)
	require.NoError(t, err)
	var keys [][]byte
	var causes []string
	for _, g := range gone {
		keys, causes = append(keys, g.PublicKey), append(causes, g.Cause)
	}
	require.Equal(t, [][]byte{{3}, {4}, {5}, {6}}, keys, "the newest four")
	require.Equal(t, []string{device.CauseReplaced, device.CauseReplaced, device.CauseReplaced, device.CauseRemoved}, causes)
	require.WithinDuration(t, h.clock.now(), gone[3].At, time.Minute)
}

func TestOnlyAppsThatCountedAreRemembered(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user(""))
	for _, d := range []device.Device{registered(t, u, ana), registered(t, u, ana, app, h.pendingFor(time.Hour))} {
		require.NoError(t, u.DeleteDevice(t.Context(), "shop", d.ID))
		gone, err := u.Gone(t.Context(), d.ID)
		require.NoError(t, err)
		require.Empty(t, gone)
	}
	for _, id := range []string{uuid.NewString(), "no id", ""} {
		gone, err := u.Gone(t.Context(), id)
		require.NoError(t, err)
		require.Empty(t, gone)
	}
	all := registered(t, u, ana, app)
	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	gone, err := u.Gone(t.Context(), all.ID)
	require.NoError(t, err)
	require.Len(t, gone, 1)
}
