package device_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func answer() device.Answer {
	return device.Answer{
		VerificationID: "v1", DeviceID: "d1", Decision: "approve", AnsweredAt: "2026-11-21T10:04:31Z",
		Context: `{"ip":"203.0.113.7","action":"Sign in"}`,
	}
}

func TestASignedAnswerVerifiesInBothForms(t *testing.T) {
	k, public := key(t, elliptic.P256())
	for range 20 {
		der, raw := sign(t, k, answer().SignedText())
		require.NoError(t, answer().Verify(public, der))
		require.NoError(t, answer().Verify(public, raw))
	}
}

func TestAnyChangedPartIsRefused(t *testing.T) {
	k, public := key(t, elliptic.P256())
	_, raw := sign(t, k, answer().SignedText())
	for name, change := range map[string]func(*device.Answer){
		"verification": func(a *device.Answer) { a.VerificationID = "v2" },
		"device":       func(a *device.Answer) { a.DeviceID = "d2" },
		"decision":     func(a *device.Answer) { a.Decision = "deny" },
		"number":       func(a *device.Answer) { a.NumberDigest = device.NumberDigest("salt", "47") },
		"time":         func(a *device.Answer) { a.AnsweredAt = "2026-11-21T10:04:32Z" },
		"context":      func(a *device.Answer) { a.Context = `{"ip":"203.0.113.8","action":"Sign in"}` },
		"moved parts":  func(a *device.Answer) { a.VerificationID, a.DeviceID = "v", "1d1" },
	} {
		t.Run(name, func(t *testing.T) {
			a := answer()
			change(&a)
			require.ErrorIs(t, a.Verify(public, raw), device.ErrSignature)
		})
	}
	_, other := key(t, elliptic.P256())
	require.ErrorIs(t, answer().Verify(other, raw), device.ErrSignature)
	for name, s := range map[string][]byte{"nothing": nil, "garbage": []byte("garbage"), "zeros": make([]byte, 64), "cut": raw[:63]} {
		require.ErrorIs(t, answer().Verify(public, s), device.ErrSignature, name)
	}
}

func TestTheSignedTextIsTheContractOfEveryApp(t *testing.T) {
	a := answer()
	a.NumberDigest = device.NumberDigest("pXk2Jq0cT1m5l8S3vRwZbA", "47")
	require.Equal(t, "assent-response-v2\nv1\nd1\napprove\n"+
		"cfd714ad04bd6cbf738ac87f662d19b09c5d7cfcae5978ac113b3151e1a70757\n2026-11-21T10:04:31Z\n"+
		"598bae1fffbe67d2d1cc440cd1119f4f55876d593eaa0c89b46140f33cef7b6d", a.SignedText())
}

func TestANumberHasADigestUnderItsSaltOnly(t *testing.T) {
	require.Empty(t, device.NumberDigest("salt", ""), "no number, no line")
	one := device.NumberDigest("salt", "47")
	require.Len(t, one, 64)
	require.NotEqual(t, one, device.NumberDigest("salt", "48"))
	require.NotEqual(t, one, device.NumberDigest("other", "47"))
	require.NotEqual(t, one, device.NumberDigest("", "47"))
}

func TestATextOfTheVersionBeforeIsNoAnswer(t *testing.T) {
	k, public := key(t, elliptic.P256())
	before := "assent-response-v1" + answer().SignedText()[len("assent-response-v2"):]
	der, raw := sign(t, k, before)
	require.ErrorIs(t, answer().Verify(public, der), device.ErrSignature)
	require.ErrorIs(t, answer().Verify(public, raw), device.ErrSignature)
}

// pair is a signature's two numbers as DER.
func pair(t *testing.T, r, s *big.Int) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	require.NoError(t, err)
	return b
}

func TestASignatureThatIsNoneIsRefused(t *testing.T) {
	k, public := key(t, elliptic.P256())
	digest := sha256.Sum256([]byte(answer().SignedText()))
	r, s, err := ecdsa.Sign(rand.Reader, k, digest[:])
	require.NoError(t, err)
	order := elliptic.P256().Params().N
	zero := new(big.Int)
	good := pair(t, r, s)
	require.NoError(t, answer().Verify(public, good))
	require.NoError(t, answer().Verify(public, pair(t, r, new(big.Int).Sub(order, s))), "the other half of the curve is as good")
	for name, bad := range map[string][]byte{
		"cut":                      good[:len(good)-1],
		"with more behind it":      append(append([]byte{}, good...), 0),
		"an octet string":          append([]byte{4}, good[1:]...),
		"a wrong length":           append([]byte{good[0], good[1] + 1}, good[2:]...),
		"one number":               good[:2+2+good[3]],
		"r is zero":                pair(t, zero, s),
		"s is zero":                pair(t, r, zero),
		"both are zero":            pair(t, zero, zero),
		"r is negative":            pair(t, new(big.Int).Neg(r), s),
		"r is more than its curve": pair(t, new(big.Int).Add(r, order), s),
		"the numbers swapped":      pair(t, s, r),
	} {
		require.ErrorIs(t, answer().Verify(public, bad), device.ErrSignature, name)
	}
}

func TestAKeyOnAnotherCurveVerifiesNothing(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P224(), elliptic.P384(), elliptic.P521()} {
		k, public := key(t, curve)
		digest := sha256.Sum256([]byte(answer().SignedText()))
		der, err := ecdsa.SignASN1(rand.Reader, k, digest[:])
		require.NoError(t, err)
		require.ErrorIs(t, answer().Verify(public, der), device.ErrKey)
	}
	_, err := x509.ParsePKIXPublicKey([]byte("no key"))
	require.Error(t, err)
	require.ErrorIs(t, answer().Verify([]byte("no key"), nil), device.ErrKey)
}
