package notification_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/notification"
)

// journal is one whose answers a test decides; nil asks the broker.
type journal struct {
	notification.Journal
	append func(broker notification.Journal, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error)
	read   func(broker notification.Journal, id string, part int) (stream.PartLog, error)
}

func (j journal) Append(ctx context.Context, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error) {
	if j.append == nil {
		return j.Journal.Append(ctx, e, after, life)
	}
	return j.append(j.Journal, e, after, life)
}

func (j journal) Read(ctx context.Context, id string, part int) (stream.PartLog, error) {
	if j.read == nil {
		return j.Journal.Read(ctx, id, part)
	}
	return j.read(j.Journal, id, part)
}

// visits works on a part until it has ended, moving the clock on for every wait, and counts its visits.
func (h *house) visits(n *notification.Handler, q events.NotificationQueued, most int) {
	h.t.Helper()
	for attempt := 1; ; attempt++ {
		after, err := n.Visit(h.t.Context(), q, attempt)
		if err == nil {
			return
		}
		require.Less(h.t, attempt, most, "the part never ends: %s", err)
		h.clock.advance(after)
	}
}

func TestAProviderThatThrottlesAllTheTimeDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{answer: func(context.Context, delivery.Message) error { return delivery.RetryAfter(time.Second, errCarrier) }}
	q := h.part(20, func(q *events.NotificationQueued, _ *events.NotificationContent) {
		q.ExpiresAt = q.SendAt.Add(2 * time.Hour)
	})
	h.visits(h.handler(h.js, twilio(c)), q, 10_000)
	ends := h.ends(q)
	require.Len(t, ends, 20)
	for _, end := range ends {
		require.Equal(t, events.DeliveryExpired, end.Status)
	}
	require.Less(t, len(h.told(q).Entries), 1_200)
	for id, n := range c.counts() {
		require.Greater(t, n, 100, "%s is still tried", id)
	}
}

func TestAThrottledMessageWaitsAsLongAsItsProviderAsks(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{answer: func(context.Context, delivery.Message) error { return delivery.RetryAfter(20*time.Minute, errCarrier) }}
	q := h.part(5)
	h.visits(h.handler(h.js, twilio(c)), q, 20)
	for id, n := range c.counts() {
		require.LessOrEqual(t, n, 4, id) // at the end of its life a message is tried once more
	}
}

func TestAPartWhoseEntriesAlwaysMeetOthersIsGivenBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	var tries atomic.Int32
	n := h.handler(h.js, twilio(c), func(n *notification.Handler) {
		n.Journal = journal{Journal: n.Journal, append: func(notification.Journal, events.NotificationProgressed, uint64, time.Duration) (uint64, error) {
			tries.Add(1)
			return 0, stream.ErrConflict
		}}
	})
	after, err := n.Visit(t.Context(), h.part(3), 1)
	require.Error(t, err)
	require.GreaterOrEqual(t, after, 250*time.Millisecond)
	require.LessOrEqual(t, tries.Load(), int32(20))
	require.Empty(t, c.counts())
}

// An entry may be stored although its writer was not told. Its calls are made once, then or later: under hold what
// counts as begun would never be sent.
func TestTheCallsOfAnEntryWhoseAnswerWasLostAreMade(t *testing.T) {
	t.Parallel()
	unanswered := errors.New("no answer")
	type fate func(h *house, q events.NotificationQueued, j *journal)
	for name, then := range map[string]fate{
		"and nothing else happens": func(*house, events.NotificationQueued, *journal) {},
		"and the log cannot be read for a moment": func(_ *house, _ events.NotificationQueued, j *journal) {
			var fails atomic.Int32
			j.read = func(broker notification.Journal, id string, part int) (stream.PartLog, error) {
				if fails.Add(1) <= 2 {
					return stream.PartLog{}, unanswered
				}
				return broker.Read(context.Background(), id, part)
			}
		},
		"and a replica that lags is read": func(_ *house, _ events.NotificationQueued, j *journal) {
			var lags atomic.Int32
			j.read = func(broker notification.Journal, id string, part int) (stream.PartLog, error) {
				if lags.Add(1) == 1 {
					return stream.PartLog{}, nil
				}
				return broker.Read(context.Background(), id, part)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			c := &carrier{}
			q := h.part(5)
			n := h.handler(h.js, carried{{Provider: "twilio", Sender: c}}, holding, func(n *notification.Handler) {
				j := journal{Journal: n.Journal}
				then(h, q, &j)
				var appends atomic.Int32
				j.append = func(broker notification.Journal, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error) {
					sequence, err := broker.Append(context.Background(), e, after, life)
					if appends.Add(1) == 1 {
						return 0, unanswered
					}
					return sequence, err
				}
				n.Journal = j
			})
			h.visits(n, q, 20)
			require.Len(t, c.counts(), 5)
			for id, calls := range c.counts() {
				require.Equal(t, 1, calls, id)
			}
			for _, end := range h.ends(q) {
				require.Equal(t, events.DeliverySent, end.Status)
			}
		})
	}
}

func TestAfterAnEntryWhoseAnswerWasLostACancelIsHeeded(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(3)
	n := h.handler(h.js, carried{{Provider: "twilio", Sender: c}}, holding, func(n *notification.Handler) {
		var appends atomic.Int32
		n.Journal = journal{Journal: n.Journal, append: func(broker notification.Journal, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error) {
			if appends.Add(1) > 1 {
				return broker.Append(context.Background(), e, after, life)
			}
			e.Begun = e.Begun[:2]
			_, err := broker.Append(context.Background(), e, after, life)
			require.NoError(t, err)
			h.cancel(q, func(e *events.NotificationProgressed) { e.Canceled = []int{2} })
			return 0, errors.New("no answer")
		}}
	})
	h.visits(n, q, 20)
	require.Len(t, h.ends(q), 2)
	require.Len(t, c.counts(), 2)
	require.NotContains(t, c.counts(), events.MessageID(q.ID, 0, 2))
}

// The id of a notification that was made under an idempotency key returns with the key.
func TestALogOfAnEarlierLifeStandsForNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	q := h.part(4)
	h.visits(h.handler(h.js, twilio(&carrier{})), q, 5)
	h.receive(q, events.MessageReceipt{Place: 0, Attempt: 1, Provider: "twilio", Status: events.DeliveryDelivered})
	require.Len(t, h.ends(q), 4)

	h.clock.advance(2 * time.Hour)
	now := h.clock.now().UTC()
	q.CreatedAt, q.SendAt, q.ExpiresAt = now, now, now.Add(life)
	c := &carrier{}
	h.visits(h.handler(h.js, twilio(c)), q, 5)
	require.Len(t, c.counts(), 4)
}

func TestAPartThatCannotBeEndedAfterItsLifeIsNotDeliveredAllTheTime(t *testing.T) {
	t.Parallel()
	h := build(t)
	q := h.part(2)
	h.clock.advance(life)
	h.publish(q)
	h.work(twilio(&carrier{}), func(n *notification.Handler) {
		n.Journal = journal{
			append: func(notification.Journal, events.NotificationProgressed, uint64, time.Duration) (uint64, error) {
				return 0, errCarrier
			},
			read: func(notification.Journal, string, int) (stream.PartLog, error) { return stream.PartLog{}, errCarrier },
		}
	})
	for range 3 {
		v := next(t, h.verdicts)
		require.Equal(t, "-NAK", v.word)
		require.GreaterOrEqual(t, v.delay, 250*time.Millisecond)
	}
}
