package device

import "strings"

// Purpose is what a push device asks for with a request of its own. It is the first line of what the device signs, so that a
// signature for one purpose is none for another.
type Purpose string

// The purposes of the requests that devices sign. Answers to questions are signed as Answer.
const (
	Look   Purpose = "assent-prompts-v1" // to see the questions that wait for it
	Change Purpose = "assent-phone-v1"   // to be reached by another push token
	Try    Purpose = "assent-trial-v1"   // to be asked once, to be tried
	Count  Purpose = "assent-counter-v1" // to show that it is the only one with its key
)

// Request is what a push device signs to ask for something by itself. One that is seen by others can be repeated for as long as
// its time counts, and nothing else be made of it.
type Request struct {
	Purpose  Purpose
	DeviceID string
	At       string // RFC 3339, exactly as sent
	Body     string // exactly as sent; a look has none
}

// SignedText is the text whose SHA-256 digest a device signs. Its parts hold no line breaks.
func (r Request) SignedText() string {
	lines := []string{string(r.Purpose), r.DeviceID, r.At}
	if r.Purpose != Look {
		lines = append(lines, digestOf(r.Body))
	}
	return strings.Join(lines, "\n")
}

// Verify checks the signature against the device's public key, in the forms that Answer.Verify takes.
func (r Request) Verify(public, signature []byte) error {
	return verify(r.SignedText(), public, signature)
}
