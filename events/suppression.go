package events

import "strings"

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
