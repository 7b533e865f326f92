package device_test

import (
	"crypto/elliptic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func TestACountIsSignedForOneDeviceTimeAndBody(t *testing.T) {
	k, public := key(t, elliptic.P256())
	count := device.Count{DeviceID: "d1", At: "2026-11-21T10:04:31Z", Body: `{"counter":1,"nonce":"a"}`}
	der, raw := sign(t, k, count.SignedText())
	require.NoError(t, count.Verify(public, der))
	require.NoError(t, count.Verify(public, raw))
	for _, other := range []device.Count{
		{DeviceID: "d2", At: count.At, Body: count.Body},
		{DeviceID: "d1", At: "2026-11-21T10:04:32Z", Body: count.Body},
		{DeviceID: "d1", At: count.At, Body: `{"counter":2,"nonce":"a"}`},
	} {
		require.ErrorIs(t, other.Verify(public, der), device.ErrSignature)
	}
	require.ErrorIs(t, device.Trial{DeviceID: "d1", At: count.At, Body: count.Body}.Verify(public, der), device.ErrSignature)
}

func TestACounterGoesOnOrSaysTheSameAgain(t *testing.T) {
	at := device.Counter{Number: 5, Nonce: "a"}
	for next, follows := range map[device.Counter]bool{
		{Number: 6, Nonce: "b"}: true, {Number: 9, Nonce: "a"}: true, {Number: 5, Nonce: "a"}: true,
		{Number: 5, Nonce: "b"}: false, {Number: 4, Nonce: "a"}: false,
	} {
		next.At = at.At.Add(time.Hour) // which does not matter
		require.Equal(t, follows, at.Follows(next), "%v", next)
	}
	require.True(t, device.Counter{}.Follows(device.Counter{Number: 1, Nonce: "a"}))
}
