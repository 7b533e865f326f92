package device_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func TestARequestIsSignedForOnePurposeDeviceTimeAndBody(t *testing.T) {
	const at, body, digest = "2026-11-21T10:04:31Z", `{"locale":"de"}`, "e92704fb4181e3b017ddfc5f4bc1a7bacd680a644223e9987a8000a2e181d3fe"
	texts := map[device.Purpose]string{
		device.Look:   "assent-prompts-v1\nd1\n" + at,
		device.Change: "assent-phone-v1\nd1\n" + at + "\n" + digest,
		device.Try:    "assent-trial-v1\nd1\n" + at + "\n" + digest,
		device.Count:  "assent-counter-v1\nd1\n" + at + "\n" + digest,
	}
	for purpose, text := range texts {
		k, public := key(t, elliptic.P256())
		r := device.Request{Purpose: purpose, DeviceID: "d1", At: at, Body: body}
		require.Equal(t, text, r.SignedText())
		der, raw := sign(t, k, text)
		require.NoError(t, r.Verify(public, der))
		require.NoError(t, r.Verify(public, raw))

		others := []device.Request{{purpose, "d2", at, body}, {purpose, "d1", "2026-11-21T10:04:32Z", body}}
		for other := range texts {
			if other != purpose {
				others = append(others, device.Request{Purpose: other, DeviceID: "d1", At: at, Body: body})
			}
		}
		if purpose != device.Look {
			others = append(others, device.Request{Purpose: purpose, DeviceID: "d1", At: at, Body: `{}`})
		}
		for _, other := range others {
			require.ErrorIs(t, other.Verify(public, der), device.ErrSignature, "%v", other)
		}
		_, another := key(t, elliptic.P256())
		require.ErrorIs(t, r.Verify(another, der), device.ErrSignature)
		_, large := key(t, elliptic.P384())
		require.ErrorIs(t, r.Verify(large, der), device.ErrKey)
		require.ErrorIs(t, answer().Verify(public, der), device.ErrSignature, "it answers nothing")
	}
}
