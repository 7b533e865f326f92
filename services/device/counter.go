package device

import "time"

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
