// Package aes128gcm decrypts what is pushed to a browser (RFC 8291 over RFC 8188), as the
// browser does. Stand-ins of push services call it.
package aes128gcm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// The parts of the header: salt, record size, length of the key and the key of the sender.
const (
	saltBytes  = 16
	sizeAt     = saltBytes
	lengthAt   = sizeAt + 4
	keyAt      = lengthAt + 1
	pointBytes = 65
	textAt     = keyAt + pointBytes
	// least is the smallest record size that leaves room for a byte.
	least = 18
)

// ErrNoMessage says that the body is no message for this key. It does not say why, as no browser does.
var ErrNoMessage = errors.New("the body cannot be decrypted with the subscription's keys")

// Open is the plain text of a body that was encrypted in one record for the holder of key and auth.
func Open(key *ecdh.PrivateKey, auth, body []byte) ([]byte, error) {
	if len(body) <= textAt || body[lengthAt] != pointBytes {
		return nil, ErrNoMessage
	}
	size := int64(binary.BigEndian.Uint32(body[sizeAt:lengthAt]))
	sender, err := ecdh.P256().NewPublicKey(body[keyAt:textAt])
	if err != nil || size < least || int64(len(body)-textAt) > size {
		return nil, ErrNoMessage
	}
	aead, nonce, err := derive(key, sender, auth, body[:saltBytes])
	if err != nil {
		return nil, ErrNoMessage
	}
	padded, err := aead.Open(nil, nonce, body[textAt:], nil)
	if err != nil {
		return nil, ErrNoMessage
	}
	padded = bytes.TrimRight(padded, "\x00")
	text, last := bytes.CutSuffix(padded, []byte{2}) // 2 ends the last record
	if !last {
		return nil, ErrNoMessage
	}
	return text, nil
}

func derive(key *ecdh.PrivateKey, sender *ecdh.PublicKey, auth, salt []byte) (cipher.AEAD, []byte, error) {
	shared, err := key.ECDH(sender)
	if err != nil {
		return nil, nil, ErrNoMessage
	}
	info := "WebPush: info\x00" + string(key.PublicKey().Bytes()) + string(sender.Bytes())
	ikm, err := hkdf.Key(sha256.New, shared, auth, info, sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	content, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(content)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, nonce, err
}
