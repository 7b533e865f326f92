package device

import "strings"

// Trial is what a push device signs to be asked once by itself. The signature covers the body of the request.
type Trial struct {
	DeviceID string
	At       string // RFC 3339, exactly as sent
	Body     string // of the request, exactly as sent
}

// SignedText is the text whose SHA-256 digest a device signs. Its parts hold no line breaks.
func (t Trial) SignedText() string {
	return strings.Join([]string{"assent-trial-v1", t.DeviceID, t.At, digestOf(t.Body)}, "\n")
}

// Verify checks the signature against the device's public key, in the forms that Answer.Verify takes.
func (t Trial) Verify(public, signature []byte) error {
	return verify(t.SignedText(), public, signature)
}
