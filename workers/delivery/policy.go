package delivery

import (
	"math/rand/v2"
	"time"

	"github.com/assent-io/assent/events"
)

// Fate says what follows a call of which nobody knows whether the provider took the message.
type Fate string

// The policies for messages of unknown fate.
const (
	// Resend sends the same message again. The person may get it twice.
	Resend Fate = "resend"
	// Hold waits for the provider's receipt. Where none comes in Policy.Hold, although this provider gives
	// receipts, it never had the message, which is sent again; where the provider gives none, it is not.
	Hold Fate = "hold"
)

// Policy is what an operator decides about deliveries.
type Policy struct {
	// SendTimeout bounds one call to a provider.
	SendTimeout time.Duration
	Unknown     Fate
	// Hold is how long a receipt is waited for under the policy hold.
	Hold time.Duration
	// MaxAttempts is how many calls of one message may come to nothing; throttled ones do not count.
	MaxAttempts int
}

// The defaults of Policy.
const (
	// DefaultSendTimeout is above what providers need and below what a person waits. What a process was
	// sending when it was killed waits as long, so that no two processes call for one message at once.
	DefaultSendTimeout = 8 * time.Second
	// DefaultHold is above what nearly all first receipts take.
	DefaultHold        = 30 * time.Second
	DefaultMaxAttempts = 12
)

// The wait before the next attempt doubles from the first to the last value, and varies by half
// so that a fleet does not come back at once.
const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 15 * time.Second
	// minLife is what must be left of a verification for another attempt to make sense.
	minLife = time.Second
)

// Backoff is how long until the next attempt after so many that came to nothing.
func Backoff(tried int) time.Duration {
	middle := lastBackoff
	if tried = max(tried, 1); tried < 6 {
		middle = min(lastBackoff, firstBackoff<<(tried-1))
	}
	return middle/2 + rand.N(middle) //nolint:gosec // spreads retries, guards nothing
}

// untilNext is how long until the providers are asked again: what the first of them to be free asks for,
// where that is longer than the backoff.
func untilNext(tried int, soonest time.Duration) time.Duration {
	wait := Backoff(tried)
	if soonest > wait {
		return soonest + rand.N(firstBackoff) //nolint:gosec // all who wait for one provider must not come back at once
	}
	return wait
}

// Within keeps a wait inside what is left of a life: towards the end attempts come closer, and the last look
// then finds it ended.
func Within(left, wait time.Duration) time.Duration {
	if left <= minLife {
		return max(left, 0) + time.Millisecond
	}
	return min(max(wait, time.Millisecond), left-minLife/2)
}

// within keeps a wait inside the life of a verification.
func (h *Handler) within(a events.VerificationActivated, wait time.Duration) time.Duration {
	return Within(a.ExpiresAt.Sub(h.Now()), wait)
}
