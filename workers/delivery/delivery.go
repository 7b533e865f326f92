// Package delivery is the one loop all workers share: take an activation, refuse
// what is too late, open its content, hand it to the channel's Sender, and settle
// what happened. The Sender says what happened; the loop decides what follows.
//
// Channels (sms, voice, email, push) live beside this package and know no
// provider; providers live under provider and know no channel.
package delivery

import (
	"context"
	"log/slog"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
)

// Code is the secret of a message: a code, a link token, or a text that holds one. It prints as REDACTED.
type Code string

// String hides the code from every formatter.
func (Code) String() string { return "REDACTED" }

// GoString hides the code from %#v.
func (Code) GoString() string { return "REDACTED" }

// LogValue hides the code from slog.
func (Code) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// MarshalText hides the code from JSON.
func (Code) MarshalText() ([]byte, error) { return []byte("REDACTED"), nil }

// Reveal is the code itself, for the one place that renders the message.
func (c Code) Reveal() string { return string(c) }

// Address is a phone number, mailbox or push token. It prints as REDACTED.
type Address string

// String hides the address from every formatter.
func (Address) String() string { return "REDACTED" }

// GoString hides the address from %#v.
func (Address) GoString() string { return "REDACTED" }

// LogValue hides the address from slog.
func (Address) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// MarshalText hides the address from JSON.
func (Address) MarshalText() ([]byte, error) { return []byte("REDACTED"), nil }

// Reveal is the address itself, for the call to the provider.
func (a Address) Reveal() string { return string(a) }

// Message is one opened activation, or one message of a notification: what a channel needs to render and send.
type Message struct {
	ID        string // of the verification, or of the message
	Lane      events.Lane
	Channel   events.Channel
	Challenge events.Challenge
	Step      int // of the fallback; 0: the road that the client named
	Send      int // 1, and one more with each resend
	Attempt   int // 1, and one more with each retry
	To        Address
	Code      Code // digits, for the code challenge
	LinkToken Code // for the link challenge
	// NumberLength is how many digits the person must bring from the screen with an approval; zero: none.
	NumberLength int
	// Choices are the numbers that an app offers where the person picks one; empty: the person types it.
	Choices []string
	// NumberSalt is what an app signs its number under. It prints as REDACTED.
	NumberSalt Code
	// Text is the client's own wording of a text message, with {{otp_code}} and {{otp_expiry}} in it;
	// empty: ours. It prints as REDACTED: it may name the person.
	Text Code
	// Autofill tells phones and browsers where the code of a text message belongs.
	Autofill autofill.Hint
	// Notice is the text of a notification's message, ready to be sent; nil for a verification, which has a
	// challenge instead.
	Notice *Notice
	// Device is set for push only.
	Device    *events.PushDevice
	DeviceID  string
	Locale    string
	Brand     string
	Context   events.Context
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Notice is one ordinary message. Its parts print as REDACTED: they may name the person.
type Notice struct {
	Subject Code // of a mail; the title of a push
	Text    Code
	HTML    Code // of a mail; may be empty
}

// Name is what the provider's reports bring back.
func (m Message) Name() Name {
	return Name{VerificationID: m.ID, Step: m.Step, Send: m.Send, Attempt: m.Attempt}
}

// Receipt is the provider's word that it took the message.
type Receipt struct {
	ID string // the provider's id of the message or call
}

// Candidate is one provider that may carry a message.
type Candidate struct {
	Provider string
	Sender   Sender
	// Route is the country calling code of the address, such as +49; empty where there is none.
	Route string
	// Receipts tells that the provider reports what becomes of the message.
	Receipts bool
	// Patience is how long such a report takes on this route; zero where that is not known.
	Patience time.Duration
	// Admit allows a call of this message, whose end must then be told to done; or done is nil, and the
	// refusal says for how long to leave the provider alone. It waits for a part of the provider's quota,
	// at most for patience.
	Admit func(ctx context.Context, patience time.Duration) (done func(error), no Refusal)
	// Paced tells whether the provider counts calls by the time they are made at, so that what Admit allowed
	// is for now only; nil: it does not.
	Paced func() bool
}

const (
	// fresh is how long a call that was allowed may wait for its record to be written. Those that come later were
	// granted in a time that is over, and would come all at once.
	fresh = 250 * time.Millisecond
	// renewal is how long a call waits at most to be allowed again.
	renewal = time.Second
	// LateCall is how long after its send record a call may still be made: others wait for its end by the record's clock.
	LateCall = 2 * time.Second
)

// Renew lets a call be made that was allowed so long ago, and which has so much time left: where that is too long
// ago, it is asked for again. Without done the call must not be made, and has ended.
func (c Candidate) Renew(ctx context.Context, done func(error), ago, left time.Duration) (again func(error), no Refusal) {
	if ago <= fresh || c.Paced == nil || !c.Paced() {
		return done, Refusal{}
	}
	done(ErrStale)
	return c.Admit(ctx, min(renewal, left/2))
}

// Refusal says why a provider is not to be called now.
type Refusal struct {
	// Wait is how long at least.
	Wait time.Duration
	// Reason is one of the waits of package events: provider_paused, provider_unavailable, provider_throttled.
	Reason string
}

// Routes lists who may carry a message, the one to try first first; those in avoid come last. None
// means that this deployment sends nothing to its address.
type Routes interface {
	Candidates(m Message, avoid []string) []Candidate
}

// Sender renders a message and makes exactly one call to its provider. It returns within
// the context's deadline. Its error is one of this package's marks, or transient when bare.
type Sender interface {
	Send(ctx context.Context, m Message) (Receipt, error)
}

// SenderFunc is a Sender made of a function.
type SenderFunc func(ctx context.Context, m Message) (Receipt, error)

// Send calls f.
func (f SenderFunc) Send(ctx context.Context, m Message) (Receipt, error) { return f(ctx, m) }
