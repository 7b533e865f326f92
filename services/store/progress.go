package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

// clockSkew is how far the clocks of our machines may differ. An id that was made of an idempotency key can come
// back after its records have left: what is older than the notification by more is about another.
const clockSkew = 5 * time.Minute

// Get is a notification as it reads now. It fails with verification.ErrNotFound or ErrUnavailable.
func (s *Notifications) Get(ctx context.Context, id string) (notification.View, error) {
	first, err := s.part(ctx, id, 0)
	if err != nil {
		return notification.View{}, err
	}
	return s.view(ctx, first, s.factsOf)
}

// factsReader reads what is known of one part.
type factsReader func(ctx context.Context, first events.NotificationQueued, part, count int) (notification.Facts, error)

// view folds all parts of a notification. Their contents are not needed for that.
func (s *Notifications) view(ctx context.Context, first events.NotificationQueued, read factsReader) (notification.View, error) {
	now := s.cfg.Now()
	v := notification.View{Notification: notificationOf(first), Counts: notification.Counts{}, Message: single(first)}
	for i, p := range v.Parts {
		facts, err := read(ctx, first, i, p.Count)
		if err != nil {
			return v, err
		}
		progress := facts.Fold(now)
		v.Counts.Add(progress)
		open := slices.ContainsFunc(progress, func(p notification.Progress) bool { return p.State.Open() })
		if wait, waits := facts.Waits(); waits && open && v.Wait == nil {
			v.Wait = &wait
		}
		if v.Message != nil && i == 0 && len(progress) > 0 {
			v.Message.Progress = progress[0]
		}
	}
	v.State = v.Counts.Whole(v.SendAt.After(now))
	return v, nil
}

func (s *Notifications) factsOf(ctx context.Context, n events.NotificationQueued, part, count int) (notification.Facts, error) {
	log, err := s.progress.PartLog(ctx, events.ProgressOf(n.ID, part))
	if err != nil && !errors.Is(err, events.ErrUndecodable) { // what can be read is told
		return notification.Facts{}, unavailable(err)
	}
	return facts(n, count, log), nil
}

// facts reads a log in the words of the domain.
func facts(n events.NotificationQueued, count int, log stream.PartLog) notification.Facts {
	f := notification.Facts{Count: count, ExpiresAt: n.ExpiresAt}
	since := n.CreatedAt.Add(-clockSkew)
	for _, e := range log.Entries {
		if e.At.Before(since) {
			continue
		}
		f.Log = append(f.Log, entryOf(e))
	}
	for _, r := range log.Receipts {
		if !r.At.Before(since) {
			f.Receipts = append(f.Receipts, receiptOf(r))
		}
	}
	return f
}

func entryOf(e events.NotificationProgressed) notification.Entry {
	entry := notification.Entry{Canceled: e.Canceled, All: e.All, Waiting: e.Waiting, Provider: e.Provider, At: e.At}
	if e.Until != nil {
		entry.Until = *e.Until
	}
	for _, b := range e.Begun {
		entry.Begun = append(entry.Begun, notification.Begun{Place: b.Place, Attempt: b.Attempt, Provider: b.Provider, Route: b.Route})
	}
	for _, x := range e.Ended {
		ended := notification.Ended{
			Place: x.Place, Attempt: x.Attempt, Status: x.Status, Provider: x.Provider, ProviderID: x.ProviderID,
			Reason: x.Reason, Detail: x.Detail, Class: x.Class, At: x.At,
		}
		if x.Until != nil {
			ended.Until = *x.Until
		}
		entry.Ended = append(entry.Ended, ended)
	}
	return entry
}

func receiptOf(r events.MessageReceipt) notification.Receipt {
	return notification.Receipt{
		Place: r.Place, Attempt: r.Attempt, Status: r.Status, Provider: r.Provider, ProviderID: r.ProviderID,
		Reason: r.Reason, Detail: r.Detail, At: r.At,
	}
}

// Message is one message and whose it is. It fails as Get does.
func (s *Notifications) Message(ctx context.Context, messageID string) (m notification.Message, n notification.Notification, err error) {
	p, place, err := s.message(ctx, messageID)
	if err != nil {
		return m, n, err
	}
	f, err := s.factsOf(ctx, p, p.Part, len(p.Recipients))
	if err != nil {
		return m, n, err
	}
	return folded(p, place, f.Fold(s.cfg.Now())), notificationOf(p), nil
}

func folded(p events.NotificationQueued, place int, progress []notification.Progress) notification.Message {
	m := messageOf(p, place)
	m.Progress = progress[place]
	return m
}

// message reads the part that a message is in.
func (s *Notifications) message(ctx context.Context, messageID string) (p events.NotificationQueued, place int, err error) {
	id, part, place, ok := events.ParseMessageID(messageID)
	if !ok {
		return p, 0, verification.ErrNotFound
	}
	p, err = s.part(ctx, id, part)
	if err == nil && place >= len(p.Recipients) {
		err = verification.ErrNotFound
	}
	return p, place, err
}

// Messages lists at most limit messages of a notification behind after, those in one state where it is not
// empty; next is empty on the last page. It fails as Get does.
func (s *Notifications) Messages(
	ctx context.Context, n notification.Notification, state notification.State, after string, limit int,
) (page []notification.Message, next string, err error) {
	fromPart, fromPlace := 0, 0
	if after != "" {
		id, part, place, ok := events.ParseMessageID(n.ID + "-" + after)
		if !ok || id != n.ID || part >= len(n.Parts) {
			return nil, "", verification.ErrNotFound
		}
		fromPart, fromPlace = part, place+1
	}
	for i := fromPart; i < len(n.Parts); i++ {
		p, err := s.part(ctx, n.ID, i)
		if err != nil {
			return nil, "", err
		}
		f, err := s.factsOf(ctx, p, i, len(p.Recipients))
		if err != nil {
			return nil, "", err
		}
		progress := f.Fold(s.cfg.Now())
		for place := fromPlace; place < len(progress); place++ {
			if state != "" && progress[place].State != state {
				continue
			}
			if len(page) == limit { // there is one more
				return page, next, nil
			}
			page = append(page, folded(p, place, progress))
			next = fmt.Sprintf("%d-%d", i, place)
		}
		fromPlace = 0
	}
	return page, "", nil
}

// Deliveries is what happened to one message, oldest first, in the words of a verification's reports. It fails
// as Get does.
func (s *Notifications) Deliveries(ctx context.Context, messageID string) ([]events.DeliverySettled, error) {
	p, place, err := s.message(ctx, messageID)
	if err != nil {
		return nil, err
	}
	log, err := s.progress.PartLog(ctx, events.ProgressOf(p.ID, p.Part))
	if err != nil && !errors.Is(err, events.ErrUndecodable) {
		return nil, unavailable(err)
	}
	f := facts(p, len(p.Recipients), log)
	steps := []events.DeliverySettled{{Status: events.DeliveryRequested, At: p.CreatedAt}}
	canceled := f.Fold(s.cfg.Now())[place].State == notification.Canceled
	for _, e := range f.Log {
		for _, x := range e.Ended {
			if x.Place == place {
				steps = append(steps, settledOf(x))
			}
		}
		if canceled && (e.All || slices.Contains(e.Canceled, place)) {
			steps = append(steps, events.DeliverySettled{Status: string(notification.Canceled), At: e.At})
			canceled = false
		}
		for _, b := range e.Begun {
			if b.Place == place {
				steps = append(steps, events.DeliverySettled{
					Status: events.DeliveryBegun, Attempt: b.Attempt, Provider: b.Provider, Route: b.Route, At: e.At,
				})
			}
		}
	}
	for _, r := range f.Receipts {
		if attempt, _, believed := f.Called(r); r.Place == place && believed {
			steps = append(steps, events.DeliverySettled{
				Status: r.Status, Attempt: attempt, Provider: r.Provider, ProviderID: r.ProviderID, Reason: r.Reason, Detail: r.Detail, At: r.At,
			})
		}
	}
	for i := range steps {
		steps[i].ID, steps[i].Channel, steps[i].Send = messageID, p.Channel, 1
	}
	slices.SortStableFunc(steps, func(a, b events.DeliverySettled) int { return a.At.Compare(b.At) })
	return steps, nil
}

func settledOf(x notification.Ended) events.DeliverySettled {
	d := events.DeliverySettled{
		Status: x.Status, Attempt: x.Attempt, Provider: x.Provider, ProviderID: x.ProviderID,
		Reason: x.Reason, Detail: x.Detail, Class: x.Class, At: x.At,
	}
	if !x.Until.IsZero() {
		d.Until = &x.Until
	}
	return d
}
