package events

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Scope is the end of the entry's subject. What keeps verifications back for a time stands beside the entry that
// keeps an address from getting anything, so that neither is in the other's way.
func (s Suppression) Scope() string {
	if s.Covers == CoversVerifications {
		return FreezeScope(s.Account)
	}
	return SuppressionScope(s.Account, s.Credential)
}

// FreezeDestination stands in place of an address's hash for all devices of a user on one kind of channel. It is made
// of ids only, so that it needs no key.
func FreezeDestination(userID string, channel Channel) string {
	if channel == Voice { // a number is one, however it is reached
		channel = SMS
	}
	return hashed("freeze", userID, string(channel))
}

// hashed is 128 bits that stand for some ids in a subject.
func hashed(ids ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(ids, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// HardBounce tells of a mail server's enhanced status code (RFC 3463) that it means the mailbox: it does not
// exist, has moved, or is closed for good. One that is full, or a server that dislikes the message, does not.
func HardBounce(status string) bool {
	switch status {
	case "5.1.7", "5.1.8": // the sender's address
		return false
	case "5.2.1": // the mailbox is disabled
		return true
	default:
		return strings.HasPrefix(status, "5.1.")
	}
}
