package device

import "strings"

// Look is what a push device signs to see the questions that wait for it. It says nothing about any
// of them, so one that is seen by others can be repeated for as long as its time counts, and no answer
// can be made of it.
type Look struct {
	DeviceID string
	At       string // RFC 3339, exactly as sent
}

// SignedText is the text whose SHA-256 digest a device signs. Its parts hold no line breaks.
func (l Look) SignedText() string {
	return strings.Join([]string{"assent-prompts-v1", l.DeviceID, l.At}, "\n")
}

// Verify checks the signature against the device's public key, in the forms that Answer.Verify takes.
func (l Look) Verify(public, signature []byte) error {
	return verify(l.SignedText(), public, signature)
}
