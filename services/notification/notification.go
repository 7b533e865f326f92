// Package notification is what an ordinary message to many people is: its parts, the
// states of its messages, and what may still be withdrawn. It is pure: no I/O, no
// clock, no JSON. Fold makes the states of a part of what is known of it; package
// store keeps the parts and their logs, package httpapi shows them. How a message is
// sent is the workers' business.
package notification

import (
	"errors"
	"time"
)

// What a notification can be refused with, beside the errors of package verification.
var (
	// ErrClosed: nothing is left that could be withdrawn.
	ErrClosed = errors.New("nothing is left to withdraw")
	// ErrTooLarge: the texts of one recipient, or of all together, are more than a part or a request may hold.
	ErrTooLarge = errors.New("notification is too large")
)

// The lives of notifications. Codes and the like have MinLife; what must be there on the day has MaxLife.
const (
	MinLife                  = time.Minute
	MaxLife                  = 7 * 24 * time.Hour
	DefaultLifeBulk          = 24 * time.Hour
	DefaultLifeTransactional = time.Hour
	// MaxAhead is how far away the time of sending may be.
	MaxAhead = 30 * 24 * time.Hour
	// MaxRecipients is how many one request may have.
	MaxRecipients = 1000
)

// The lanes of notifications.
const (
	Bulk          = "bulk"
	Transactional = "transactional"
)

// DefaultLife is how long messages of a lane may take where the request is silent.
func DefaultLife(lane string) time.Duration {
	if lane == Transactional {
		return DefaultLifeTransactional
	}
	return DefaultLifeBulk
}

// Notification is one request to tell people something, as it was accepted.
type Notification struct {
	ID         string
	Credential string // the account that asked
	Client     string // of that account
	Lane       string
	// Batch tells that the request was a list.
	Batch   bool
	Parts   []Part
	Refused []Refused
	// Template and TemplateVersion name what the text was made from; empty for a text of the request's own.
	Template        string
	TemplateVersion int
	Brand           string
	Metadata        map[string]string
	CreatedAt       time.Time
	SendAt          time.Time
	ExpiresAt       time.Time
}

// Count is how many recipients it has.
func (n Notification) Count() int {
	count := 0
	for _, p := range n.Parts {
		count += p.Count
	}
	return count
}

// Part is some of its recipients, on one channel.
type Part struct {
	Channel string
	Count   int
}

// Refused is a recipient of a batch to whom nothing is sent, and why.
type Refused struct {
	Index                 int // in the request
	Code, Pointer, Detail string
}

// Recipient is one person of a notification, as may be shown.
type Recipient struct {
	Index            int // in the request
	Channel          string
	ToMasked         string
	UserID, DeviceID string
	Locale           string
}

// Message is one recipient's message and what became of it.
type Message struct {
	ID string
	Recipient
	Progress
}

// Body is one text with placeholders. It prints as REDACTED.
type Body struct{ Subject, Text, HTML string }

// String hides the text from every formatter.
func (Body) String() string { return "REDACTED" }

// GoString hides the text from %#v.
func (Body) GoString() string { return "REDACTED" }

// Addressee is one recipient of a request, with what only their worker may know. It prints as REDACTED.
type Addressee struct {
	Recipient
	To string
	// Platform and PublicKey are those of an app install.
	Platform  string
	PublicKey []byte
	// Body is the place of the text in the request's Bodies.
	Body      int
	Variables map[string]string
}

// String hides address and variables from every formatter.
func (Addressee) String() string { return "REDACTED" }

// GoString hides address and variables from %#v.
func (Addressee) GoString() string { return "REDACTED" }

// Request is a notification that is to be made. Its Parts are not set: the store divides the addressees.
type Request struct {
	Notification Notification
	Bodies       []Body
	Addressees   []Addressee
	// IdempotencyKey and RawBody are those of the request; the key is empty without one.
	IdempotencyKey string
	RawBody        []byte
}

// View is a notification as it reads now.
type View struct {
	Notification
	State  State
	Counts Counts
	// Wait says why nothing goes on, where nothing does.
	Wait *Wait
	// Message is that of a single notification; nil for a batch.
	Message *Message
}

// Accepted is a notification as it read when it was accepted.
func Accepted(n Notification, single *Message) View {
	v := View{Notification: n, Counts: Counts{Queued: n.Count()}, Message: single}
	v.State = v.Counts.Whole(n.SendAt.After(n.CreatedAt))
	return v
}

// Call is the call that a receipt was believed of.
type Call struct {
	Route   string
	BegunAt time.Time
	// News tells that the receipt says something that the log does not.
	News bool
}
