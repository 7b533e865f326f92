package device

import "strings"

// Change is what a push device signs to change what it is reached by. The signature covers the body of the request,
// so that a change can be repeated, and nothing else be made of it.
type Change struct {
	DeviceID string
	At       string // RFC 3339, exactly as sent
	Body     string // of the request, exactly as sent
}

// SignedText is the text whose SHA-256 digest a device signs. Its parts hold no line breaks.
func (c Change) SignedText() string {
	return strings.Join([]string{"assent-phone-v1", c.DeviceID, c.At, digestOf(c.Body)}, "\n")
}

// Verify checks the signature against the device's public key, in the forms that Answer.Verify takes.
func (c Change) Verify(public, signature []byte) error {
	return verify(c.SignedText(), public, signature)
}
