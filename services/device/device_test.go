package device_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
)

func key(t *testing.T, c elliptic.Curve) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	require.NoError(t, err)
	return k, der
}

// sign makes both forms of a signature: ASN.1 DER and r ‖ s.
func sign(t *testing.T, k *ecdsa.PrivateKey, text string) (der, raw []byte) {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	der, err := ecdsa.SignASN1(rand.Reader, k, digest[:])
	require.NoError(t, err)
	r, s, err := ecdsa.Sign(rand.Reader, k, digest[:])
	require.NoError(t, err)
	return der, append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func TestOnlyP256KeysAreAccepted(t *testing.T) {
	_, good := key(t, elliptic.P256())
	require.NoError(t, device.CheckPublicKey(good))
	_, p384 := key(t, elliptic.P384())
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsaDER, err := x509.MarshalPKIXPublicKey(&r.PublicKey)
	require.NoError(t, err)
	for name, der := range map[string][]byte{"P-384": p384, "RSA": rsaDER, "nothing": nil, "garbage": []byte("x"), "cut": good[:20]} {
		require.ErrorIs(t, device.CheckPublicKey(der), device.ErrKey, name)
		require.ErrorIs(t, answer().Verify(der, nil), device.ErrKey, name)
	}
}

func TestMasksKeepWhatTheOwnerRecognisesAndNoMore(t *testing.T) {
	for _, c := range []struct {
		kind          device.Kind
		address, want string
	}{
		{device.Phone, "+14155550100", "+1••••••0100"},
		{device.Phone, "+4930123456", "+4•••••3456"},
		{device.Phone, "+12345", "••••"},
		{device.Mailbox, "ana@example.com", "a•••@example.com"},
		{device.Mailbox, "ängel@example.com", "ä•••@example.com"},
		{device.Mailbox, "@example.com", "••••"},
		{device.Mailbox, "nothing", "••••"},
		{device.Push, "0123456789abcdef", "push"},
		{"", "anything", "••••"},
	} {
		require.Equal(t, c.want, device.Mask(c.kind, c.address))
	}
}
