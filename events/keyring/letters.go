package keyring

import (
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"fmt"

	"github.com/assent-io/assent/events"
)

// Dead letters are sealed by hybrid public key encryption (RFC 9180), base mode, in this suite: every
// process can put one aside, and only the holder of the root key reads it.
func suite() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.DHKEM(ecdh.X25519()), hpke.HKDFSHA256(), hpke.AES256GCM()
}

// letterInfo is what both sides must agree on; another form of letters is another word.
const letterInfo = "assent/deadletters/1"

// encapsulated is how long the sender's half of the key agreement is, which goes before the ciphertext.
const encapsulated = 32

// publicHalf is the public key of the pair that follows from the key of the use Letters.
func publicHalf(pair []byte) ([]byte, error) {
	kem, _, _ := suite()
	private, err := kem.DeriveKeyPair(pair)
	if err != nil {
		return nil, fmt.Errorf("derive key pair: %w", err)
	}
	return private.PublicKey().Bytes(), nil
}

// SealLetter seals the payload of a dead letter, so that it opens only as that of this subject and
// consumer. It fails with ErrNoKey where the keyring has neither the root key nor LettersPublic.
func (k *Keyring) SealLetter(subject, consumer string, payload []byte) (events.Sealed, error) {
	id, public, err := k.lettersPublic()
	if err != nil {
		return events.Sealed{}, err
	}
	kem, kdf, aead := suite()
	recipient, err := kem.NewPublicKey(public)
	if err != nil {
		return events.Sealed{}, fmt.Errorf("seal letter: %w", err)
	}
	enc, sender, err := hpke.NewSender(recipient, kdf, aead, []byte(letterInfo))
	if err != nil {
		return events.Sealed{}, fmt.Errorf("seal letter: %w", err)
	}
	box, err := sender.Seal(letterPlace(subject, consumer), payload)
	if err != nil {
		return events.Sealed{}, fmt.Errorf("seal letter: %w", err)
	}
	return events.Sealed{KeyID: id, Box: append(enc, box...)}, nil
}

// SealsLetters tells whether SealLetter can work; ErrNoKey says that it cannot.
func (k *Keyring) SealsLetters() error {
	_, _, err := k.lettersPublic()
	return err
}

// lettersPublic is the newest public key there is. A file may have newer keys of other uses only.
func (k *Keyring) lettersPublic() (id string, public []byte, err error) {
	err = fmt.Errorf("%w (use %s)", ErrNoKey, LettersPublic)
	for _, id = range k.IDs() {
		if public, err = k.derive(id, LettersPublic); !errors.Is(err, ErrNoKey) {
			return id, public, err
		}
	}
	return "", nil, err
}

// OpenLetter reads what SealLetter made for the same subject and consumer. It fails with ErrNoKey or ErrForged.
// Whoever has the public key can seal, so what opens is not known to come from one of our processes.
func (k *Keyring) OpenLetter(subject, consumer string, s events.Sealed) ([]byte, error) {
	pair, err := k.derive(s.KeyID, Letters)
	if err != nil {
		return nil, err
	}
	if len(s.Box) < encapsulated {
		return nil, ErrForged
	}
	kem, kdf, aead := suite()
	private, err := kem.DeriveKeyPair(pair)
	if err != nil {
		return nil, fmt.Errorf("open letter: %w", err)
	}
	recipient, err := hpke.NewRecipient(s.Box[:encapsulated], private, kdf, aead, []byte(letterInfo))
	if err != nil {
		return nil, ErrForged
	}
	payload, err := recipient.Open(letterPlace(subject, consumer), s.Box[encapsulated:])
	if err != nil {
		return nil, ErrForged
	}
	return payload, nil
}

// letterPlace is the associated data of a letter. Consumers have no zero byte in their names.
func letterPlace(subject, consumer string) []byte { return []byte(consumer + "\x00" + subject) }
