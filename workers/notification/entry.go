package notification

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
)

const (
	// writeTries is how often an entry is tried before it is told that the broker takes none, with a pause between.
	writeTries = 3
	writePause = 250 * time.Millisecond
	// readTries is how often the log is read after a lost compare-and-set, and conflictTries how many may be lost one
	// after the other: a cancel and another worker make a few.
	readTries     = 20
	conflictTries = 8
)

// entry is what is to be written: what has ended, what begins, and why nothing does.
func (r *run) entry(calls []*outgoing, back *again) events.NotificationProgressed {
	now := r.h.Now().UTC()
	e := events.NotificationProgressed{
		Version: events.Version, ID: r.q.ID, Part: r.q.Part, By: r.id, Ended: r.ended, At: now,
	}
	for _, o := range calls {
		e.Begun = append(e.Begun, events.MessageBegun{
			Place: o.place, Attempt: o.m.Attempt, Provider: o.c.Provider, Route: o.c.Route, Receipts: o.c.Receipts,
		})
	}
	if len(calls) > 0 {
		until := now.Add(min(r.h.Policy.SendTimeout, r.q.ExpiresAt.Sub(now)))
		e.Until = &until
	}
	if back != nil && back.after > hold && r.left.IsZero() && r.stats.fault == nil {
		// It is said once. An entry that is written anyway says it again, because the last one counts.
		reason, provider := r.waiting()
		if len(r.ended) > 0 || reason != r.past.waiting || provider != r.past.provider {
			e.Waiting, e.Provider = reason, provider
		}
	}
	return e
}

// waiting says why nothing goes on: a provider that is not to be called, or one whose calls came to nothing.
func (r *run) waiting() (reason, provider string) {
	if r.refusal != nil {
		return r.refusal.Reason, r.refusal.provider
	}
	for i := range r.past.messages {
		p := &r.past.messages[i]
		if _, final := p.due(r.h.Policy); !final && p.last() != nil && p.last().status == events.DeliveryRetrying {
			return events.WaitUnavailable, p.last().provider
		}
	}
	return "", ""
}

// write stores an entry and makes its calls. Where another entry came before it, what this one was made from
// is read again, and no call is made. A broker that takes no entries is asked as long as the part lives:
// given up, what providers have taken would be sent anew.
func (r *run) write(ctx context.Context, e events.NotificationProgressed, calls []*outgoing) error {
	unused := func() {
		for _, o := range calls {
			o.done(delivery.ErrNotAsked)
			o.slot.release()
		}
	}
	err := r.append(ctx, e)
	if errors.Is(err, stream.ErrConflict) {
		// Of a try that was not answered nobody knows whether it was stored: then the next met its own entry.
		log, err2 := r.log(ctx, true)
		switch {
		case err2 != nil:
			err = err2
		case ends(log, e):
			r.last, err = log.Sequence, nil
		default:
			unused()
			return r.lost(ctx, log)
		}
	}
	if err != nil {
		unused()
		return err
	}
	r.conflicts = 0
	r.h.Metrics.wrote(r.q)
	r.stats.entries++
	r.ended = nil
	r.past.begin(e)
	r.past.waiting, r.past.provider = e.Waiting, e.Provider
	if len(calls) == 0 {
		return nil
	}
	now := r.h.Now()
	if now.Sub(e.At) > delivery.LateCall || !now.Before(*e.Until) || ctx.Err() != nil {
		unused()
		r.unmade(calls, now)
		return nil
	}
	r.began, r.calling = now, true
	for _, o := range calls {
		r.running[o.place] = true
	}
	if left := r.begin(ctx, calls, now.Sub(e.At), *e.Until); len(left) > 0 {
		r.unmade(left, r.h.Now())
	}
	return nil
}

// begin makes the calls of a record that took so long to be written, each as soon as its provider lets it again where
// that is needed. It returns those that none lets.
func (r *run) begin(ctx context.Context, calls []*outgoing, took time.Duration, until time.Time) (left []*outgoing) {
	refused := make(chan *outgoing, len(calls))
	var asking sync.WaitGroup
	asking.Add(len(calls))
	for _, o := range calls {
		go func() {
			o.done, _ = o.c.Renew(ctx, o.done, took, until.Sub(r.h.Now()))
			may := o.done != nil
			if !may {
				refused <- o
			}
			asking.Done()
			if may {
				r.call(ctx, o, until)
			}
		}()
	}
	asking.Wait()
	close(refused)
	for o := range refused {
		o.slot.release()
		delete(r.running, o.place)
		left = append(left, o)
	}
	return left
}

// append stores an entry, however often that takes.
func (r *run) append(ctx context.Context, e events.NotificationProgressed) error {
	life := r.q.ExpiresAt.Add(stream.NotificationGrace).Sub(e.At)
	for try := 1; ; try++ {
		// What happened must be stored even when the grace of a shutdown has just ended; each try bounds itself.
		sequence, err := r.h.Journal.Append(context.WithoutCancel(ctx), e, r.last, life)
		if err == nil {
			r.last = sequence
			return nil
		}
		if errors.Is(err, stream.ErrConflict) {
			return err
		}
		if try == writeTries {
			r.h.Log.Warn("log of a part not written yet", "notification_id", r.q.ID, "part", r.q.Part, "channel", string(r.q.Channel), "err", err)
		}
		if try >= writeTries && r.over(ctx) {
			return fmt.Errorf("write the log of a part: %w", err)
		}
		delivery.Pause(ctx, writePause)
	}
}

// over tells that what cannot be read or written is not tried again: the part or the process has ended.
func (r *run) over(ctx context.Context) bool {
	return !r.h.Now().Before(r.q.ExpiresAt) || ctx.Err() != nil
}

// ends tells whether this entry is the last of a log.
func ends(log stream.PartLog, e events.NotificationProgressed) bool {
	if len(log.Entries) == 0 {
		return false
	}
	mine, err1 := events.Encode(e)
	its, err2 := events.Encode(log.Entries[len(log.Entries)-1])
	return err1 == nil && err2 == nil && string(mine) == string(its)
}

// lost goes on from a log in which another entry came first. Who loses again and again pauses, and gives the part back
// when that does not end, unless it would lose what its calls came to.
func (r *run) lost(ctx context.Context, log stream.PartLog) error {
	r.learn(log)
	for place := range r.past.messages {
		// Where another worker is calling, this one goes no further.
		p := &r.past.messages[place]
		if p.open() && p.last().by != r.id && p.last().until.After(r.looked) {
			r.left = later(r.left, p.last().until)
		}
	}
	if r.conflicts++; r.conflicts == 1 {
		return nil
	}
	knows := len(r.running) > 0 || len(r.ended) > 0
	if r.conflicts >= conflictTries && (!knows || r.over(ctx)) {
		return &again{delivery.Backoff(max(r.attempt, 2)), "others write its log"}
	}
	r.release()
	delivery.Pause(ctx, writePause)
	return nil
}

// unmade takes back the calls of a send record that was stored too late for them.
func (r *run) unmade(calls []*outgoing, now time.Time) {
	for _, o := range calls {
		r.takeBack(o.place, o.m.Attempt, o.c.Provider, now)
	}
}

// takeBack ends a call that was begun and not made. As one that is throttled it uses up no attempt.
func (r *run) takeBack(place, attempt int, provider string, now time.Time) {
	r.end(events.MessageEnded{
		Place: place, Status: events.DeliveryRetrying, Attempt: attempt, Provider: provider,
		Class: string(delivery.ClassRetryAfter), Until: r.retry(now, r.slower(place, writePause)), At: now.UTC(),
	}, now)
}

// read makes the history from the log.
func (r *run) read(ctx context.Context) error {
	log, err := r.log(ctx, false)
	if err != nil {
		return err
	}
	r.learn(log) // what is open there is a dead process's, or the next write meets the living
	return nil
}

// log reads the log. Where this run knows what the log does not, that is tried as long as the part lives; where an
// entry of its own may stand there, some more times.
func (r *run) log(ctx context.Context, lost bool) (stream.PartLog, error) {
	for try := 1; ; try++ {
		log, err := r.h.Journal.Read(context.WithoutCancel(ctx), r.q.ID, r.q.Part)
		if err == nil {
			return log, nil
		}
		knows := len(r.running) > 0 || len(r.ended) > 0
		if !knows && (!lost || try >= readTries) || try >= writeTries && r.over(ctx) {
			return log, err
		}
		delivery.Pause(ctx, writePause)
	}
}

// learn makes the history from a log. What has ended here and is not written yet stays so. What this run began and
// does not call for was certainly not called for: the entry was stored, and nobody told.
func (r *run) learn(log stream.PartLog) {
	r.looked = r.h.Now()
	r.past, r.last = historyOf(r.q, log), log.Sequence
	for _, e := range r.ended {
		r.past.end(e)
	}
	for place := range r.past.messages {
		p := &r.past.messages[place]
		if c := p.last(); p.open() && c.by == r.id && !r.running[place] {
			r.takeBack(place, c.attempt, c.provider, r.looked)
		}
	}
}
