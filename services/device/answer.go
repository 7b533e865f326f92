package device

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"time"
)

// Answer is what a push device signs.
type Answer struct {
	VerificationID string
	DeviceID       string
	Decision       string
	// NumberDigest stands for the number that the person gave, as NumberDigest makes it; empty where none came.
	NumberDigest string
	AnsweredAt   string // RFC 3339, exactly as sent, of at most LongestTime
	Context      string // the context exactly as it was delivered to the device
}

// The bounds of AnsweredAt. The api holds answers to them before they are an event, and the verifier after.
const (
	// LongestTime is how many characters it has at most: one second has many texts, and the archive takes them as they came.
	LongestTime = 35
	// Earliest is how long before its question an answer may be dated: a phone's clock may be slow.
	Earliest = time.Minute
)

// answerVersion is the first line of the text that is signed.
const answerVersion = "assent-response-v2"

// ErrSignature says that an answer was not signed by the device's key, or was changed since.
var ErrSignature = errors.New("signature does not match")

// NumberDigest is what stands for a number in a signed text: hexadecimal SHA-256 of the salt, a line feed and the
// number. It is empty without a number. The text may be stored and shown: who does not have the salt cannot try the
// few numbers there are.
func NumberDigest(salt, number string) string {
	if number == "" {
		return ""
	}
	return digestOf(salt + "\n" + number)
}

// digestOf is a text's SHA-256 in lower-case hexadecimal.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// SignedText is the text whose SHA-256 digest a device signs: one line for each part, so that
// no part can be moved into another. The parts themselves hold no line breaks.
func (a Answer) SignedText() string {
	return strings.Join([]string{
		answerVersion, a.VerificationID, a.DeviceID, a.Decision, a.NumberDigest, a.AnsweredAt, digestOf(a.Context),
	}, "\n")
}

// Verify checks the signature of an answer against the device's public key (PKIX, DER). It takes
// both forms in use: 64 bytes r ‖ s (IEEE P1363, what WebCrypto makes) and ASN.1 DER (what iOS and
// Android make). It fails with ErrKey or ErrSignature.
func (a Answer) Verify(public, signature []byte) error {
	return verify(a.SignedText(), public, signature)
}

// rawSignature is the length of a signature in the form r ‖ s.
const rawSignature = 64

// verify checks the signature of the text's SHA-256 digest.
func verify(text string, public, signature []byte) error {
	pub, err := publicKey(public)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(text))
	if len(signature) == rawSignature {
		r, s := new(big.Int).SetBytes(signature[:rawSignature/2]), new(big.Int).SetBytes(signature[rawSignature/2:])
		if ecdsa.Verify(pub, digest[:], r, s) {
			return nil
		}
	}
	// A DER signature can be 64 bytes long by chance, so both forms are tried there.
	if ecdsa.VerifyASN1(pub, digest[:], signature) {
		return nil
	}
	return ErrSignature
}
