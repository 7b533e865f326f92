package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"strconv"
)

// PushKey is the private key, 32 bytes of a scalar on P-256, by which push services know this
// deployment (VAPID, RFC 8292). A browser's subscription is bound to the key it was made for, so it
// follows from the oldest key, and stays while that one does. It needs the root key or that of WebPush.
func (k *Keyring) PushKey() ([]byte, error) {
	ids := k.IDs()
	oldest := ids[len(ids)-1]
	for i := 0; ; i++ {
		raw, err := k.Sum(oldest, WebPush, "vapid", strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		// A sum that is no scalar of the curve is next to impossible.
		if _, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw); err == nil {
			return raw, nil
		}
	}
}
