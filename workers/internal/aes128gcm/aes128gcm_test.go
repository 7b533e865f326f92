package aes128gcm_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/internal/aes128gcm"
)

func bytesOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	require.NoError(t, err)
	return b
}

// vector is the example of RFC 8291, section 5 and appendix A.
func vector(t *testing.T) (key *ecdh.PrivateKey, auth, body []byte) {
	t.Helper()
	key, err := ecdh.P256().NewPrivateKey(bytesOf(t, "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	require.NoError(t, err)
	require.Equal(t, bytesOf(t, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"), key.PublicKey().Bytes())
	return key, bytesOf(t, "BTBZMqHH6r4Tts7J_aSIgg"), bytesOf(t,
		"DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
}

func TestTheExampleOfTheRFCIsRead(t *testing.T) {
	t.Parallel()
	key, auth, body := vector(t)
	text, err := aes128gcm.Open(key, auth, body)
	require.NoError(t, err)
	require.Equal(t, "When I grow up, I want to be a watermelon", string(text))
}

func TestWhatIsNotForThisBrowserIsNotRead(t *testing.T) {
	t.Parallel()
	key, auth, body := vector(t)
	other, err := ecdh.P256().NewPrivateKey(bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	changed := func(at int) []byte {
		b := bytes.Clone(body)
		b[at] ^= 1
		return b
	}
	small := bytes.Clone(body)
	copy(small[16:20], []byte{0, 0, 0, 50})
	for name, c := range map[string]struct {
		key        *ecdh.PrivateKey
		auth, body []byte
	}{
		"another key":        {other, auth, body},
		"another secret":     {key, make([]byte, 16), body},
		"nothing":            {key, auth, nil},
		"a header alone":     {key, auth, body[:86]},
		"cut short":          {key, auth, body[:len(body)-1]},
		"another salt":       {key, auth, changed(0)},
		"a small record":     {key, auth, small},
		"another key length": {key, auth, changed(20)},
		"a point off curve":  {key, auth, changed(40)},
		"another last byte":  {key, auth, changed(len(body) - 1)},
	} {
		_, err := aes128gcm.Open(c.key, c.auth, c.body)
		require.ErrorIs(t, err, aes128gcm.ErrNoMessage, name)
	}
}
