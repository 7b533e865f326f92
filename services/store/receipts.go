package store

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

// Received keeps what a provider says of a message, where it was called for it; verification.ErrNotFound where it
// was not. It returns the call, and whether that was news; what is no news is not kept.
func (s *Notifications) Received(ctx context.Context, r events.MessageReceipt) (notification.Call, error) {
	if !events.ValidID(r.ID) || r.Part < 0 || r.Place < 0 || r.Place >= events.MaxPart {
		return notification.Call{}, verification.ErrNotFound
	}
	id := events.PartID(r.ID, r.Part)
	part, remembered := s.called.get(id)
	attempt, call, found := part.facts.Called(receiptOf(r))
	if !remembered || !found || r.Attempt == 0 { // a later call may be the one that is meant
		var err error
		if part, err = s.calledFor(ctx, r); err != nil {
			return notification.Call{}, err
		}
		if attempt, call, found = part.facts.Called(receiptOf(r)); !found {
			return notification.Call{}, verification.ErrNotFound
		}
		s.called.put(id, part)
	}
	if !call.News {
		return call, nil
	}
	r.Version, r.Attempt = events.Version, attempt
	data, err := events.Encode(r)
	if err != nil {
		return call, err
	}
	// It is of no use for longer than the log that it belongs to.
	options := []stream.Option{stream.WithTTL(part.until.Sub(s.cfg.Now()))}
	if r.EventID != "" {
		options = append(options, stream.WithID(r.EventID+":"+strconv.Itoa(r.Part)+":"+strconv.Itoa(r.Place)))
	}
	if _, err := s.pub.Put(ctx, events.ReceiptSubject(r.ID, r.Part), data, options...); err != nil {
		return call, unavailable(err)
	}
	return call, nil
}

// calledFor reads the log of the part that a receipt is about.
func (s *Notifications) calledFor(ctx context.Context, r events.MessageReceipt) (calledPart, error) {
	log, err := s.progress.PartLog(ctx, events.ProgressSubject(r.ID, r.Part))
	if err != nil && !errors.Is(err, events.ErrUndecodable) { // what can be read tells enough
		return calledPart{}, unavailable(err)
	}
	until := log.Until
	if until.IsZero() {
		until = s.cfg.Now().Add(stream.NotificationGrace)
	}
	return calledPart{facts(events.NotificationQueued{}, events.MaxPart, log), until}, nil
}

// calledPart is a part as its log was when it was read last, and until when that is kept.
type calledPart struct {
	facts notification.Facts
	until time.Time
}

// calledParts remembers the logs that receipts were about last: those of one part come close together, and a call
// that was begun stays one. What a log says since is not in it, so a receipt may be taken for news that is none,
// which does no harm. Two generations bound it, as those of recent.
type calledParts struct {
	mu         sync.Mutex
	young, old map[string]calledPart
}

// calledGeneration is how many parts one generation holds: some 5 MB.
const calledGeneration = 128

func (c *calledParts) get(id string) (calledPart, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.young[id]; ok {
		return p, true
	}
	p, ok := c.old[id]
	return p, ok
}

func (c *calledParts) put(id string, p calledPart) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= calledGeneration {
		c.old, c.young = c.young, make(map[string]calledPart, calledGeneration)
	}
	c.young[id] = p
}
