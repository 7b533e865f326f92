package notification

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

const (
	// gather is the longest time that what a call came to is kept unwritten, so that it shares an entry with others.
	gather = 200 * time.Millisecond
	// hold is the longest wait for which a part is kept; for a longer one it is given back, so that others have its place.
	hold = time.Second
	// idle is how long a part that began calls is kept while its providers put it off for a moment again and again: it
	// is there when the next of a quota comes. One that began none goes back after hold.
	idle = 5 * time.Second
	// fullEntry is how many ends are written at once without waiting for more.
	fullEntry = 32
	// handOver is when another process may go on where this one ends.
	handOver = 100 * time.Millisecond
	// maxPause bounds the growing pause of a part that nobody takes.
	maxPause = 30 * time.Second
)

// run is one visit to a part: from its delivery until it has ended or is given back.
type run struct {
	h       *Handler
	q       events.NotificationQueued
	content events.NotificationContent
	bodies  []Body  // parsed, by their places; nil: not yet
	faults  []error // why a text cannot be read, by its place
	attempt int     // of the broker to deliver the part

	id   string // tells this run's entries from those of others
	past history
	last uint64 // the sequence of the last entry; zero: none is known
	// conflicts is how many entries in a row met that of another.
	conflicts int
	results   chan result
	running   map[int]bool // the places for which calls are in flight
	slots     []slot       // taken, and used by no call
	turn      bool         // it is this part's turn to begin calls
	turned    time.Time    // when it became that
	whole     bool         // the last handful was taken whole

	ended   []events.MessageEnded // not written yet
	since   time.Time             // when the first of them came
	left    time.Time             // another worker goes on, whose calls end then at the latest
	refusal *refusal              // why the last handful was not taken whole
	refused map[string]*refusal   // what each provider said last
	width   int                   // how many are asked for at once
	began   time.Time             // when a call was begun last, or the visit
	calling bool                  // one was
	looked  time.Time             // when the log was read last
	stats   stats
}

// refusal says which provider is not to be called now, and why.
type refusal struct {
	delivery.Refusal
	provider string
	until    time.Time
}

func newRun(h *Handler, q events.NotificationQueued, c events.NotificationContent, attempt int) *run {
	width := len(q.Recipients)
	if attempt > 1 { // it may have been given back because nobody takes it
		width = leastWidth
	}
	return &run{
		h: h, q: q, content: c, attempt: attempt, id: uuid.NewString(),
		bodies: make([]Body, len(c.Bodies)), faults: make([]error, len(c.Bodies)),
		past:    history{messages: make([]past, len(q.Recipients))},
		results: make(chan result, len(q.Recipients)), running: map[int]bool{},
		refused: map[string]*refusal{}, width: width, began: h.Now(), stats: stats{began: h.Now()},
	}
}

// leave gives back what the run holds. It waits for the calls that are in flight, where the log could not be
// written or read; what they came to is lost then.
func (r *run) leave() {
	for len(r.running) > 0 {
		r.result(<-r.results)
	}
	r.release()
	r.stats.tell(r)
}

// release gives back slots that no call uses, and the turn.
func (r *run) release() {
	for _, s := range r.slots {
		s.release()
	}
	r.slots = nil
	if r.turn {
		r.h.Slots.turn(r.q.Lane) <- struct{}{}
		r.turn = false
	}
}

// work goes on until every message has ended, or nothing is to be done for a while.
func (r *run) work(ctx context.Context) error {
	for {
		now := r.h.Now()
		r.collect()
		r.sweep(now)
		due, next := r.due(now)
		stopping := ctx.Err() != nil || r.closing() || !r.left.IsZero()
		var calls []*outgoing
		if len(due) > 0 && !stopping && r.full(now) && r.mayBegin(len(due)) {
			if r.doubtful(due) {
				if err := r.read(ctx); err != nil {
					return err
				}
				continue
			}
			if calls, r.stats.fault = r.choose(ctx, due); r.stats.fault != nil {
				stopping = true
			}
			due, next = r.due(r.h.Now())
			r.stay(len(due) > 0 && len(calls) > 0 && !r.overstays())
		} else if len(due) == 0 || stopping {
			r.release()
		}
		resting := len(r.running) == 0 && len(calls) == 0
		var back *again
		if resting && (len(due) == 0 || stopping) && !r.finished() {
			back = r.back(next, stopping)
		}
		e := r.entry(calls, back)
		if len(calls) > 0 || len(r.ended) > 0 && (resting || r.full(r.h.Now())) || resting && e.Waiting != "" {
			if err := r.write(ctx, e, calls); err != nil {
				return err
			}
			continue
		}
		switch {
		case resting && r.finished():
			r.stats.done = true
			return nil
		case back != nil && (stopping || back.after > hold || r.h.Now().Sub(r.began) > r.idle()):
			return back
		}
		r.wait(ctx, due, next, stopping)
	}
}

// closing tells that the process was asked to end.
func (r *run) closing() bool {
	select {
	case <-r.h.Closing:
		return true
	default:
		return false
	}
}

// full tells that what has ended is worth an entry: half of what was in flight, or some of it for too long.
// With nothing in flight there is nothing to wait for.
func (r *run) full(now time.Time) bool {
	return len(r.running) == 0 || len(r.ended) >= min(fullEntry, (len(r.running)+len(r.ended)+1)/2) && len(r.ended) > 0 ||
		len(r.ended) > 0 && now.Sub(r.since) >= gather
}

// mayBegin tells whether it is this part's turn, and takes the slots that are free, for n messages at most.
func (r *run) mayBegin(n int) bool {
	if !r.turn {
		select {
		case <-r.h.Slots.turn(r.q.Lane):
			r.turn, r.turned = true, r.h.Now()
		default:
			return false
		}
	}
	r.h.Slots.yield(r.h.Now())
	if missing := min(r.width, n) - len(r.slots); missing > 0 {
		r.slots = append(r.slots, r.h.Slots.take(r.q.Lane, missing)...)
	}
	return len(r.slots) > 0
}

// doubtful tells that a message is to be sent again of which nobody knows whether it was: its receipt may have
// come since the log was read.
func (r *run) doubtful(due []int) bool {
	for _, place := range due {
		p := &r.past.messages[place]
		at, _ := p.due(r.h.Policy)
		if c := p.last(); c != nil && c.status == events.DeliveryUnknown && r.looked.Before(at) {
			return true
		}
	}
	return false
}

// overstays tells that another part waits for the turn while the provider gives this one less than it asks for: that
// part may be for another provider. A few crumbs are taken together first.
func (r *run) overstays() bool {
	return !r.whole && r.h.Slots.queued(r.q.Lane) && r.h.Now().Sub(r.turned) >= gather
}

// stay gives the turn to the next part, unless this one has more to begin as soon as it may; slots that
// nothing was begun with go back in any case.
func (r *run) stay(more bool) {
	turn := r.turn
	r.turn = turn && !more
	r.release()
	r.turn = turn && more
}

// sweep ends what needs no call: what came too late, or was tried as often as is allowed, and calls of which
// nobody says any more what they came to.
func (r *run) sweep(now time.Time) {
	expired := !now.Before(r.q.ExpiresAt)
	for place := range r.past.messages {
		p := &r.past.messages[place]
		at, final := p.due(r.h.Policy)
		switch {
		case final || r.running[place]:
		case p.open():
			if !now.Before(at) {
				r.unknown(place, now)
			}
		case expired && p.last() != nil && p.last().status == events.DeliveryUnknown:
			p.ended = true // it may have been delivered: that its fate is unknown is the last that is known
		case expired:
			r.settle(place, events.DeliveryExpired, "", "", now)
		case p.tried >= r.h.Policy.MaxAttempts && !now.Before(at):
			r.settle(place, events.DeliveryFailed, events.ReasonProviderUnavailable, "", now)
		}
	}
}

// due lists the messages to call for now, and says when the next of the others is.
func (r *run) due(now time.Time) (due []int, next time.Time) {
	for place := range r.past.messages {
		p := &r.past.messages[place]
		at, final := p.due(r.h.Policy)
		switch {
		case final || r.running[place]:
		case !p.open() && !now.Before(at):
			due = append(due, place)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next
}

// finished tells that no message waits for anything.
func (r *run) finished() bool {
	for place := range r.past.messages {
		if _, final := r.past.messages[place].due(r.h.Policy); !final {
			return false
		}
	}
	return true
}

// idle is how long the part is kept without a call. Those whose provider's quota others use up must not take all
// places: they are many where one sender has a large batch.
func (r *run) idle() time.Duration {
	if r.calling {
		return idle
	}
	return hold
}

// back says when a part at rest is to be delivered again.
func (r *run) back(next time.Time, stopping bool) *again {
	now := r.h.Now()
	switch {
	case !r.left.IsZero():
		return &again{max(r.left.Sub(now), handOver), "another worker goes on"}
	case r.stats.fault != nil:
		return &again{delivery.Backoff(r.attempt), r.stats.fault.Error()}
	case stopping:
		return &again{handOver, "the process ends"}
	}
	wait := max(next.Sub(now), time.Millisecond)
	if wait <= hold && now.Sub(r.began) <= r.idle() {
		return &again{wait, "in a moment"}
	}
	why := "the next attempt is not due"
	if r.refusal != nil {
		why = r.refusal.provider + ": " + r.refusal.Reason
		wait = max(wait, min(hold<<min(r.attempt, 5), maxPause)) // what nobody takes is looked at less and less
	}
	// All who wait for one provider must not come back at once.
	return &again{wait + rand.N(wait/4+hold/2), why} //nolint:gosec // spreads retries, guards nothing
}

// wait returns when something may have changed.
func (r *run) wait(ctx context.Context, due []int, next time.Time, stopping bool) {
	now := r.h.Now()
	wake := hold
	if !next.IsZero() {
		wake = min(wake, max(next.Sub(now), time.Millisecond))
	}
	if len(r.ended) > 0 {
		wake = min(wake, max(r.since.Add(gather).Sub(now), time.Millisecond))
	}
	timer := time.NewTimer(wake)
	defer timer.Stop()
	var turn, own, others chan struct{}
	closing, done := r.h.Closing, ctx.Done()
	switch {
	case stopping:
		closing, done = nil, nil // the calls in flight end by themselves
	case len(due) == 0 || !r.full(now):
	case !r.turn:
		turn = r.h.Slots.turn(r.q.Lane)
		defer r.h.Slots.queue(r.q.Lane)()
	case len(r.slots) == 0:
		free := r.h.Slots.of(r.q.Lane)
		own, others = free[0], free[len(free)-1]
	}
	select {
	case res := <-r.results:
		r.result(res)
	case <-turn:
		r.turn, r.turned = true, r.h.Now()
	case <-own:
		r.slots = append(r.slots, slot{r.h.Slots, own})
	case <-others:
		r.slots = append(r.slots, slot{r.h.Slots, others})
	case <-timer.C:
	case <-closing:
	case <-done:
	}
}

// collect takes in the calls that have ended, without waiting for any.
func (r *run) collect() {
	for {
		select {
		case res := <-r.results:
			r.result(res)
		default:
			return
		}
	}
}
