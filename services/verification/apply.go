package verification

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"time"
)

// What Apply refuses with.
var (
	// ErrClosed: the verification has ended (expired counts), so the fact changes nothing.
	ErrClosed = errors.New("verification is closed")
	// ErrChallenge: the fact answers another challenge than this verification asked.
	ErrChallenge = errors.New("verification asked for another kind of answer")
	// ErrUnproved: the answer needs a proof, and has none that holds. Only who reads facts refuses with it, not Apply.
	ErrUnproved = errors.New("answer has no valid proof")
	// ErrUnarchived: the proof of an answer can be archived no more. Apply does not refuse with it either.
	ErrUnarchived = errors.New("proof cannot be archived")
)

// Fact is something that happened and may change a verification: one of the types below.
type Fact interface{ fact() }

// Checked says that somebody sent a code; Hash is the keyed hash of what they sent.
type Checked struct{ Hash []byte }

// Answered says that the person decided on a link or an approval. The caller has authenticated
// the answer: only the link's holder, the device's key or the provider's signature leads here.
type Answered struct {
	Decision Decision
	// EventID is that of the answer: a wrong number of the same answer counts once, however often it comes. Without one
	// each counts.
	EventID string
	// Number is the keyed hash of the number that came with an approval; empty without one.
	Number []byte
	// Proof is what a phone signed; nil for answers on other roads.
	Proof *Proof
}

// Proof is a signed answer, kept with what it closed.
type Proof struct {
	DeviceID string
	Decision Decision
	// NumberDigest stands for the number that came; empty where none did.
	NumberDigest string
	// AnsweredAt is the phone's own time, exactly as it was signed.
	AnsweredAt string
	Signature  []byte
}

// Compared says that somebody sent a code which was compared elsewhere: with the secret of an
// authenticator app, which no hash of one value can stand for.
type Compared struct{ Right bool }

// Undelivered says that the message of this send can never arrive.
type Undelivered struct {
	Send   int
	Reason Reason
}

// Cancel says that the client withdrew its question.
type Cancel struct{}

// Replaced says that the same person was asked anew, and that only the newest question counts.
type Replaced struct{}

func (Checked) fact()     {}
func (Compared) fact()    {}
func (Answered) fact()    {}
func (Undelivered) fact() {}
func (Cancel) fact()      {}
func (Replaced) fact()    {}

// Decision is what a person answered.
type Decision string

// The decisions.
const (
	Approve       Decision = "approve"
	Deny          Decision = "deny"
	DecisionNotMe Decision = "not_me"
)

// Apply is the only decision there is: what a verification becomes when a fact arrives at now.
// It returns the verification as it reads at now, changed or not, and ErrClosed or ErrChallenge
// where the fact cannot apply. It holds for every input that a closed one keeps its status and
// reason, that ChecksUsed never exceeds MaxChecks, and that nothing is approved at or after ExpiresAt.
func Apply(v Verification, f Fact, now time.Time) (Verification, error) {
	v = v.At(now)
	if v.Status.Closed() {
		return v, ErrClosed
	}
	switch f := f.(type) {
	case Checked:
		return v.check(matches(v.SecretHash, f.Hash), now)
	case Compared:
		return v.check(f.Right, now)
	case Answered:
		return v.proved(f, now)
	case Undelivered:
		if f.Send < v.Sends {
			return v, nil // a newer message is on its way
		}
		return v.close(Failed, f.Reason, now), nil
	case Cancel:
		return v.close(Canceled, "", now), nil
	case Replaced:
		return v.close(Canceled, Overtaken, now), nil
	default:
		return v, ErrChallenge
	}
}

// matches tells whether a hash is that of a secret. An empty hash equals nothing: a record without
// one must not be approved by an answer without one.
func matches(secret, hash []byte) bool {
	return len(secret) > 0 && subtle.ConstantTimeCompare(secret, hash) == 1
}

func (v Verification) check(right bool, now time.Time) (Verification, error) {
	if v.Challenge != CodeChallenge || v.ChecksUsed >= v.MaxChecks {
		return v, ErrChallenge
	}
	v.ChecksUsed++
	if right {
		return v.close(Approved, "", now), nil
	}
	if v.ChecksUsed >= v.MaxChecks {
		return v.close(Failed, TooManyChecks, now), nil
	}
	v.ChangedAt = stamp(now)
	return v, nil
}

// proved is answer, with the proof of what closed it.
func (v Verification) proved(f Answered, now time.Time) (Verification, error) {
	v, err := v.answer(f, now)
	if err == nil && v.Status.Closed() {
		v.Proof = f.Proof
	}
	return v, err
}

func (v Verification) answer(f Answered, now time.Time) (Verification, error) {
	if v.Challenge != LinkChallenge && v.Challenge != ApprovalChallenge {
		return v, ErrChallenge
	}
	switch f.Decision {
	case Approve:
		if v.NumberLength > 0 {
			return v.match(f, now), nil
		}
		return v.close(Approved, "", now), nil
	case Deny:
		return v.close(Denied, "", now), nil
	case DecisionNotMe:
		return v.close(Denied, NotMe, now), nil
	default:
		return v, ErrChallenge
	}
}

// match approves with the right number only. Without one nothing changes, nor with an answer that was wrong before; the
// last wrong one denies.
func (v Verification) match(f Answered, now time.Time) Verification {
	try := tryOf(f.EventID)
	if len(f.Number) == 0 || try != "" && slices.Contains(v.Tried, try) {
		return v
	}
	v.ChecksUsed++
	if matches(v.NumberHash, f.Number) {
		return v.close(Approved, "", now)
	}
	if v.ChecksUsed >= v.MaxChecks {
		return v.close(Denied, WrongNumber, now)
	}
	if try != "" {
		v.Tried = append(slices.Clip(v.Tried), try)
	}
	v.ChangedAt = stamp(now)
	return v
}

// tryBytes is the length of the hash of an event's id: a few of one verification have to differ.
const tryBytes = 8

// tryOf is the short hash of an event's id; empty without one.
func tryOf(eventID string) string {
	if eventID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(eventID))
	return base64.RawURLEncoding.EncodeToString(sum[:tryBytes])
}

func (v Verification) close(s Status, r Reason, now time.Time) Verification {
	v.Status, v.Reason, v.ClosedAt, v.ChangedAt = s, r, stamp(now), stamp(now)
	return v
}

func stamp(now time.Time) time.Time { return now.UTC().Truncate(time.Millisecond) }
