package push

import (
	"context"
	"errors"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// Pages is the sender to pages that nothing reaches. A question lies ready for them, and they ask for it while they are
// open; so it calls nobody, and what is no question cannot be sent.
type Pages struct{}

// Send takes a question. Anything else is a permanent error.
func (Pages) Send(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
	if m.Notice != nil || m.Challenge != events.Approval {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused, errors.New("a page without a subscription is asked for approvals only"))
	}
	return delivery.Receipt{}, nil
}
