package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// timeStep has the broker hand out the time of a step, counted from now.
func (s *Resolver) timeStep(ctx context.Context, a events.VerificationActivated, step int) error {
	after := time.Duration(a.Fallback[step-1].After) * time.Second
	return s.pub.Schedule(ctx, s.now().Add(after), events.TimerDue{Kind: events.TimerFallback, ID: a.ID, Step: step})
}

// stopLadder takes back the timers of a closed verification. One that stays is looked at when its time
// has come, and changes nothing; so that it could not be taken back is no fault of the answer.
func (s *Resolver) stopLadder(ctx context.Context, v verification.Verification) {
	if v.Status.Closed() && len(v.Fallback) > 0 {
		_ = s.pub.Unschedule(ctx, events.TimerFallback, v.ID)
	}
}

// ladder is a verification with what is known of its messages.
type ladder struct {
	record   events.VerificationActivated
	v        verification.Verification
	progress verification.Progress
	reports  []events.DeliverySettled
	// steps are the activations of the steps that were taken, with their places.
	steps map[int]taken
}

type taken struct {
	a        events.VerificationActivated
	sequence uint64
}

// climb reads where a verification stands; told are reports that are known to be stored, though a replica that
// lags may not have them yet. It fails with ErrNotFound, and with ErrClosed where nothing
// is to be done any more.
func (s *Resolver) climb(ctx context.Context, id string, told ...events.DeliverySettled) (ladder, error) {
	l := ladder{steps: map[int]taken{}}
	var err error
	var sequence uint64
	if l.record, sequence, l.v, err = s.fresh(ctx, id); err != nil {
		return l, err
	}
	l.steps[0] = taken{l.record, sequence}
	if l.v.Status.Closed() {
		return l, verification.ErrClosed
	}
	// A report that nobody can decode must not keep the others from counting.
	if l.reports, err = s.deliveries.Reports(ctx, id); err != nil && !errors.Is(err, events.ErrUndecodable) {
		return l, unavailable(err)
	}
	l.reports = ours(append(l.reports, told...), l.record.CreatedAt)
	for i := range l.record.Fallback {
		step := i + 1
		rec, err := s.activations.Latest(ctx, events.FallbackSubject(l.record.Fallback[i].Channel, id, step))
		if errors.Is(err, stream.ErrAbsent) {
			continue
		}
		if err != nil {
			return l, unavailable(err)
		}
		a, err := events.Decode[events.VerificationActivated](rec.Data)
		if err != nil {
			return l, err
		}
		if !a.CreatedAt.Equal(l.record.CreatedAt) {
			continue // of an earlier life of an idempotent id
		}
		l.steps[step], l.progress.Taken = taken{a, rec.Sequence}, step
	}
	l.read()
	return l, nil
}

// ours leaves out the reports of an earlier life of an idempotent id.
func ours(reports []events.DeliverySettled, created time.Time) []events.DeliverySettled {
	return slices.DeleteFunc(reports, func(r events.DeliverySettled) bool { return events.EarlierLife(created, r.At) })
}

// call is one attempt to deliver one message.
type call struct{ step, send, attempt int }

// calls is the report of each call that tells the most. What is told of no attempt in particular, as older
// programs do, is told of all of its message.
func (l *ladder) calls() map[call]events.DeliverySettled {
	best := map[call]events.DeliverySettled{}
	for _, r := range l.reports {
		c := call{r.Step, r.Send, r.Attempt}
		if known, ok := best[c]; !ok || events.Rank(r.Status) >= events.Rank(known.Status) {
			best[c] = r
		}
	}
	for c, r := range best {
		if c.attempt != 0 {
			continue
		}
		for other, known := range best {
			if other.step == c.step && other.send == c.send && other.attempt != 0 && events.Rank(r.Status) >= events.Rank(known.Status) {
				best[other] = r
			}
		}
	}
	return best
}

// standing tells of a call that its message may still arrive, or has.
func standing(status string) bool {
	switch status {
	case events.DeliveryBegun, events.DeliveryUnknown, events.DeliverySent, events.DeliveryDelivered:
		return true
	default:
		return false
	}
}

// read finds in the reports which steps' messages cannot arrive: those of which the newest failed, and no
// other stands.
func (l *ladder) read() {
	l.progress.Failed = map[int]verification.Reason{}
	stands := map[int]bool{}
	for c, r := range l.calls() {
		l.progress.Taken = max(l.progress.Taken, min(c.step, len(l.record.Fallback)))
		switch {
		case standing(r.Status):
			stands[c.step] = true
		case r.Status != events.DeliveryFailed, c.send < l.steps[c.step].a.Send, r.Reason == events.ReasonProviderUnavailable:
			// A newer message is on its way, or the provider may be back before the end.
		case r.Reason == events.ReasonLimited:
			l.progress.Failed[c.step] = ""
		default:
			l.progress.Failed[c.step] = verification.Reason(r.Reason)
		}
	}
	for step := range stands {
		delete(l.progress.Failed, step)
	}
}

// stands tells whether a call for the newest message of a step may still bring it, or has.
func (l *ladder) stands(step, send int) bool {
	for c, r := range l.calls() {
		if c.step == step && c.send == send && standing(r.Status) {
			return true
		}
	}
	return false
}

// heard tells whether anything was heard of the newest message of a step since its provider took it.
func (l *ladder) heard(step, send int) bool {
	for _, r := range l.reports {
		if r.Step == step && r.Send == send && events.Rank(r.Status) > events.Rank(events.DeliverySent) {
			return true
		}
	}
	return false
}

// Timed takes a step whose time has come, if nobody has answered and it was not taken before. It returns
// what was done, and fails with ErrNotFound, ErrClosed, or ErrUnavailable.
func (s *Resolver) Timed(ctx context.Context, id string, step int) (verification.Move, error) {
	l, err := s.climb(ctx, id)
	if err != nil {
		return verification.Move{}, err
	}
	return s.move(ctx, l, l.v.Timed(l.progress, step), asked{reason: events.ReasonUnanswered})
}

// Undelivered does what follows from a message that did not arrive: the next step is taken, or, where
// there is none and no message can arrive any more, the verification closes. It fails as Timed does.
func (s *Resolver) Undelivered(ctx context.Context, d events.DeliverySettled) (verification.Move, error) {
	l, err := s.climb(ctx, d.ID, d)
	if err != nil {
		return verification.Move{}, err
	}
	// A newer message is on its way, or another call has brought this one, or may.
	if d.Send < l.steps[d.Step].a.Send || l.stands(d.Step, d.Send) {
		return verification.Move{}, nil
	}
	return s.move(ctx, l, l.v.Missed(l.progress, d.Step), asked{reason: d.Reason})
}

// Unheard does what follows where the receipt of a message has not come in its time: the message is asked
// for again from another provider, or the next step is taken. It fails as Timed does.
func (s *Resolver) Unheard(ctx context.Context, t events.TimerDue) (verification.Move, error) {
	for range resolveTries {
		l, err := s.climb(ctx, t.ID)
		if err != nil {
			return verification.Move{}, err
		}
		last, ok := l.steps[t.Step]
		if !ok || last.a.Send != t.Send || l.heard(t.Step, t.Send) {
			return verification.Move{}, nil
		}
		why := asked{events.ReasonNoReceipt, last.a.Channel, t.Provider, l.route(t.Step)}
		if !t.Other {
			return s.move(ctx, l, l.v.Missed(l.progress, t.Step), why)
		}
		move, err := s.askAgain(ctx, last, why)
		if !errors.Is(err, stream.ErrConflict) {
			return move, err
		}
	}
	return verification.Move{}, fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, resolveTries)
}

// askAgain asks for a message once more, from another provider than the one that nothing was heard of.
func (s *Resolver) askAgain(ctx context.Context, last taken, why asked) (verification.Move, error) {
	a := last.a
	a.Avoid = append(a.Avoid, why.provider)
	_, err := s.sendAgain(ctx, a, last.sequence, why)
	if errors.As(err, new(*verification.LimitError)) {
		return verification.Move{}, nil // the person has had as many as they may get
	}
	if wantsNone(err) {
		return verification.Move{}, nil
	}
	return verification.Move{Again: err == nil}, err
}

// route is the country of a step's address, as its send records name it.
func (l *ladder) route(step int) string {
	for _, r := range l.reports {
		if r.Step == step && r.Route != "" {
			return r.Route
		}
	}
	return ""
}

// move takes a step, or closes.
func (s *Resolver) move(ctx context.Context, l ladder, m verification.Move, why asked) (verification.Move, error) {
	switch {
	case m.Close:
		v, err := s.Resolve(ctx, l.record.ID, verification.Undelivered{Send: l.record.Send, Reason: m.Reason})
		if err == nil {
			_ = s.Answered(ctx, v) // that it counts no longer may fail; the outcome stands all the same
		}
		return m, err
	case m.Take == 0:
		return m, nil
	default:
		return m, s.take(ctx, l, m.Take, why)
	}
}

// take sends a step's message on its way. Whoever is killed in between is followed by somebody who does
// the same again, and of all who try the broker takes one.
func (s *Resolver) take(ctx context.Context, l ladder, step int, why asked) error {
	a, f := l.record, l.record.Fallback[step-1]
	a.Step, a.Send, a.Channel, a.DeviceID, a.Device, a.ToMasked = step, 1, f.Channel, f.DeviceID, f.Device, f.ToMasked
	a.Destination, a.Content, a.Fallback, a.Avoid = f.Destination, f.Content, nil, nil
	a.UserID, a.RequestedAt = cmp.Or(a.UserID, f.UserID), s.now().UTC()
	// The next one's time first: it is made again by whoever comes after us, the message is not.
	if step < len(l.record.Fallback) {
		if err := s.timeStep(ctx, l.record, step+1); err != nil {
			return unavailable(err)
		}
	}
	if err := s.suppressedStep(ctx, a); wantsNone(err) {
		return s.skip(ctx, a, events.ReasonSuppressed)
	} else if err != nil {
		return err
	}
	p, err := s.takeStep(ctx, a)
	if errors.As(err, new(*verification.LimitError)) {
		return s.skip(ctx, a, events.ReasonLimited)
	}
	if err != nil {
		return err
	}
	err = s.putActivation(ctx, a, 0)
	if errors.Is(err, stream.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	p.replace(ctx)
	s.note(ctx, a, why)
	return nil
}

// takeStep counts a step's message, and its prompt where it is one, or fails with a *verification.LimitError. Of what is
// not limited nothing is given back: whoever takes the step after us counts these very entries.
func (s *Resolver) takeStep(ctx context.Context, a events.VerificationActivated) (*prompt, error) {
	p, err := s.takePrompt(ctx, fold(a, nil, 0), a.RequestedAt)
	if err != nil {
		return nil, err
	}
	_, err = s.takeWindows(ctx, a, fmt.Sprintf("%s:%d:%d", a.ID, a.Step, a.Send))
	if errors.As(err, new(*verification.LimitError)) {
		p.giveBack(ctx)
	}
	return p, err
}

// skip reports a step whose address or user has had all the messages they may get, or wants none. The report moves the
// ladder on.
func (s *Resolver) skip(ctx context.Context, a events.VerificationActivated, reason string) error {
	err := s.pub.Settle(ctx, events.DeliverySettled{
		EventID: fmt.Sprintf("fallback:%s:%d:%s", a.ID, a.Step, reason), ID: a.ID, Channel: a.Channel, Step: a.Step, Send: a.Send,
		Status: events.DeliveryFailed, Reason: reason, At: a.RequestedAt,
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}
