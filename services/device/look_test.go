package device_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func TestALookIsSignedForOneDeviceAndTime(t *testing.T) {
	k, public := key(t, elliptic.P256())
	look := device.Look{DeviceID: "d1", At: "2026-11-21T10:04:31Z"}
	require.Equal(t, "assent-prompts-v1\nd1\n2026-11-21T10:04:31Z", look.SignedText())
	der, raw := sign(t, k, look.SignedText())
	require.NoError(t, look.Verify(public, der))
	require.NoError(t, look.Verify(public, raw))

	require.ErrorIs(t, device.Look{DeviceID: "d2", At: look.At}.Verify(public, der), device.ErrSignature)
	require.ErrorIs(t, device.Look{DeviceID: "d1", At: "2026-11-21T10:04:32Z"}.Verify(public, der), device.ErrSignature)
	_, other := key(t, elliptic.P256())
	require.ErrorIs(t, look.Verify(other, der), device.ErrSignature)
	_, large := key(t, elliptic.P384())
	require.ErrorIs(t, look.Verify(large, der), device.ErrKey)
}

func TestASignatureOfALookIsNoneOfAnAnswer(t *testing.T) {
	k, public := key(t, elliptic.P256())
	der, _ := sign(t, k, device.Look{DeviceID: "d1", At: "2026-11-21T10:04:31Z"}.SignedText())
	require.ErrorIs(t, answer().Verify(public, der), device.ErrSignature)
}
