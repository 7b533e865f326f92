// Package notification is the workers' loop for ordinary messages: take one part of a notification, find in
// its log which of its messages still wait, and call for them in handfuls, until each has ended. Every
// handful is written down before its calls, in one entry with what the calls before came to; entries are
// written by compare-and-set, so that of two workers one goes on and what was withdrawn is not sent.
//
// Who carries a message, and whether it may be called now, is decided by package routing; what is sent, by
// the channels; what follows an error, by the rules of package delivery, which verifications have too. The
// composition root runs one Handler for each channel on the consumers of both lanes.
package notification

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
)

// Handler is the loop of one channel's worker. All fields but Metrics and Closing are required.
type Handler struct {
	Channel events.Channel
	Routes  delivery.Routes
	Keys    *keyring.Keyring
	Journal Journal
	// Suppressions are asked before each call.
	Suppressions Suppressions
	// Suppressor notes the addresses that providers refuse for good; nil: nobody does.
	Suppressor *delivery.Suppressor
	// Parse reads a text with placeholders. It is called once for each text of a part.
	Parse  func(events.NotificationBody) (Body, error)
	Policy delivery.Policy
	// Slots are shared by all handlers of the channel in this process.
	Slots   *Slots
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
	// Closing is closed when the process is asked to end: no call is begun after.
	Closing <-chan struct{}
}

// Journal is the log of the parts. Each call bounds itself in time.
type Journal interface {
	// Append stores an entry behind the one of this sequence, zero where there is none, and returns its own.
	// It fails with stream.ErrConflict where another was stored meanwhile; after any other error it may be stored.
	Append(ctx context.Context, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error)
	// Read reads the log of a part and what providers reported of it.
	Read(ctx context.Context, id string, part int) (stream.PartLog, error)
}

// Suppressions tell whether an address, by its keyed hash, gets no messages of an account, and why not. Where only the
// entry of this address cannot be read, that is an events.ErrUndecodable.
type Suppressions interface {
	Suppressed(ctx context.Context, account, credential, destination string, lane events.Lane) (cause string, suppressed bool, err error)
}

// Body is one text of a part, which becomes a message with the variables of one person. Its error says
// nothing of their values.
type Body interface {
	Fill(variables map[string]string) (events.NotificationBody, error)
}

// again makes the broker deliver a part again after a time. It is an outcome, no failure.
type again struct {
	after time.Duration
	why   string
}

func (e *again) Error() string { return fmt.Sprintf("again in %s: %s", e.after, e.why) }

// Watch is the handler of verifications beside this one: how long they lie with the broker before they come to it
// says whether bulk must make room.
func (h *Handler) Watch(verifications message.NoPublishHandlerFunc) message.NoPublishHandlerFunc {
	return func(m *message.Message) error {
		if d := stream.DeliveryOf(m.Context()); d != nil && d.Attempt == 1 { // the others lay there on purpose
			now := h.Now()
			h.Slots.waited(now.Sub(d.StoredAt), now)
		}
		return verifications(m)
	}
}

// Handle works on one part. It is a Watermill handler: nil acknowledges the part, an error makes the broker
// deliver it again, an events.ErrUndecodable puts it aside.
func (h *Handler) Handle(m *message.Message) error {
	q, err := events.Decode[events.NotificationQueued](m.Payload)
	if err != nil {
		return err
	}
	if err := h.check(q); err != nil {
		return err
	}
	ctx, d := m.Context(), stream.DeliveryOf(m.Context())
	attempt := 1
	if d != nil {
		attempt = d.Attempt
	}
	err = h.handle(ctx, q, attempt)
	if d == nil || err == nil {
		return err
	}
	d.RetryAfter(h.after(q, err, attempt))
	return err
}

// after is when a part is delivered again: before its life ends, so that what is to be told then is told in time. What
// does not succeed then is tried until the record leaves, a day later, and a broker in trouble is not hammered.
func (h *Handler) after(q events.NotificationQueued, err error, attempt int) time.Duration {
	after := delivery.Backoff(attempt)
	var e *again
	if errors.As(err, &e) {
		after = e.after
	}
	left := q.ExpiresAt.Sub(h.Now())
	if left <= 0 {
		return max(after, writePause)
	}
	return delivery.Within(left, after)
}

func (h *Handler) check(q events.NotificationQueued) error {
	switch {
	case q.ID == "" || q.Part < 0 || q.Channel != h.Channel:
		return fmt.Errorf("%w: not a part of channel %s", events.ErrUndecodable, h.Channel)
	case q.Lane != events.LaneTransactional && q.Lane != events.LaneBulk:
		return fmt.Errorf("%w: a part of no lane", events.ErrUndecodable)
	case len(q.Recipients) == 0 || len(q.Recipients) > events.MaxPart:
		return fmt.Errorf("%w: a part of %d recipients", events.ErrUndecodable, len(q.Recipients))
	}
	return nil
}

// handle opens a part and works on it. The first time its log is not read: the first entry is stored under
// the condition that there is none.
func (h *Handler) handle(ctx context.Context, q events.NotificationQueued, attempt int) error {
	content, err := h.open(q)
	if err != nil {
		return err
	}
	r := newRun(h, q, content, attempt)
	defer r.leave()
	if attempt > 1 {
		if err := r.read(ctx); err != nil {
			return err
		}
	}
	return r.work(ctx)
}

// open unseals the texts and addresses of a part. Content that does not belong to it is undecodable; a key
// that is missing is the operator's to bring.
func (h *Handler) open(q events.NotificationQueued) (events.NotificationContent, error) {
	var c events.NotificationContent
	plain, err := h.Keys.Open(keyring.Channel(h.Channel), events.PartID(q.ID, q.Part), q.Content)
	if errors.Is(err, keyring.ErrForged) {
		return c, fmt.Errorf("%w: %w", events.ErrUndecodable, err)
	}
	if err != nil {
		h.Log.Error("part cannot be opened", "notification_id", q.ID, "part", q.Part, "channel", string(h.Channel), "err", err)
		return c, delivery.Misconfigured(err)
	}
	if json.Unmarshal(plain, &c) != nil || len(c.Recipients) != len(q.Recipients) {
		return c, fmt.Errorf("%w: sealed content has another form", events.ErrUndecodable)
	}
	for _, r := range c.Recipients {
		if r.Body < 0 || r.Body >= len(c.Bodies) {
			return c, fmt.Errorf("%w: a recipient has no text", events.ErrUndecodable)
		}
	}
	return c, nil
}
