package notification

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// result is what one call came to.
type result struct {
	*outgoing
	receipt     delivery.Receipt
	err         error
	began, ends time.Time
}

// call makes one call, which ends by the given time.
func (r *run) call(ctx context.Context, o *outgoing, until time.Time) {
	began := r.h.Now()
	ctx, cancel := context.WithTimeout(ctx, min(until.Sub(began), r.h.Policy.SendTimeout))
	defer cancel()
	landed := r.h.Metrics.flight(r.q)
	receipt, err := delivery.HandOver(ctx, o.c.Sender, o.m, r.h.Log)
	landed()
	o.done(err)
	o.slot.release()
	if err != nil {
		to := r.q.Recipients[o.place]
		r.h.Suppressor.Refused(ctx, delivery.Addressee{
			Channel: r.q.Channel, Destination: to.Destination, To: o.m.To, ToMasked: to.ToMasked,
		}, o.c.Provider, err)
	}
	r.results <- result{o, receipt, err, began, r.h.Now()}
}

// result decides what follows a call.
func (r *run) result(res result) {
	delete(r.running, res.place)
	e := events.MessageEnded{
		Place: res.place, Attempt: res.m.Attempt, Provider: res.c.Provider, ProviderID: res.receipt.ID, At: res.began.UTC(),
	}
	if res.err == nil {
		e.Status = events.DeliverySent
		r.h.Metrics.count(r.q, e.Provider, e.Status)
		r.h.Metrics.took(r.q, res.began)
		r.end(e, res.ends)
		return
	}
	class, p := delivery.ClassOf(res.err), &r.past.messages[res.place]
	r.h.Metrics.count(r.q, e.Provider, string(class))
	r.stats.note(class, res.err)
	e.At, e.Detail = res.ends.UTC(), delivery.DetailOf(res.err)
	others := slices.ContainsFunc(res.candidates, func(c delivery.Candidate) bool {
		return c.Provider != res.c.Provider && !slices.Contains(p.round, c.Provider)
	})
	tried := p.tried + 1
	switch {
	case class == delivery.ClassPermanent && (!others || delivery.Final(delivery.ReasonOf(res.err))):
		e.Status, e.Reason = events.DeliveryFailed, delivery.ReasonOf(res.err)
	case class == delivery.ClassUnknown:
		// Nobody else is asked at once: a receipt may tell in a moment that the message is on its way.
		e.Status, e.Class = events.DeliveryUnknown, string(class)
		e.Until = r.retry(res.ends, delivery.Backoff(tried))
	case class != delivery.ClassRetryAfter && tried >= r.h.Policy.MaxAttempts:
		e.Status, e.Reason = events.DeliveryFailed, events.ReasonProviderUnavailable
	default:
		e.Status, e.Class, e.Reason = events.DeliveryRetrying, string(class), delivery.ReasonOf(res.err)
		if others {
			e.Until = &e.At
		} else {
			wait := max(delivery.AfterOf(res.err), delivery.Backoff(tried))
			if class == delivery.ClassRetryAfter {
				wait = r.joined(max(delivery.AfterOf(res.err), r.slower(res.place, firstThrottle)), delivery.AfterOf(res.err), res.ends)
			}
			e.Until = r.retry(res.ends, wait)
		}
	}
	r.end(e, res.ends)
}

const (
	// firstThrottle is how long a message waits whose provider throttled it, the first time at the least.
	firstThrottle = 500 * time.Millisecond
	// throttledRounds bounds how often a message is throttled in its life: each time costs up to two entries of the log.
	throttledRounds = 1000
)

// slower is a wait that doubles each time a message was throttled, or its call not made: these use up no attempt, and
// a provider that says so for days would fill the log.
func (r *run) slower(place int, first time.Duration) time.Duration {
	longest := max(maxPause, r.q.ExpiresAt.Sub(r.q.SendAt)/throttledRounds)
	return min(first<<min(r.past.messages[place].throttled, 20), longest)
}

// joined is a wait that ends with that of another message of the part, where that is about as long: together they
// share an entry. Without one it varies, so that not all parts come back at once.
func (r *run) joined(wait, least time.Duration, now time.Time) time.Duration {
	from, to := now.Add(max(wait*3/4, least)), now.Add(wait*3/2)
	for place := range r.past.messages {
		p := &r.past.messages[place]
		if p.throttled > 0 && !p.next.Before(from) && !p.next.After(to) {
			return p.next.Sub(now)
		}
	}
	return wait + rand.N(wait/2) //nolint:gosec // spreads retries, guards nothing
}

// retry is the time of the next attempt.
func (r *run) retry(now time.Time, wait time.Duration) *time.Time {
	at := now.Add(delivery.Within(r.q.ExpiresAt.Sub(now), wait)).UTC()
	return &at
}

// unknown ends a call of a process that is gone.
func (r *run) unknown(place int, now time.Time) {
	p := &r.past.messages[place]
	c := p.last()
	r.stats.note(delivery.ClassUnknown, errGone)
	r.h.Metrics.count(r.q, c.provider, string(delivery.ClassUnknown))
	at := now.UTC()
	r.end(events.MessageEnded{
		Place: place, Status: events.DeliveryUnknown, Attempt: c.attempt, Provider: c.provider, Class: string(delivery.ClassUnknown),
		Until: &at, At: at,
	}, now)
}

var errGone = errors.New("a process ended during the call")

// settle ends a message that needs no call, or no more.
func (r *run) settle(place int, status, reason, detail string, now time.Time) {
	outcome := status
	if reason != "" {
		outcome = reason
	}
	r.h.Metrics.count(r.q, "", outcome)
	r.end(events.MessageEnded{Place: place, Status: status, Reason: reason, Detail: detail, At: now.UTC()}, now)
}

// end takes in what is to be written with the next entry.
func (r *run) end(e events.MessageEnded, now time.Time) {
	if len(r.ended) == 0 {
		r.since = now
	}
	r.ended = append(r.ended, e)
	r.past.end(e)
	r.stats.count(e)
}
