package delivery

import (
	"slices"
	"time"

	"github.com/assent-io/assent/events"
)

// history is what is known of one message: of the calls that were made for it, and what became of them.
type history struct {
	// attempts is how many calls were begun.
	attempts int
	// tried is how many of them count against the budget: throttled ones do not.
	tried int
	// settled is how the message ended; nil while it has not.
	settled *events.DeliverySettled
	// last is the record of the last call, and open tells that nothing is known of how it ended.
	last  events.DeliverySettled
	open  bool
	noted bool // that its end is unknown was reported
	// failed lists the providers whose calls came to nothing, or may have.
	failed []string
	// waiting is why no provider was called when that was told last.
	waiting string
}

// historyOf reads the reports of the message that an activation asks for.
func historyOf(a events.VerificationActivated, reports []events.DeliverySettled) history {
	var h history
	for i, r := range reports {
		if r.Status == events.DeliveryBegun && r.Step == a.Step && r.Send == a.Send {
			h.attempts = max(h.attempts, r.Attempt) // its place is taken, whosoever it is
		}
		if r.Step != a.Step || r.Send != a.Send || r.Channel != a.Channel || events.EarlierLife(a.CreatedAt, r.At) {
			continue
		}
		switch r.Status {
		case events.DeliveryWaiting:
			h.waiting = r.Reason
		case events.DeliveryBegun:
			h.last, h.open, h.noted = r, true, false
		case events.DeliveryRetrying:
			h.ended(r)
			if r.Class != string(ClassRetryAfter) {
				h.tried++
			}
		case events.DeliveryUnknown:
			h.tried++
			h.blame(r.Provider)
			h.noted = h.noted || r.Attempt == h.last.Attempt
		case events.DeliverySent, events.DeliveryDelivered, events.DeliveryUnanswered, events.DeliveryFailed, events.DeliveryExpired:
			h.settled = &reports[i]
		}
	}
	return h
}

func (h *history) ended(r events.DeliverySettled) {
	if r.Attempt == h.last.Attempt {
		h.open = false
	}
	h.blame(r.Provider)
}

func (h *history) blame(provider string) {
	if !slices.Contains(h.failed, provider) {
		h.failed = append(h.failed, provider)
	}
}

// sentBy is the provider that took the message; empty where none is known to have.
func (h history) sentBy() string {
	if h.settled == nil || h.settled.Status == events.DeliveryFailed || h.settled.Status == events.DeliveryExpired {
		return ""
	}
	return h.settled.Provider
}

// callEnds is when the last call has ended at the latest, by the clock of the process that made it.
func (h history) callEnds() time.Time {
	if h.last.Until == nil {
		return h.last.At
	}
	return *h.last.Until
}
