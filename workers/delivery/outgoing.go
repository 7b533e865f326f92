package delivery

import "time"

// SMS is one rendered text message for a provider. The body is a secret, because it
// holds the code or the link.
type SMS struct {
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
	To     Address
	Script Code
	// CallbackURL is where the provider reports how the call went; empty where there is no way back.
	CallbackURL string
	// RingFor is how long the phone rings before nobody answered.
	RingFor time.Duration
}
