package httpapi

import (
	"slices"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// timeline is what clients are shown of the reports, oldest first: each thing once, and that a provider is
// being called only while nothing else is known of the call.
func timeline(v verification.Verification, reports []events.DeliverySettled) []events.DeliverySettled {
	// That the first message was asked for is known from the verification itself.
	first := events.DeliverySettled{Status: events.DeliveryRequested, Channel: events.Channel(v.Channel), Send: 1, At: v.CreatedAt}
	return told(append([]events.DeliverySettled{first}, reports...))
}

// told is each thing once, oldest first.
func told(steps []events.DeliverySettled) []events.DeliverySettled {
	// Reports stand in the order they were stored; a receipt may overtake the report of the call it belongs to.
	slices.SortStableFunc(steps, func(a, b events.DeliverySettled) int { return a.At.Compare(b.At) })

	type attempt struct{ step, send, number int }
	of := func(d events.DeliverySettled) attempt { return attempt{d.Step, d.Send, d.Attempt} }
	known := map[attempt]int{}
	for _, d := range steps {
		known[of(d)] = max(known[of(d)], events.Rank(d.Status))
	}
	type said struct {
		attempt
		status string
	}
	told := map[said]bool{}
	return slices.DeleteFunc(steps, func(d events.DeliverySettled) bool {
		if d.Attempt == 0 { // of no attempt, or of a program that did not tell which
			return false
		}
		a := of(d)
		if d.Status == events.DeliveryBegun {
			// What was told of no attempt in particular may be about this one.
			later := max(known[a], known[attempt{step: a.step, send: a.send}])
			return later > events.Rank(events.DeliveryBegun)
		}
		// The worker and the provider may both have told that a message was sent, and a receipt may come twice.
		again := told[said{a, d.Status}]
		told[said{a, d.Status}] = true
		return again
	})
}
