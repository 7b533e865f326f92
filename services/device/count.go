package device

import (
	"strings"
	"time"
)

// Count is what a push device signs to show that it is the only one with its key. The signature covers the body of the
// request.
type Count struct {
	DeviceID string
	At       string // RFC 3339, exactly as sent
	Body     string // of the request, exactly as sent
}

// SignedText is the text whose SHA-256 digest a device signs. Its parts hold no line breaks.
func (c Count) SignedText() string {
	return strings.Join([]string{"assent-counter-v1", c.DeviceID, c.At, digestOf(c.Body)}, "\n")
}

// Verify checks the signature against the device's public key, in the forms that Answer.Verify takes.
func (c Count) Verify(public, signature []byte) error {
	return verify(c.SignedText(), public, signature)
}

// Counter is how far a phone has counted. Of two phones with one key, one is behind, or at the same number with another
// nonce, once both have counted.
type Counter struct {
	Number int64
	// Nonce was drawn with the number, so that two that count on from the same one differ.
	Nonce string
	// At is the phone's own time of it.
	At time.Time
}

// Follows tells whether a phone that counts to next has the key alone, as far as can be told: it counts on, or says the same
// once more.
func (c Counter) Follows(next Counter) bool {
	return next.Number > c.Number || next.Number == c.Number && next.Nonce == c.Nonce
}
