// Package letter describes dead letters: messages that could not be decoded or delivered, as an
// operator may see them, and what stands in the way of trying one again. It is pure; package store
// keeps and replays them. Nothing in it is a secret: no code, no link, no full address.
package letter

import "time"

// Letter is one dead letter.
type Letter struct {
	// ID is its sequence in the stream of dead letters.
	ID   uint64
	Kind Kind
	// Reason is a stable word for what was not delivered, else a sentence that quotes nothing.
	Reason            string
	Subject, Consumer string
	// VerificationID, Account and Channel are empty where they are not known.
	VerificationID, Account, Channel string
	// Size is that of the message, in bytes.
	Size int
	// SHA256 is that of a message that does not decode, in hexadecimal digits; empty where it cannot be read.
	SHA256 string
	At     time.Time
	// Message is set where the letter is that of a message to a person, and decodes.
	Message *Message
	// Obstacle is why it cannot be replayed now; empty: it can.
	Obstacle Obstacle
	// Uncertain tells that a provider may have taken the message: a call to it was never answered.
	Uncertain bool
}

// Message is what may be shown of a message to a person.
type Message struct {
	ToMasked, Challenge  string
	Step, Send           int
	CreatedAt, ExpiresAt time.Time
}

// Kind tells what went wrong.
type Kind string

// The kinds.
const (
	Undecodable Kind = "undecodable"
	Undelivered Kind = "undelivered"
)

// Valid tells whether k is one of the kinds.
func (k Kind) Valid() bool { return k == Undecodable || k == Undelivered }

// Obstacle is why a letter cannot be replayed.
type Obstacle string

// The obstacles.
const (
	// Expired: the verification's time is over.
	Expired Obstacle = "expired"
	// Closed: the verification has ended otherwise.
	Closed Obstacle = "closed"
	// Sent: the send record says that a provider took the message.
	Sent Obstacle = "sent"
	// Sending: the send record says that a provider is being called.
	Sending Obstacle = "sending"
	// Superseded: another message stands in its place, of a resend or another replay.
	Superseded Obstacle = "superseded"
	// StillUndecodable: this program does not understand the message either.
	StillUndecodable Obstacle = "undecodable"
	// Unreadable: the message cannot be had any more: it was not sealed, or no key opens it.
	Unreadable Obstacle = "unreadable"
)

// says is each obstacle in words.
var says = map[Obstacle]string{
	Expired:          "The verification has expired.",
	Closed:           "The verification is closed.",
	Sent:             "A provider has taken this message already.",
	Sending:          "A provider is being called with this message at the moment.",
	Superseded:       "The message was asked for again since, by a resend or another replay.",
	StillUndecodable: "This version of Assent cannot decode the message, or its record, either.",
	Unreadable:       "The message itself was not kept, or there is no key to open it.",
}

// Explain is the obstacle in words, for people.
func (o Obstacle) Explain() string { return says[o] }

// RefusedError says why a letter was not replayed.
type RefusedError struct{ Obstacle Obstacle }

func (e *RefusedError) Error() string { return "letter cannot be replayed: " + string(e.Obstacle) }

// Filter chooses letters; empty fields choose all.
type Filter struct {
	Kind            Kind
	Reason, Channel string
	// Before is the id to go on from, towards older ones; zero: from the newest.
	Before uint64
	// Limit is how many to find at most.
	Limit int
}
