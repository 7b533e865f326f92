// Package events is the internal contract of Assent: the payloads that cross a
// process border, and the names of the subjects they travel on. It knows JSON
// and nothing else; package stream moves what is defined here over JetStream.
//
// Payloads are versioned. A new field is optional and works when absent; a
// changed meaning is a new version beside the old one. The golden files under
// testdata are append-only: every file that was ever written must decode.
package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Version is the payload version this package writes.
const Version = 1

// ErrUndecodable marks a message that no reader of this contract understands.
// It is never retried: the message goes to the dead letters with the reason.
var ErrUndecodable = errors.New("undecodable event")

// Channel is the road to a person: one worker delivers each.
type Channel string

// The channels of Assent.
const (
	SMS   Channel = "sms"
	Voice Channel = "voice"
	Email Channel = "email"
	Push  Channel = "push"
	// TOTP carries nothing: its activations are records only, and no worker takes them.
	TOTP Channel = "totp"
)

// Channels lists every channel that a worker delivers, in the order they are shown to people.
func Channels() []Channel { return []Channel{SMS, Voice, Email, Push} }

// Challenge is what the person must answer with.
type Challenge string

// The challenges a message can carry.
const (
	Code     Challenge = "code"
	Link     Challenge = "link"
	Approval Challenge = "approval"
)

// Decision is what a person answered to a link or an approval.
type Decision string

// The decisions a person can take. NotMe refuses, and says that somebody else
// asked in the person's name.
const (
	Approve Decision = "approve"
	Deny    Decision = "deny"
	NotMe   Decision = "not_me"
)

// Sealed is content that only the holder of one key can read: AES-256-GCM
// with the verification id and the channel as associated data. That of a dead
// letter is sealed by HPKE for the holder of the root key.
type Sealed struct {
	KeyID string `json:"key_id"`
	// Box is the nonce, or HPKE's encapsulated key, followed by the ciphertext.
	Box []byte `json:"box"`
}

// Context tells the person who asks what from where. It is shown, never acted on.
type Context struct {
	IP     string `json:"ip,omitempty"`
	Action string `json:"action,omitempty"`
	Place  string `json:"place,omitempty"`
	Device string `json:"device,omitempty"`
	// Fields bind what is agreed to, such as amount and payee, in the client's order.
	Fields []Field `json:"fields,omitempty"`
}

// Field is one thing that the person agrees to.
type Field = struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// PushDevice is the registered app install that a push verification asks.
type PushDevice struct {
	// Platform is apns, fcm or webpush.
	Platform string `json:"platform"`
	// PublicKey is the P-256 key that signs the answers (PKIX, DER).
	PublicKey []byte `json:"public_key"`
}

// VerificationActivated creates a verification and asks for its delivery: the
// one durable record of both. It holds no code, token or full address in clear.
type VerificationActivated struct {
	Version    int    `json:"version"`
	ID         string `json:"id"`
	Credential string `json:"credential"` // the account that asked
	// Client is the credential of the account that asked; empty where it is not known.
	Client    string    `json:"client,omitempty"`
	Channel   Channel   `json:"channel"`
	Challenge Challenge `json:"challenge"`
	// Send counts the messages asked for: 1, and one more with each resend.
	Send int `json:"send"`
	// Step is 0 for the road the client named, and 1, 2, 3 for those of its fallback. An activation of a
	// later step is work only: the record of the verification is that of step 0.
	Step int `json:"step,omitempty"`
	// Avoid names the providers that took this message before and told nothing of it since.
	Avoid []string `json:"avoid,omitempty"`
	// Fallback are the roads to take one after the other while nobody answers.
	Fallback []FallbackStep `json:"fallback,omitempty"`
	UserID   string         `json:"user_id,omitempty"`
	DeviceID string         `json:"device_id,omitempty"`
	Device   *PushDevice    `json:"device,omitempty"`
	ToMasked string         `json:"to_masked"`
	// Destination is the keyed hash of the address: equal for equal addresses, useless without the key.
	Destination string            `json:"destination"`
	Locale      string            `json:"locale,omitempty"`
	Brand       string            `json:"brand,omitempty"`
	Context     Context           `json:"context,omitzero"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	// SecretHash is HMAC-SHA256(key KeyID, id ‖ secret) of the code or the link token; empty for an approval.
	SecretHash []byte `json:"secret_hash,omitempty"`
	// NumberHash is the same of the number to match. In records of before it had a field, SecretHash is.
	NumberHash []byte `json:"number_hash,omitempty"`
	// NumberDigest is what a phone signs for that number: hexadecimal SHA-256 of its salt, a line feed and the
	// number. Only app installs and the api have the salt, so that nobody else can try the few numbers there are.
	NumberDigest string `json:"number_digest,omitempty"`
	// Number is that number, sealed for the role api: it is shown again to the client that asked.
	Number     *Sealed `json:"number,omitempty"`
	KeyID      string  `json:"key_id"`
	CodeLength int     `json:"code_length,omitempty"`
	// NumberLength is how many digits must come with an answer that approves; zero: none.
	NumberLength int `json:"number_length,omitempty"`
	MaxChecks    int `json:"max_checks"`
	// Trial is a question that means nothing: a person tries their phone.
	Trial bool `json:"trial,omitempty"`
	// Content is the DeliveryContent, sealed for the channel's worker.
	Content Sealed `json:"content"`
	// Fingerprint is a keyed hash of the request body under an idempotency key.
	Fingerprint []byte    `json:"fingerprint,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	RequestedAt time.Time `json:"requested_at"` // of this send
	ExpiresAt   time.Time `json:"expires_at"`
}

// FallbackStep is one more road to the same person, kept ready in the record: whoever finds that nobody
// answered needs no key to take it.
type FallbackStep struct {
	Channel Channel `json:"channel"`
	// After is how long the step before has before this one is taken, in seconds.
	After    int         `json:"after"`
	DeviceID string      `json:"device_id,omitempty"`
	Device   *PushDevice `json:"device,omitempty"`
	// UserID is whose device it is, where the activation names no user.
	UserID   string `json:"user_id,omitempty"`
	ToMasked string `json:"to_masked"`
	// Destination is the keyed hash of the address, as that of the activation.
	Destination string `json:"destination"`
	// Content is the DeliveryContent, sealed for this step's channel.
	Content Sealed `json:"content"`
}

// DeliveryContent is what a worker needs and nobody else may read.
type DeliveryContent struct {
	// To is the full address: E.164 number, mailbox, or push token.
	To string `json:"to"`
	// Code is set for the code challenge, Token for link and for an approval that a page answers.
	Code  string `json:"code,omitempty"`
	Token string `json:"token,omitempty"`
	// Text is the client's own wording of a text message, with {{otp_code}} and {{otp_expiry}} in it.
	Text string `json:"text,omitempty"`
	// Origin is the host name of the page that a code by text message is for, AppHash the hash of the app on
	// Android: its last line holds them.
	Origin  string `json:"origin,omitempty"`
	AppHash string `json:"app_hash,omitempty"`
	// RedirectTo is where the accept page leads after an approval.
	RedirectTo string `json:"redirect_to,omitempty"`
	// Choices are the numbers that the app offers for an approval with a number to match.
	Choices []string `json:"choices,omitempty"`
	// NumberSalt goes to an app install that is asked to approve: it signs its number under it.
	NumberSalt string `json:"number_salt,omitempty"`
}

// VerificationChanged is the outcome record: the half of a verification that
// changes, written by compare-and-set only. Absence reads as pending with no checks used.
type VerificationChanged struct {
	Version    int    `json:"version"`
	ID         string `json:"id"`
	Status     string `json:"status"`
	Reason     string `json:"reason,omitempty"`
	ChecksUsed int    `json:"checks_used,omitempty"`
	// Tried are the answers whose numbers were wrong: the first 8 bytes of SHA-256 of their event ids, in unpadded
	// base64url.
	Tried     []string   `json:"tried,omitempty"`
	ClosedAt  *time.Time `json:"closed_at,omitempty"`
	ChangedAt time.Time  `json:"changed_at"`
	// Proof is the signed answer that closed it, where a phone did.
	Proof *Proof `json:"proof,omitempty"`
}

// ResponseReceived is an authenticated answer of a person. The verifier decides what follows.
type ResponseReceived struct {
	Version  int      `json:"version"`
	EventID  string   `json:"event_id"`
	ID       string   `json:"id"` // of the verification
	Kind     string   `json:"kind"`
	Decision Decision `json:"decision"`
	// Number is the keyed hash of the number that came with an approval.
	Number []byte `json:"number,omitempty"`
	// Evidence says what the answer came with: the id of the device that signed, the provider's message or call id.
	Evidence   string    `json:"evidence,omitempty"`
	ReceivedAt time.Time `json:"received_at"`
	// Proof is what the device signed; an answer of a phone without a good one is refused.
	Proof *Proof `json:"proof,omitempty"`
}

// The kinds of responses, by the road they came back on.
const (
	ResponseLink  = "link"
	ResponsePush  = "push"
	ResponseSMS   = "sms"
	ResponseVoice = "voice"
)

// DeliverySettled reports one step of one delivery: what the worker or the provider says happened.
type DeliverySettled struct {
	Version int `json:"version"`
	// EventID is set where the same report can come twice, as callbacks do; the broker drops repetitions.
	EventID string  `json:"event_id,omitempty"`
	ID      string  `json:"id"` // of the verification
	Channel Channel `json:"channel"`
	Step    int     `json:"step,omitempty"` // of the fallback; 0: the road that the client named
	Send    int     `json:"send"`
	// Status is one of those below.
	Status   string `json:"status"`
	Provider string `json:"provider,omitempty"`
	// Missed is the channel of the message of which nothing was heard, where that is why another is asked for;
	// Provider and Route are that one's too.
	Missed Channel `json:"missed,omitempty"`
	// Route is the country calling code of a number, such as +49; it names what receipts are timed by.
	Route string `json:"route,omitempty"`
	// Receipts tells of a begun call that its provider reports what becomes of the message.
	Receipts bool `json:"receipts,omitempty"`
	// Until is when a begun call has ended at the latest, or when the next attempt of one that came to
	// nothing follows at the latest.
	Until *time.Time `json:"until,omitempty"`
	// ProviderID is the provider's own id of the message or call.
	ProviderID string `json:"provider_id,omitempty"`
	// Reason says why it failed, as a stable word; Detail is the provider's code, never free text from outside.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Took is how long after the call a receipt came, in seconds.
	Took float64 `json:"took,omitempty"`
	// Class is that of the error of an attempt that came to nothing: transient, retry_after, unknown, …
	Class   string    `json:"class,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	At      time.Time `json:"at"`
}

// The statuses of a delivery.
const (
	// DeliveryRequested: a message was asked for once more. That the first was is the activation itself.
	DeliveryRequested = "requested"
	// DeliveryWaiting: no provider may be called now, for the reason that it gives. It is of no attempt.
	DeliveryWaiting = "waiting"
	// DeliveryBegun is the send record: this provider is about to be called. It is written before the call,
	// so that whoever finds it without what came after knows that the message may be on its way.
	DeliveryBegun = "begun"
	// DeliveryRetrying: a call that came to nothing, and another attempt follows.
	DeliveryRetrying = "retrying"
	// DeliveryUnknown: a call whose answer never came. The provider may have taken the message.
	DeliveryUnknown = "unknown"
	// DeliverySent: the provider took the message.
	DeliverySent = "sent"
	// DeliveryUnanswered: a call that was busy or that nobody took. The verification stays open.
	DeliveryUnanswered = "unanswered"
	// DeliveryDelivered: the provider says that the device has it.
	DeliveryDelivered = "delivered"
	// DeliveryFailed: it can never arrive; the verifier closes the verification with the reason.
	DeliveryFailed = "failed"
	// DeliveryExpired: its verification ended before a provider took it; nobody was called.
	DeliveryExpired = "expired"
)

// The reasons a delivery fails for good. They become the verification's reason, so each
// names something a client can act on.
const (
	// ReasonUndeliverable: the number or mailbox does not exist or cannot receive this channel.
	ReasonUndeliverable = "undeliverable"
	// ReasonUnsubscribed: the person told the carrier or mailbox to refuse our messages.
	ReasonUnsubscribed = "unsubscribed"
	// ReasonRegionBlocked: the provider account may not send to this country.
	ReasonRegionBlocked = "region_blocked"
	// ReasonDeviceGone: the app was removed or its push token replaced; register the device again.
	ReasonDeviceGone = "device_gone"
	// ReasonMessageRefused: the provider refuses this content or size.
	ReasonMessageRefused = "message_refused"
	// ReasonNotConfigured: this deployment cannot carry the challenge (no public URL, no provider for the platform).
	ReasonNotConfigured = "not_configured"
)

// The reasons that close nothing: they stand in the timeline only.
const (
	// ReasonProviderUnavailable: every provider of the route failed, as often as is tried. The verification stays open.
	ReasonProviderUnavailable = "provider_unavailable"
	// ReasonNoReceipt: the message is asked for again, because nothing was heard of the one before.
	ReasonNoReceipt = "no_receipt"
	// ReasonUnanswered: the fallback was taken because nobody had answered.
	ReasonUnanswered = "unanswered"
	// ReasonLimited: the fallback's address or user has had as many messages, or prompts, as the limit allows.
	ReasonLimited = "limited"
	// ReasonClosed: the verification had ended before a provider was called.
	ReasonClosed = "closed"
)

// TimerDue is what a schedule becomes when its time has come.
type TimerDue struct {
	Version int    `json:"version"`
	Kind    string `json:"kind"`
	ID      string `json:"id"` // of the verification
	// Step is the fallback's step to take, or the step whose receipt is missed.
	Step int `json:"step"`
	// Send and Provider name the message whose receipt is missed; Other tells that another provider could
	// carry it.
	Send     int    `json:"send,omitempty"`
	Provider string `json:"provider,omitempty"`
	Other    bool   `json:"other,omitempty"`
}

// The kinds of timers.
const (
	TimerFallback = "fallback"
	TimerReceipt  = "receipt"
)

// WindowEntry is one send in the rolling window of a destination or a user.
type WindowEntry struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
}

// DeadLetter keeps what could not be decoded or delivered, with the reason, for a person to look at and
// to replay.
type DeadLetter struct {
	Version  int    `json:"version"`
	Subject  string `json:"subject"`
	Consumer string `json:"consumer"`
	// Kind is undecodable or undelivered.
	Kind string `json:"kind,omitempty"`
	// Reason is one of events.Reason… for what was not delivered, else a sentence that quotes nothing.
	Reason string `json:"reason"`
	// VerificationID, Credential and Channel are set where they are known.
	VerificationID string  `json:"verification_id,omitempty"`
	Credential     string  `json:"credential,omitempty"`
	Channel        Channel `json:"channel,omitempty"`
	// Data is the payload in clear; only letters of programs before sealing have it.
	Data []byte `json:"data,omitempty"`
	// Sealed is the payload, which only the holder of the root key opens. Empty where the process had no
	// key to seal with: then the payload is where Subject and Sequence say, while its stream keeps it.
	Sealed *Sealed `json:"sealed,omitempty"`
	// Size is how many bytes the payload has.
	Size     int       `json:"size,omitempty"`
	Sequence uint64    `json:"sequence"`
	At       time.Time `json:"at"`
}

// ActionAudited is an entry of the audit log: somebody did something. It names ids and settings, never a code, a
// key or an address.
type ActionAudited struct {
	Version int    `json:"version"`
	Account string `json:"account"`
	// EventID is set where the same entry can come twice; the broker drops repetitions.
	EventID string `json:"event_id,omitempty"`
	// Actor is a client id, or person for the one who was asked.
	Actor  string `json:"actor"`
	Action string `json:"action"`
	// Subject is the id of what it was done to, UserID the user whom it is about.
	Subject string            `json:"subject,omitempty"`
	UserID  string            `json:"user_id,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Details map[string]string `json:"details,omitempty"`
	At      time.Time         `json:"at"`
}

// PromptsAsked are the push approvals that one user was asked and has not answered, oldest first.
type PromptsAsked struct {
	Version int           `json:"version"`
	Prompts []PromptAsked `json:"prompts"`
	// Until is when none of them counts any more.
	Until time.Time `json:"until"`
}

// PromptAsked is one of them.
type PromptAsked struct {
	ID        string    `json:"id"` // of the verification
	At        time.Time `json:"at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// The kinds of dead letters.
const (
	LetterUndecodable = "undecodable"
	LetterUndelivered = "undelivered"
)

// Encode writes a payload as JSON. It fails for values that JSON cannot hold, which none of this package's types are.
func Encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return b, nil
}

// versioned is a payload of this package.
type versioned interface {
	VerificationActivated | VerificationChanged | ResponseReceived | DeliverySettled | WindowEntry | DeadLetter | TimerDue |
		NotificationQueued | NotificationProgressed | MessageReceipt | Suppression |
		ActionAudited | PromptsAsked | ApprovalProved | DeviceUsed | GovernorAsk | GovernorAnswer | GovernorStates | ProviderPause
	version() int
}

func (e VerificationActivated) version() int { return e.Version }
func (e VerificationChanged) version() int   { return e.Version }
func (e ResponseReceived) version() int      { return e.Version }
func (e DeliverySettled) version() int       { return e.Version }
func (e WindowEntry) version() int           { return e.Version }
func (e DeadLetter) version() int            { return e.Version }
func (e TimerDue) version() int              { return e.Version }
func (e ActionAudited) version() int         { return e.Version }
func (e PromptsAsked) version() int          { return e.Version }

// Decode reads a payload and checks its version. Unknown fields are ignored, so that old
// readers run beside new writers. Errors wrap ErrUndecodable and never quote the payload.
func Decode[T versioned](data []byte) (T, error) {
	var v, zero T
	if err := json.Unmarshal(data, &v); err != nil {
		return zero, explain(data, err)
	}
	if got := v.version(); got != Version {
		return zero, fmt.Errorf("%w: version %d, this program reads %d", ErrUndecodable, got, Version)
	}
	return v, nil
}

// explain says why a payload was not decoded. One of another version may have fields of other
// types, so the version is looked at first.
func explain(data []byte, err error) error {
	var head struct {
		Version int `json:"version"`
	}
	var field *json.UnmarshalTypeError
	switch {
	case json.Unmarshal(data, &head) != nil:
		return fmt.Errorf("%w: not JSON of this contract", ErrUndecodable)
	case head.Version != Version:
		return fmt.Errorf("%w: version %d, this program reads %d", ErrUndecodable, head.Version, Version)
	case errors.As(err, &field):
		return fmt.Errorf("%w: field %s has the wrong type", ErrUndecodable, field.Field)
	default:
		return fmt.Errorf("%w: malformed field", ErrUndecodable)
	}
}
