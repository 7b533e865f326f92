// Package verification is the domain: one question "is it you?", with a status and
// an end. It is pure: no I/O, no clock, no JSON. New makes a verification, Apply is
// the only function that changes one; package store keeps what they return, and
// everything that decides (the api for code checks, the verifier for events) calls
// Apply through it.
package verification

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Channel is the road to the person.
type Channel string

// The channels.
const (
	SMS   Channel = "sms"
	Voice Channel = "voice"
	Email Channel = "email"
	Push  Channel = "push"
	// TOTP carries no message: the person reads the code from an authenticator app (RFC 6238), and it
	// is compared with the device's secret.
	TOTP Channel = "totp"
)

// Challenge is what the person must answer with.
type Challenge string

// The challenges.
const (
	CodeChallenge     Challenge = "code"
	LinkChallenge     Challenge = "link"
	ApprovalChallenge Challenge = "approval"
)

// challenges lists what each channel can carry, its default first. A link cannot be spoken, a
// mailbox has no way to answer but a link, and a push shows its question, or a code, in the app.
var challenges = map[Channel][]Challenge{
	SMS:   {CodeChallenge, LinkChallenge, ApprovalChallenge},
	Voice: {CodeChallenge, ApprovalChallenge},
	Email: {CodeChallenge, LinkChallenge},
	Push:  {ApprovalChallenge, CodeChallenge},
	TOTP:  {CodeChallenge},
}

// The limits of a verification, and what applies where a request is silent. NIST SP 800-63B-4
// section 3.1.3 allows a code at most 10 minutes and asks for six digits or more; four and five
// are allowed here because existing platforms send them, guarded by the few checks.
const (
	DefaultLife       = 5 * time.Minute
	MinLife           = 30 * time.Second
	MaxLife           = 10 * time.Minute
	DefaultCodeLength = 6
	MinCodeLength     = 4
	MaxCodeLength     = 10
	// MaxChecks is how many codes may be compared before the verification closes as failed.
	MaxChecks = 5
	// LongestLife is what a door may ask for whose contract allows more than MaxLife: OneLogin's
	// allows 900 seconds.
	LongestLife = 15 * time.Minute
	// MaxNumberLength bounds the number that a person matches: digits.
	MaxNumberLength = 8
	// MatchedDigits is how many digits a number to match has where nothing else is asked for: few enough to carry
	// over in the head, and with MaxNumbers tries a guess is right once in fifty.
	MatchedDigits = 2
)

// Context tells the person who asks what from where. It is shown on every road, and signed over by phones.
type Context struct {
	IP, Action, Place, Device string
	// Fields bind what is agreed to, such as amount and payee, in the client's order. What is shown is what is
	// signed: dynamic linking (Delegated Regulation (EU) 2018/389, article 5).
	Fields []Field
}

// Field is one thing that the person agrees to. It has no name of its own so that a Context converts to that of
// events, whose fields are the same but for their tags.
type Field = struct{ Label, Value string }

// Autofill tells phones and browsers where the code of a text message belongs. Either may be empty.
type Autofill struct {
	// Origin is the host name of the page that asks for the code.
	Origin string
	// AppHash are the 11 characters by which Android knows the app that asks for it.
	AppHash string
}

// Verification is one question with its answer so far. The first half never changes after New;
// the second changes through Apply only.
type Verification struct {
	ID         string
	Credential string // the client that owns it
	Channel    Channel
	Challenge  Challenge
	UserID     string
	DeviceID   string
	ToMasked   string
	Locale     string
	Brand      string
	Context    Context
	Metadata   map[string]string
	CodeLength int
	MaxChecks  int
	// NumberLength is how many digits the person must bring from the one screen to the other with an
	// approval; zero: a plain yes will do.
	NumberLength int
	NumberHash   []byte // keyed hash of that number
	SecretHash   []byte // keyed hash of the code or the link token
	// Trial is a question that means nothing: a person tries their phone.
	Trial     bool
	CreatedAt time.Time
	ExpiresAt time.Time
	Sends     int // messages asked for so far
	// Fallback are the roads that are taken one after the other while nobody answers.
	Fallback []Step

	Status     Status
	Reason     Reason
	ChecksUsed int
	// Tried tells the answers whose numbers were wrong, by a short hash of their event's id, so that none counts twice.
	// There are fewer than MaxChecks.
	Tried     []string
	ClosedAt  time.Time // zero while pending
	ChangedAt time.Time
	// Proof is the signed answer that closed it; nil where none did.
	Proof *Proof
	// Revision rises with every change; 0 before the first. The store sets it.
	Revision uint64
}

// Prompts tells whether it is a question that comes up on a user's phone by itself and takes a yes: what somebody can
// be worn down with.
func (v Verification) Prompts() bool {
	return v.Channel == Push && v.Challenge == ApprovalChallenge && v.UserID != "" && !v.Trial
}

// ChecksLeft is how many more codes may be compared: zero once closed, and for challenges without a code.
func (v Verification) ChecksLeft() int {
	if v.Challenge != CodeChallenge || v.Status.Closed() {
		return 0
	}
	return max(0, v.MaxChecks-v.ChecksUsed)
}

// Params is what a new verification is made of. Addresses are normalised before; they are not
// part of the verification, only their masked form is.
type Params struct {
	ID         string
	Credential string
	Channel    Channel
	Challenge  Challenge // empty: the channel's default
	UserID     string
	DeviceID   string
	ToMasked   string
	Locale     string
	Brand      string
	Context    Context
	Metadata   map[string]string
	Life       time.Duration // zero: DefaultLife
	CodeLength int           // zero: DefaultCodeLength
	// Shortest and Longest are the bounds of Life; zero: MinLife and MaxLife. Nothing lives longer than LongestLife.
	Shortest, Longest time.Duration
	// Alphanumeric makes the code's first character a letter, as in B41832.
	Alphanumeric bool
	// NumberLength asks for a number to be matched with a link or an approval; zero: none.
	NumberLength int
	// MaxChecks is how many codes, or numbers of an approval, may be compared; zero: MaxChecks for
	// codes, MaxNumbers for numbers.
	MaxChecks int
	// Fallback are the roads to take one after the other while nobody answers.
	Fallback []Step
	// Trial is for a question that means nothing: a person tries their phone.
	Trial bool
	// Autofill goes with codes by text message only. It is not part of the verification: its activation holds it.
	Autofill Autofill
}

// MatchedDigits is how many digits the person matches where the client asks for nothing else: MatchedDigits with a
// link or an approval, none with a code, which is a secret between the two screens itself.
func (p Params) MatchedDigits() int {
	if challenge := cmp.Or(p.Challenge, p.Channel.DefaultChallenge()); challenge == LinkChallenge || challenge == ApprovalChallenge {
		return MatchedDigits
	}
	return 0
}

// MaxNumbers is how many numbers may be tried with an approval before it counts as denied.
const MaxNumbers = 2

// Fault is one thing wrong with one field of a request; Field is the request's name for it.
type Fault struct{ Field, Detail string }

// InvalidError lists everything that is wrong with Params at once.
type InvalidError struct{ Faults []Fault }

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Field + " " + f.Detail
	}
	return "invalid verification: " + strings.Join(parts, "; ")
}

// Secrets is what the person must bring back. It goes into the message and nowhere else; the
// verification keeps its keyed hash.
type Secrets struct {
	Code  Code  // for the code challenge
	Token Token // for the link challenge
	// Number is for a link or an approval with a number to match. It is shown where the person began; a message
	// may hold it among others to choose from, and never alone.
	Number Code
}

// New makes a pending verification and the secret of its challenge, drawn from random (a CSPRNG).
// The caller sets SecretHash. It fails with InvalidError, or when random does.
func New(p Params, now time.Time, random io.Reader) (Verification, Secrets, error) {
	if faults := p.complete(); len(faults) > 0 {
		return Verification{}, Secrets{}, &InvalidError{faults}
	}
	now = now.UTC().Truncate(time.Millisecond) // what JSON and people see is what is compared
	v := Verification{
		ID: p.ID, Credential: p.Credential, Channel: p.Channel, Challenge: p.Challenge,
		UserID: p.UserID, DeviceID: p.DeviceID, ToMasked: p.ToMasked, Locale: p.Locale, Brand: p.Brand,
		Context: p.Context, Metadata: p.Metadata, Fallback: p.Fallback,
		Trial: p.Trial, CreatedAt: now, ExpiresAt: now.Add(p.Life), Sends: 1,
		Status: Pending, ChangedAt: now,
	}
	var s Secrets
	var err error
	switch p.Challenge {
	case CodeChallenge:
		v.CodeLength, v.MaxChecks = p.CodeLength, cmp.Or(p.MaxChecks, MaxChecks)
		switch {
		case p.Channel == TOTP: // the code is in the person's app already
		case p.Alphanumeric:
			s.Code, err = NewAlphanumericCode(random, p.CodeLength)
		default:
			s.Code, err = NewCode(random, p.CodeLength)
		}
	case LinkChallenge:
		s.Token, err = NewToken(random, p.ID)
	case ApprovalChallenge:
	}
	if err == nil && p.NumberLength > 0 {
		v.NumberLength, v.MaxChecks = p.NumberLength, cmp.Or(p.MaxChecks, MaxNumbers)
		s.Number, err = NewCode(random, p.NumberLength)
	}
	if err != nil {
		return Verification{}, Secrets{}, fmt.Errorf("draw secret: %w", err)
	}
	return v, s, nil
}

// complete fills in defaults and reports what is wrong.
func (p *Params) complete() []Fault {
	var faults []Fault
	fault := func(field, format string, a ...any) {
		faults = append(faults, Fault{field, fmt.Sprintf(format, a...)})
	}
	offered, known := challenges[p.Channel]
	switch {
	case !known:
		fault("channel", "must be sms, voice, email or push")
	case p.Challenge == "":
		p.Challenge = offered[0]
	case !contains(offered, p.Challenge):
		fault("challenge", "must be %s for the channel %s", join(offered), p.Channel)
	}
	if p.Life == 0 {
		p.Life = DefaultLife
	}
	shortest, longest := cmp.Or(p.Shortest, MinLife), min(cmp.Or(p.Longest, MaxLife), LongestLife)
	if p.Life < shortest || p.Life > longest {
		fault("expires_in", "must be from %d to %d seconds", int(shortest.Seconds()), int(longest.Seconds()))
	}
	if p.NumberLength < 0 || p.NumberLength > MaxNumberLength || p.NumberLength > 0 && p.Challenge == CodeChallenge {
		fault("number_length", "goes with the challenges link and approval only, and is at most %d", MaxNumberLength)
	}
	switch {
	case p.CodeLength != 0 && p.Challenge != CodeChallenge && known:
		fault("code_length", "goes with the challenge code only")
	case p.CodeLength == 0:
		p.CodeLength = DefaultCodeLength
	case p.CodeLength < MinCodeLength || p.CodeLength > MaxCodeLength:
		fault("code_length", "must be from %d to %d", MinCodeLength, MaxCodeLength)
	}
	if known {
		p.checkAutofill(fault)
	}
	p.checkFallback(fault)
	return faults
}

// checkAutofill finds what names a page or an app where no text message has a code for them.
func (p *Params) checkAutofill(fault func(field, format string, a ...any)) {
	if p.Challenge == CodeChallenge && p.texts() {
		return
	}
	if p.Autofill.Origin != "" {
		fault("origin", "goes with a code by sms only")
	}
	if p.Autofill.AppHash != "" {
		fault("app_hash", "goes with a code by sms only")
	}
}

// texts tells whether one of the roads is a text message.
func (p *Params) texts() bool {
	return p.Channel == SMS || slices.ContainsFunc(p.Fallback, func(s Step) bool { return s.Channel == SMS })
}

// checkFallback finds what is wrong with the steps. They carry what the first road carries, and have
// their time within the verification's life.
func (p *Params) checkFallback(fault func(field, format string, a ...any)) {
	if len(p.Fallback) > MaxSteps {
		fault("fallback", "must have at most %d steps", MaxSteps)
	}
	if len(p.Fallback) > 0 && p.Channel == TOTP {
		fault("fallback", "does not go with the channel totp: the code of an authenticator app comes in no message")
	}
	begins := time.Duration(0)
	for i, s := range p.Fallback {
		field := func(name string) string { return fmt.Sprintf("fallback/%d/%s", i, name) }
		offered, known := challenges[s.Channel]
		switch {
		case !known || s.Channel == TOTP:
			fault(field("channel"), "must be sms, voice, email or push")
		case p.Challenge != "" && !contains(offered, p.Challenge):
			fault(field("channel"), "must carry the challenge %s; %s carries %s", p.Challenge, s.Channel, join(offered))
		}
		begins += s.After
		switch {
		case s.After < time.Second:
			fault(field("after"), "must be at least 1 second")
		case begins >= p.Life:
			fault(field("after"), "must come before the end: the steps take %d seconds, and the verification lives %d",
				int(begins.Seconds()), int(p.Life.Seconds()))
		}
	}
}

func contains(list []Challenge, c Challenge) bool {
	for _, x := range list {
		if x == c {
			return true
		}
	}
	return false
}

func join(list []Challenge) string {
	s := make([]string, len(list))
	for i, c := range list {
		s[i] = string(c)
	}
	return strings.Join(s, " or ")
}
