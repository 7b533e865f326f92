package device_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func TestATrialIsSignedForOneDeviceTimeAndBody(t *testing.T) {
	k, public := key(t, elliptic.P256())
	trial := device.Trial{DeviceID: "d1", At: "2026-11-21T10:04:31Z", Body: `{"locale":"de"}`}
	require.Equal(t, "assent-trial-v1\nd1\n2026-11-21T10:04:31Z\ne92704fb4181e3b017ddfc5f4bc1a7bacd680a644223e9987a8000a2e181d3fe", trial.SignedText())
	der, raw := sign(t, k, trial.SignedText())
	require.NoError(t, trial.Verify(public, der))
	require.NoError(t, trial.Verify(public, raw))
	for _, other := range []device.Trial{
		{DeviceID: "d2", At: trial.At, Body: trial.Body},
		{DeviceID: "d1", At: "2026-11-21T10:04:32Z", Body: trial.Body},
		{DeviceID: "d1", At: trial.At, Body: `{}`},
	} {
		require.ErrorIs(t, other.Verify(public, der), device.ErrSignature)
	}
	require.ErrorIs(t, device.Change{DeviceID: "d1", At: trial.At, Body: trial.Body}.Verify(public, der), device.ErrSignature, "it changes nothing")
}
