package notification

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

const (
	// patience is how long a handful waits for the first part of a provider's quota while nothing else is to be
	// done, and moment how long while there is, or another part waits for the turn: some turns of the governor.
	patience = 500 * time.Millisecond
	moment   = 120 * time.Millisecond
	// together is how long what was granted waits for the rest of the same grant. It is kept short: the provider
	// counts calls, and they should come when the governor thinks they do.
	together = 5 * time.Millisecond
	// spill is from when on a bulk message goes to the next provider, where the first throttles: what can wait
	// a little waits for the provider that the operator put first.
	spill = 5 * time.Second
	// leastWidth is how many are asked for where nothing is known to go on: a text that is not sent now need not
	// be made.
	leastWidth = 4
)

// outgoing is a call that is about to be made.
type outgoing struct {
	place      int
	m          delivery.Message
	candidates []delivery.Candidate
	c          delivery.Candidate // the one that let it
	done       func(error)
	slot       slot
	no         *refusal // why none let it
}

// choose takes a handful of the messages that are due, for which the providers have room now. An error is the
// list's, which cannot be asked; an entry of it that nobody can read puts off its own message only.
func (r *run) choose(ctx context.Context, due []int) ([]*outgoing, error) {
	r.refusal = nil
	wanted := make([]*outgoing, 0, len(r.slots))
	for _, place := range due {
		if len(wanted) == len(r.slots) {
			break
		}
		o, err := r.prepare(ctx, place)
		if errors.Is(err, events.ErrUndecodable) { // this entry alone: the others can be sent
			r.stats.note("", err)
			r.past.messages[place].next = r.h.Now().Add(max(delivery.Backoff(r.attempt), hold))
			continue
		}
		if err != nil {
			return nil, err
		}
		if o != nil {
			wanted = append(wanted, o)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	r.admit(ctx, wanted)
	var calls []*outgoing
	for _, o := range wanted {
		if o.done == nil {
			r.putOff(o)
			continue
		}
		o.slot, r.slots = r.slots[0], r.slots[1:]
		calls = append(calls, o)
	}
	if r.whole = len(calls) == len(wanted); r.whole {
		r.width = min(2*r.width, len(r.q.Recipients))
	} else {
		r.width = max(2*len(calls), leastWidth)
	}
	return calls, nil
}

// prepare makes the message of one recipient; nil where it ended without a call.
func (r *run) prepare(ctx context.Context, place int) (*outgoing, error) {
	to := r.q.Recipients[place]
	cause, suppressed, err := r.h.Suppressions.Suppressed(ctx, r.q.Credential, r.q.Client, to.Destination, r.q.Lane)
	if err != nil {
		return nil, fmt.Errorf("look for a suppression: %w", err)
	}
	now := r.h.Now()
	if suppressed {
		r.settle(place, events.DeliveryFailed, events.ReasonSuppressed, cause, now)
		return nil, nil
	}
	m := r.message(place)
	p := &r.past.messages[place]
	if len(r.refused) > 0 { // where all were refused just now, no text is made
		o := &outgoing{place: place, m: m, candidates: r.h.Routes.Candidates(m, p.failed)}
		if len(o.candidates) > 0 && r.barred(o, now) {
			r.putOff(o)
			return nil, nil
		}
	}
	if m.Notice, err = r.fill(r.content.Recipients[place]); err != nil {
		r.stats.note("", err)
		r.settle(place, events.DeliveryFailed, events.ReasonMessageRefused, "text", now)
		return nil, nil
	}
	candidates := r.h.Routes.Candidates(m, p.failed)
	if len(candidates) == 0 {
		nobody := delivery.Nobody(r.q.Channel)
		r.stats.note("", nobody)
		r.settle(place, events.DeliveryFailed, delivery.ReasonOf(nobody), "", now)
		return nil, nil
	}
	return &outgoing{place: place, m: m, candidates: candidates}, nil
}

// barred tells that no provider will let a message that was asked just now, and which is to be asked first.
func (r *run) barred(o *outgoing, now time.Time) bool {
	round := r.past.messages[o.place].round
	for _, c := range o.candidates {
		if slices.Contains(round, c.Provider) {
			continue
		}
		no := r.refused[c.Provider]
		if no == nil || !now.Before(no.until) {
			return false
		}
		if o.refuse(no) {
			break
		}
	}
	return true
}

// refuse remembers the shortest wait. It tells whether the message waits for this provider rather than going to
// the next.
func (o *outgoing) refuse(no *refusal) bool {
	if o.no == nil || no.Wait < o.no.Wait {
		o.no = no
	}
	return o.m.Lane == events.LaneBulk && no.Reason == events.WaitThrottled && no.Wait < spill
}

// message is that of one recipient, without its text.
func (r *run) message(place int) delivery.Message {
	to := r.q.Recipients[place]
	return delivery.Message{
		ID: events.MessageID(r.q.ID, r.q.Part, place), Lane: r.q.Lane, Channel: r.q.Channel, Send: 1,
		Attempt: r.past.messages[place].attempts() + 1, To: delivery.Address(r.content.Recipients[place].To),
		Device: to.Device, DeviceID: to.DeviceID, Locale: to.Locale, Brand: r.q.Brand,
		CreatedAt: r.q.CreatedAt, ExpiresAt: r.q.ExpiresAt,
	}
}

// fill makes one person's text. Each text of the part is read once.
func (r *run) fill(f events.NotificationFilling) (*delivery.Notice, error) {
	i := f.Body
	if r.bodies[i] == nil && r.faults[i] == nil {
		r.bodies[i], r.faults[i] = r.h.Parse(r.content.Bodies[i])
	}
	if r.faults[i] != nil {
		return nil, fmt.Errorf("read a text: %w", r.faults[i])
	}
	text, err := r.bodies[i].Fill(f.Variables)
	if err != nil {
		return nil, fmt.Errorf("fill a text: %w", err)
	}
	return &delivery.Notice{Subject: delivery.Code(text.Subject), Text: delivery.Code(text.Text), HTML: delivery.Code(text.HTML)}, nil
}

// admit asks the providers for all at once, which is one round trip. When the first may go, the others have what
// came with it, or stay for the next handful.
func (r *run) admit(ctx context.Context, wanted []*outgoing) {
	no := &refusals{said: map[string]*refusal{}, now: r.h.Now}
	wait := moment
	if len(r.running) == 0 && len(r.ended) == 0 && !r.h.Slots.queued(r.q.Lane) {
		wait = patience
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var once sync.Once
	var asking sync.WaitGroup
	for _, o := range wanted {
		asking.Go(func() {
			if r.ask(ctx, o, no, wait) {
				once.Do(func() { time.AfterFunc(together, cancel) })
			}
		})
	}
	asking.Wait()
	maps.Copy(r.refused, no.said)
}

// ask finds the first provider that lets a message, of those that were not asked since the last pause. Where ctx
// ends first, nobody has refused it.
func (r *run) ask(ctx context.Context, o *outgoing, no *refusals, patience time.Duration) bool {
	p := &r.past.messages[o.place]
	for _, c := range o.candidates {
		if slices.Contains(p.round, c.Provider) {
			continue
		}
		refused := no.of(c.Provider)
		if refused == nil {
			done, why := c.Admit(ctx, patience)
			if done != nil {
				o.c, o.done = c, done
				return true
			}
			if ctx.Err() != nil {
				return false
			}
			refused = no.add(c.Provider, why)
		}
		if o.refuse(refused) {
			return false
		}
	}
	return false
}

// putOff lets a message wait that no provider let.
func (r *run) putOff(o *outgoing) {
	p, now := &r.past.messages[o.place], r.h.Now()
	var wait time.Duration
	if o.no != nil {
		wait = o.no.until.Sub(now)
		if r.refusal == nil || wait < r.refusal.Wait {
			r.refusal = o.no
		}
	}
	if len(p.round) > 0 { // those who were asked before may be asked again after a pause
		if p.again.IsZero() {
			p.again = now.Add(delivery.Backoff(p.tried))
			if p.throttled > 0 {
				p.again = later(p.again, now.Add(r.slower(o.place, firstThrottle)))
			}
		}
		if o.no == nil || !now.Add(wait).Before(p.again) {
			wait = p.again.Sub(now)
			p.round, p.again = nil, time.Time{}
		}
	}
	p.next = now.Add(max(wait, time.Millisecond))
}

// refusals are what the providers said to one handful. They are safe for concurrent use.
type refusals struct {
	now  func() time.Time
	mu   sync.Mutex
	said map[string]*refusal
}

func (r *refusals) of(provider string) *refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said[provider]
}

func (r *refusals) add(provider string, no delivery.Refusal) *refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said[provider] = &refusal{no, provider, r.now().Add(no.Wait)}
	return r.said[provider]
}
