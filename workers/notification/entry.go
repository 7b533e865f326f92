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
	switch {
	case errors.Is(err, stream.ErrConflict):
		unused()
		return r.read(ctx, true)
	case err != nil:
		unused()
		return err
	}
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
	r.began = now
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

// append stores an entry, however often that takes. Where a try was not answered, it may have been stored: then
// the next meets its own entry.
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
			if try > 1 && r.stored(ctx, e) {
				return nil
			}
			return err
		}
		if try == writeTries {
			r.h.Log.Warn("log of a part not written yet", "notification_id", r.q.ID, "part", r.q.Part, "channel", string(r.q.Channel), "err", err)
		}
		if try >= writeTries && (!r.h.Now().Before(r.q.ExpiresAt) || ctx.Err() != nil) {
			return fmt.Errorf("write the log of a part: %w", err)
		}
		delivery.Pause(ctx, writePause)
	}
}

// stored tells whether the last entry of the log is this one.
func (r *run) stored(ctx context.Context, e events.NotificationProgressed) bool {
	log, err := r.h.Journal.Read(context.WithoutCancel(ctx), r.q.ID, r.q.Part)
	if err != nil || len(log.Entries) == 0 {
		return false
	}
	last := log.Entries[len(log.Entries)-1]
	mine, err1 := events.Encode(e)
	its, err2 := events.Encode(last)
	if err1 != nil || err2 != nil || string(mine) != string(its) {
		return false
	}
	r.last = log.Sequence
	return true
}

// unmade takes back the calls of a send record that was stored too late for them.
func (r *run) unmade(calls []*outgoing, now time.Time) {
	for _, o := range calls {
		at := now.UTC()
		r.end(events.MessageEnded{
			Place: o.place, Status: events.DeliveryRetrying, Attempt: o.m.Attempt, Provider: o.c.Provider,
			Class: string(delivery.ClassRetryAfter), Until: r.retry(now, writePause), At: at,
		}, now)
	}
}

// read makes the history from the log. What has ended here and is not written yet stays so. Where another
// worker's entry came before this one's, and it is calling, this one goes no further.
func (r *run) read(ctx context.Context, lost bool) error {
	var log stream.PartLog
	var err error
	for try := 1; ; try++ {
		if log, err = r.h.Journal.Read(context.WithoutCancel(ctx), r.q.ID, r.q.Part); err == nil {
			break
		}
		knows := len(r.running) > 0 || len(r.ended) > 0 // what the log does not
		if !knows || try >= writeTries && (!r.h.Now().Before(r.q.ExpiresAt) || ctx.Err() != nil) {
			return err
		}
		delivery.Pause(ctx, writePause)
	}
	r.looked = r.h.Now()
	r.past, r.last = historyOf(len(r.q.Recipients), log), log.Sequence
	for _, e := range r.ended {
		r.past.end(e)
	}
	if !lost {
		return nil // what is open there is a dead process's, or the next write meets the living
	}
	for place := range r.past.messages {
		p := &r.past.messages[place]
		if p.open() && p.last().by != r.id && p.last().until.After(r.looked) {
			r.left = later(r.left, p.last().until)
		}
	}
	return nil
}
