package delivery

import (
	"strconv"
	"time"
)

// Name tells one message from all others: the provider's reports bring it back.
type Name struct {
	VerificationID string
	Step           int // of the fallback; 0: the road that the client named
	Send           int
	Attempt        int
}

// Path is the name as the end of a callback's path.
func (n Name) Path() string {
	return n.VerificationID + "/" + strconv.Itoa(n.Step) + "/" + strconv.Itoa(n.Send) + "/" + strconv.Itoa(n.Attempt)
}

// Message is what is the same for all attempts to send one message, so that who gets it twice can tell.
func (n Name) Message() string {
	return n.VerificationID + "-" + strconv.Itoa(n.Step) + "-" + strconv.Itoa(n.Send)
}

// SMS is one rendered text message for a provider. The body is a secret, because it
// holds the code or the link.
type SMS struct {
	Name
	To   Address
	Body Code
	// CallbackURL is where the provider reports what became of it; empty where there is no way back.
	CallbackURL string
	// ValidFor is how long the message is worth delivering.
	ValidFor time.Duration
}

// Call is one phone call for a provider. The script is TwiML, and a secret, because it
// may hold the code.
type Call struct {
	Name
	To     Address
	Script Code
	// Lines are the same script for providers that know no TwiML; none where it asks for keys.
	Lines []Line
	// CallbackURL is where the provider reports how the call went; empty where there is no way back.
	CallbackURL string
	// RingFor is how long the phone rings before nobody answered.
	RingFor time.Duration
	// ValidFor is how long the call is worth making.
	ValidFor time.Duration
}

// Line is one sentence of a call, or a pause where Text is empty.
type Line struct {
	Language string // BCP 47, such as de-DE
	Text     Code
	Pause    time.Duration
}
