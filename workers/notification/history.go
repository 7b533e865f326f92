package notification

import (
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
)

// history is what the log of a part says of its messages, by their places.
type history struct {
	messages []past
	// waiting and provider are those of the last entry: why nothing goes on.
	waiting, provider string
}

// past is what is known of one message.
type past struct {
	calls []call
	// tried is how many calls count against the budget: throttled ones do not.
	tried int
	// throttled is how many do not.
	throttled int
	// failed lists the providers whose calls came to nothing, or may have, and round those that were asked
	// since the last pause: each is asked once in a round.
	failed, round []string
	// again is when those of the round may be asked once more; zero: nobody has put the message off since.
	again    time.Time
	canceled bool
	ended    bool
	// next is when it may be called for at the earliest.
	next time.Time
}

// call is what is known of one call.
type call struct {
	attempt   int
	provider  string
	receipts  bool
	at, until time.Time
	by        string // whose entry began it
	// status is the word with the highest rank about it; empty while nothing is known of its end.
	status string
}

// historyOf folds the log of a part. Receipts may come in any order, and count only for calls that were begun. What is
// older than the part is about another: an id that comes from an idempotency key returns, and a log may outlive its part.
func historyOf(q events.NotificationQueued, log stream.PartLog) history {
	h := history{messages: make([]past, len(q.Recipients))}
	for _, e := range log.Entries {
		if !events.EarlierLife(q.CreatedAt, e.At) {
			h.read(e)
		}
	}
	for _, r := range log.Receipts {
		if p := h.at(r.Place); p != nil && !events.EarlierLife(q.CreatedAt, r.At) {
			p.receipt(r)
		}
	}
	return h
}

func (h *history) at(place int) *past {
	if place < 0 || place >= len(h.messages) {
		return nil
	}
	return &h.messages[place]
}

// read takes in one entry: what ended came before what begins.
func (h *history) read(e events.NotificationProgressed) {
	for _, ended := range e.Ended {
		h.end(ended)
	}
	for _, place := range e.Canceled {
		if p := h.at(place); p != nil && p.withdrawable() {
			p.canceled = true
		}
	}
	if e.All {
		for i := range h.messages {
			if p := &h.messages[i]; len(p.calls) == 0 && p.withdrawable() {
				p.canceled = true
			}
		}
	}
	h.begin(e)
	h.waiting, h.provider = e.Waiting, e.Provider
}

func (h *history) begin(e events.NotificationProgressed) {
	until := e.At
	if e.Until != nil {
		until = *e.Until
	}
	for _, b := range e.Begun {
		if p := h.at(b.Place); p != nil && p.call(b.Attempt) == nil {
			p.calls = append(p.calls, call{
				attempt: b.Attempt, provider: b.Provider, receipts: b.Receipts, at: e.At, until: until, by: e.By,
			})
		}
	}
}

// end takes in what one call came to, or what needed none.
func (h *history) end(e events.MessageEnded) {
	p := h.at(e.Place)
	if p == nil {
		return
	}
	if e.Attempt > 0 {
		c := p.call(e.Attempt)
		if c == nil { // the entry with its beginning cannot be read
			p.calls = append(p.calls, call{attempt: e.Attempt, provider: e.Provider, at: e.At, until: e.At})
			c = &p.calls[len(p.calls)-1]
		}
		if events.Rank(e.Status) <= events.Rank(c.status) {
			return
		}
		c.status = e.Status
	}
	switch e.Status {
	case events.DeliverySent, events.DeliveryFailed, events.DeliveryExpired:
		p.ended = true
	case events.DeliveryRetrying, events.DeliveryUnknown:
		if e.Class == string(delivery.ClassRetryAfter) {
			p.throttled++
		} else {
			p.tried++
		}
		p.blame(e)
	}
}

// blame remembers whom to ask last, and when to ask again.
func (p *past) blame(e events.MessageEnded) {
	if e.Provider != "" && !slices.Contains(p.failed, e.Provider) {
		p.failed = append(p.failed, e.Provider)
	}
	p.next, p.again = e.At, time.Time{}
	if e.Until != nil {
		p.next = *e.Until
	}
	if e.Status == events.DeliveryUnknown || p.next.After(e.At) {
		p.round = nil // a pause comes before the next
		return
	}
	p.round = append(p.round, e.Provider)
}

func (p *past) receipt(r events.MessageReceipt) {
	c := p.call(r.Attempt)
	if c == nil || c.provider != r.Provider || events.Rank(r.Status) <= events.Rank(c.status) {
		return
	}
	c.status = r.Status
	// That one arrived ends the message; that one did not, only where no other followed it.
	if r.Status == events.DeliveryDelivered || c == p.last() {
		p.ended = true
	}
}

func (p *past) call(attempt int) *call {
	for i := range p.calls {
		if p.calls[i].attempt == attempt {
			return &p.calls[i]
		}
	}
	return nil
}

// last is the call that was begun last; nil without any.
func (p *past) last() *call {
	if len(p.calls) == 0 {
		return nil
	}
	return &p.calls[len(p.calls)-1]
}

// attempts is how many calls were begun.
func (p *past) attempts() int {
	if c := p.last(); c != nil {
		return c.attempt
	}
	return 0
}

// open tells that nothing is known of how the last call ended.
func (p *past) open() bool { return p.last() != nil && p.last().status == "" }

// withdrawable tells whether a cancel stops the message: nobody calls for it, and nobody may have called
// with success.
func (p *past) withdrawable() bool {
	if p.canceled || p.ended {
		return false
	}
	return !slices.ContainsFunc(p.calls, func(c call) bool { return c.status != events.DeliveryRetrying })
}

// due is when something is to be done for the message; final tells that nothing ever is.
func (p *past) due(policy delivery.Policy) (at time.Time, final bool) {
	c := p.last()
	switch {
	case p.ended || p.canceled:
		return time.Time{}, true
	case p.open():
		return c.until, false
	case c != nil && c.status == events.DeliveryUnknown && policy.Unknown == delivery.Hold:
		// Without receipts it is never sent again: that its fate is unknown is the last that is known.
		held := c.at.Add(policy.Hold)
		return later(held, p.next), !c.receipts
	default:
		return p.next, false
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
