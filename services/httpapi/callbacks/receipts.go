package callbacks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// receipt is what a provider says of one message: authenticated, read and translated.
type receipt struct {
	provider string
	name     name
	channel  events.Channel // of the callback; empty: the message's, whatever it is
	// providerID is the provider's own id of the message or call.
	providerID string
	eventID    string
	fate       fate
	// guarded tells that the detail comes from a program that knows the message, and may repeat it.
	guarded bool
	at      time.Time
}

// name is the message that a receipt is about, as the provider brought it back.
type name struct {
	id         string
	step, send int
	attempt    int // zero: not told, as by messages of older programs
}

// readName reads a message's numbers. Step and attempt may be missing.
func readName(id, step, send, attempt string) (name, bool) {
	n := name{id: id}
	var err error
	if n.send, err = strconv.Atoi(send); err != nil || n.send < 1 {
		return n, false
	}
	if step != "" {
		if n.step, err = strconv.Atoi(step); err != nil || n.step < 0 {
			return n, false
		}
	}
	if attempt != "" {
		if n.attempt, err = strconv.Atoi(attempt); err != nil || n.attempt < 1 {
			return n, false
		}
	}
	return n, true
}

// settle publishes a receipt where it says something new of a message that its provider was called for. An
// error is worth a repetition.
func (h *handler) settle(ctx context.Context, c receipt) (result string, err error) {
	if id, part, place, ok := events.ParseMessageID(c.name.id); ok {
		return h.received(ctx, c, events.MessageReceipt{ID: id, Part: part, Place: place})
	}
	if !events.ValidID(c.name.id) {
		return resultUnknown, nil
	}
	v, err := h.Verifications.Asked(ctx, c.name.id)
	if errors.Is(err, verification.ErrNotFound) {
		return resultUnknown, nil
	}
	if err != nil {
		return "", fmt.Errorf("find verification of callback: %w", err)
	}
	reports, err := h.Reports(ctx, v.ID)
	if err != nil && !errors.Is(err, events.ErrUndecodable) { // those that can be read tell enough
		return "", err
	}
	a, ok := c.attempt(reports, v.CreatedAt)
	if !ok {
		return resultUnknown, nil
	}
	if events.Rank(c.fate.status) <= a.rank {
		if c.fate.status == events.DeliverySent || a.said[c.fate.status] {
			return resultIgnored, nil
		}
		return resultOutranked, nil
	}
	if c.guarded && revealing(c.fate.detail, v.CodeLength) {
		c.fate.detail = ""
	}
	d := events.DeliverySettled{
		Version: events.Version, EventID: c.eventID, ID: v.ID,
		Channel: a.call.Channel, Step: c.name.step, Send: c.name.send, Attempt: a.number,
		Status: c.fate.status, Provider: c.provider, ProviderID: c.providerID, Route: a.call.Route,
		Reason: c.fate.reason, Detail: c.fate.detail, At: c.at,
	}
	timed := d.Status == events.DeliveryDelivered && a.call.Status == events.DeliveryBegun
	if timed {
		d.Took = max(0, d.At.Sub(a.call.At).Seconds())
	}
	if err := h.Deliveries.Settle(ctx, d); err != nil {
		return "", err
	}
	if timed {
		h.took.WithLabelValues(string(d.Channel), d.Provider, d.Route).Observe(d.Took)
	}
	h.Log.InfoContext(ctx, "delivery reported", "verification_id", v.ID, "channel", string(d.Channel), "step", d.Step, "send", d.Send,
		"attempt", d.Attempt, "provider", d.Provider, "status", d.Status, "reason", d.Reason, "detail", d.Detail)
	return resultPublished, nil
}

// attempt is one call to a provider, and what is known of it.
type attempt struct {
	number int
	// call is the send record; of older programs, which make none, the report that the message was sent.
	call *events.DeliverySettled
	sent string // the provider's id, where the worker knows it
	rank int
	said map[string]bool
}

// attempt finds the call that a receipt is about among the reports of the verification that was created
// then: one to this provider, on this road, that got no other id. Where the receipt does not tell which, one
// that got this very id is taken, else the last.
func (c receipt) attempt(reports []events.DeliverySettled, created time.Time) (attempt, bool) {
	byNumber := map[int]*attempt{}
	of := func(number int) *attempt {
		if byNumber[number] == nil {
			byNumber[number] = &attempt{number: number, said: map[string]bool{}}
		}
		return byNumber[number]
	}
	for i := range reports {
		r := &reports[i]
		if r.Step != c.name.step || r.Send != c.name.send || events.EarlierLife(created, r.At) {
			continue
		}
		a := of(r.Attempt)
		a.rank, a.said[r.Status] = max(a.rank, events.Rank(r.Status)), true
		switch {
		case r.Status == events.DeliveryBegun:
			a.call = r
		case r.Status == events.DeliverySent && a.call == nil:
			a.call = r
		}
		if r.Status == events.DeliverySent {
			a.sent = r.ProviderID
		}
	}
	unnumbered := byNumber[0] // receipts that were published by older programs
	var found attempt
	for number, a := range byNumber {
		fits := a.call != nil && a.call.Provider == c.provider && (c.channel == "" || a.call.Channel == c.channel) &&
			(c.name.attempt == 0 || c.name.attempt == number) && (a.sent == "" || c.providerID == "" || a.sent == c.providerID)
		if !fits {
			continue
		}
		exact, before := a.sent != "" && a.sent == c.providerID, found.sent != "" && found.sent == c.providerID
		if found.call == nil || exact && !before || exact == before && number > found.number {
			found = *a
		}
	}
	if found.call != nil && found.number != 0 && unnumbered != nil {
		found.rank = max(found.rank, unnumbered.rank)
		for status := range unnumbered.said {
			found.said[status] = true
		}
	}
	return found, found.call != nil
}

// revealing tells whether a word may hold the code, which is sealed to us, or the number: digits with at most
// one letter, as many as the code has, or more digits than a carrier's own code has.
func revealing(word string, codeLength int) bool {
	const longest = 6
	for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return !digit(r) && !letter(r) }) {
		digits := len(strings.Map(func(r rune) rune {
			if digit(r) {
				return r
			}
			return -1
		}, part))
		if digits > longest || digits > 0 && len(part) == codeLength && digits >= codeLength-1 {
			return true
		}
	}
	return false
}

func digit(r rune) bool  { return r >= '0' && r <= '9' }
func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
