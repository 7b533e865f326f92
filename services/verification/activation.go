package verification

import (
	"errors"
	"fmt"
	"time"
)

// Activation is a new verification together with what only its delivery may know. It exists
// between the request and the one publish that makes the record; the record holds it sealed.
type Activation struct {
	Verification Verification
	Secrets      Secrets
	// Client is the credential of the account that asks; empty where it is not known.
	Client string
	// To is the full address: E.164 number, mailbox, or push token.
	To string
	// Platform and PublicKey describe the app install of a push verification.
	Platform  string
	PublicKey []byte
	// Roads are the addresses of the fallback's steps, in their order.
	Roads []Road
	// Backups tells that nobody named the fallback's steps: those whose address gets no messages are left out, where
	// a step that the client named is refused.
	Backups bool
	// Text is the client's own wording of a text message, with {{otp_code}} where the code goes and
	// {{otp_expiry}} where the minutes that it lives go; empty: ours.
	Text string
	// Autofill tells phones and browsers where the code of a text message belongs.
	Autofill Autofill
	// Choices are the numbers that a phone offers where the person must pick the one on the other screen;
	// empty: the person types it.
	Choices []string
	// RedirectTo is where the accept page leads after an approval; empty: nowhere.
	RedirectTo string
	// IdempotencyKey is the client's key for this request, empty without one; Body is the request
	// as received, of which a keyed hash is kept under the key.
	IdempotencyKey string
	Body           []byte
}

// Road is where one step of a fallback leads.
type Road struct {
	// To is the full address: E.164 number, mailbox, or push token.
	To string
	// Platform and PublicKey describe the app install of a push step.
	Platform  string
	PublicKey []byte
}

// What a store of verifications refuses with, besides ErrClosed and ErrChallenge.
var (
	// ErrNotFound: there is no such verification, user or device, or no longer.
	ErrNotFound = errors.New("not found")
	// ErrIdempotencyMismatch: the idempotency key was used before for another request.
	ErrIdempotencyMismatch = errors.New("idempotency key was used for another request")
	// ErrIdempotencyInProgress: the first request under this key has not been answered yet.
	ErrIdempotencyInProgress = errors.New("request with this idempotency key is in progress")
	// ErrUnavailable: the broker did not answer in time; whether something was stored is not known.
	ErrUnavailable = errors.New("event broker is not available")
)

// PolicyPrompts is the limit of pushes to a user that nobody answered.
const PolicyPrompts = "prompts"

// LimitError says that a limit is used up, and when to come back.
type LimitError struct {
	// Policy is destination or user for sends, and PolicyPrompts for pushes that nobody answered; for guesses it is
	// what was guessed.
	Policy string
	// Quota sends, unanswered pushes, or wrong guesses, are allowed in each rolling Window.
	Quota  int
	Window time.Duration
	// RetryAfter is how long until the oldest of them leaves the window; at least a second.
	RetryAfter time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("limit of %d per %s in %s is used up", e.Quota, e.Policy, e.Window)
}
