package sandbox

import (
	"strings"
	"sync"

	"github.com/assent-io/assent/events"
)

// outcome is what happens to a message to a reserved address, without any set-up.
type outcome string

const (
	outcomeDelivered   outcome = ""
	outcomeInvalid     outcome = "invalid"      // refused at once: no such address
	outcomeOptedOut    outcome = "opted_out"    // refused at once: the person sent STOP
	outcomeBlocked     outcome = "blocked"      // refused at once: country not enabled
	outcomeLandline    outcome = "landline"     // refused at once for texts: not a mobile
	outcomeUndelivered outcome = "undelivered"  // taken, then reported as undelivered
	outcomeSilent      outcome = "silent"       // taken, never reported as delivered
	outcomeOnce        outcome = "once"         // throttled once, then taken
	outcomeThrottled   outcome = "throttled"    // throttled always
	outcomeUnavailable outcome = "unavailable"  // 503 always
	outcomeDropped     outcome = "dropped"      // mail: taken, then dropped
	outcomeDeferred    outcome = "deferred"     // mail: taken, deferred, delivered
	outcomeSpam        outcome = "spam"         // mail: delivered, then reported as spam
	outcomeGone        outcome = "unregistered" // push: the app is gone
)

// reservation is one line of the page's drawer.
type reservation struct {
	Address string
	Means   string
	outcome outcome
}

// reservedPhones lie in the block of numbers that is set aside for fiction.
func reservedPhones() []reservation {
	return []reservation{
		{"+14155550190", "Refused: not a valid number (21211).", outcomeInvalid},
		{"+14155550191", "Texts refused: the person replied STOP (21610). Calls go through.", outcomeOptedOut},
		{"+14155550192", "Refused: this country is not enabled (21408, calls 21215).", outcomeBlocked},
		{"+14155550193", "Texts refused: a landline (21614). Calls go through.", outcomeLandline},
		{"+14155550194", "Taken, then undelivered by callback (30003). Calls are not answered.", outcomeUndelivered},
		{"+14155550195", "Taken and sent, never reported as delivered. Calls are busy.", outcomeSilent},
		{"+14155550196", "Throttled once (429, Retry-After 1), then taken.", outcomeOnce},
		{"+14155550197", "Throttled always (429, no Retry-After).", outcomeThrottled},
		{"+14155550198", "Unavailable always (503).", outcomeUnavailable},
	}
}

// reservedMailboxes go by the part before the @, at any domain.
func reservedMailboxes() []reservation {
	return []reservation{
		{"bounce@", "Taken, then a bounce event (5.1.1).", outcomeUndelivered},
		{"dropped@", "Taken, then a dropped event: the address bounced before.", outcomeDropped},
		{"unsubscribed@", "Taken, then a dropped event: the person unsubscribed.", outcomeOptedOut},
		{"deferred@", "Taken, deferred once, then delivered.", outcomeDeferred},
		{"spam@", "Delivered, then reported as spam.", outcomeSpam},
		{"silent@", "Taken, never reported as delivered.", outcomeSilent},
		{"refused@", "Refused at once (400).", outcomeInvalid},
		{"once@", "Throttled once (429), then taken.", outcomeOnce},
		{"throttled@", "Throttled always (429).", outcomeThrottled},
		{"unavailable@", "Unavailable always (503).", outcomeUnavailable},
	}
}

func reservedTokens() []reservation {
	return []reservation{
		{"dead… (hex, APNs)", "The app was removed (410 Unregistered).", outcomeGone},
		{"unregistered… (FCM)", "The app was removed (404 UNREGISTERED).", outcomeGone},
		{"…/sandbox/webpush/dead… (Web Push)", "The subscription has ended (410).", outcomeGone},
	}
}

func outcomeOf(channel events.Channel, to string) outcome {
	switch channel {
	case events.SMS, events.Voice:
		if !strings.HasPrefix(to, "+1415555019") {
			return outcomeDelivered
		}
		for _, r := range reservedPhones() {
			if r.Address == to {
				return r.outcome
			}
		}
	case events.Email:
		user, _, _ := strings.Cut(strings.ToLower(to), "@")
		for _, r := range reservedMailboxes() {
			if r.Address == user+"@" {
				return r.outcome
			}
		}
	case events.Push:
		if lower := strings.ToLower(to); strings.HasPrefix(lower, "unregistered") || strings.HasPrefix(lower, "dead") {
			return outcomeGone
		}
	case events.TOTP: // carries nothing
	}
	return outcomeDelivered
}

// onceThrottled remembers which reserved addresses were just throttled. The set of keys is
// bounded: only reserved phone numbers and the mailboxes once@ use it.
type onceThrottled struct {
	mu   sync.Mutex
	seen map[string]bool
}

const maxOnce = 1000

// first reports true for every other request to the address, the first included.
func (o *onceThrottled) first(address string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[address] {
		delete(o.seen, address)
		return false
	}
	if o.seen == nil || len(o.seen) >= maxOnce {
		o.seen = map[string]bool{}
	}
	o.seen[address] = true
	return true
}
