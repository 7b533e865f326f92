package notification_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/notification"
)

func holding(n *notification.Handler) { n.Policy.Unknown = delivery.Hold }

// killed leaves a part as a worker does whose process dies while the first messages are called for, and says for which.
func killed(t *testing.T, h *house, q events.NotificationQueued, c *carrier, change ...func(*notification.Handler)) (begun map[string]int) {
	t.Helper()
	js := embednatstest.Connect(t, h.server)
	calling, release := make(chan struct{}, events.MaxPart), make(chan struct{})
	t.Cleanup(func() { close(release) })
	dying := &carrier{answer: func(ctx context.Context, m delivery.Message) error {
		_, _ = c.Send(ctx, m)
		calling <- struct{}{}
		<-release
		return nil
	}}
	n := h.handler(js, twilio(dying), change...)
	go func() { _, _ = n.Visit(context.WithoutCancel(t.Context()), q, 1) }()
	next(t, calling)
	js.Conn().Close()
	for _, e := range h.told(q).Entries {
		for range len(e.Begun) - 1 {
			next(t, calling)
		}
	}
	begun = c.counts()
	require.NotEmpty(t, begun)
	require.Less(t, len(begun), events.MaxPart)
	return begun
}

// later visits a part until it has ended, moving the clock on for every wait.
func (h *house) later(n *notification.Handler, q events.NotificationQueued) {
	h.t.Helper()
	for attempt := 2; ; attempt++ {
		after, err := n.Visit(h.t.Context(), q, attempt)
		if err == nil {
			return
		}
		require.Less(h.t, attempt, 100, "the part never ends")
		h.clock.advance(after)
	}
}

func TestAfterAKillOnlyWhatWasBegunMayComeTwice(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(events.MaxPart)
	begun := killed(t, h, q, c)
	h.later(h.handler(h.js, twilio(c)), q)
	require.Len(t, h.ends(q), events.MaxPart)
	counts := c.counts()
	require.Len(t, counts, events.MaxPart, "nothing is lost")
	for id, n := range counts {
		require.Equal(t, 1+begun[id], n, "only a call of unknown fate is made again")
	}
}

func TestUnderHoldNothingComesTwiceWithoutReceipts(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(events.MaxPart)
	begun := killed(t, h, q, c, holding)
	mute := carried{{Provider: "twilio", Sender: c}}
	var told []events.MessageBegun
	for _, e := range h.told(q).Entries {
		told = append(told, e.Begun...)
	}
	require.True(t, told[0].Receipts)
	h.later(h.handler(h.js, mute, holding, func(n *notification.Handler) { n.Journal = noReceipts{n.Journal} }), q)
	for id, n := range c.counts() {
		require.Equal(t, 1, n, id)
	}
	require.Len(t, c.counts(), events.MaxPart)
	require.Len(t, h.ends(q), events.MaxPart-len(begun))
	unknown := 0
	for _, e := range h.told(q).Entries {
		for _, ended := range e.Ended {
			if ended.Status == events.DeliveryUnknown {
				unknown++
			}
		}
	}
	require.Equal(t, len(begun), unknown, "the log says what is not known")
}

// noReceipts reads logs as if their providers gave no receipts.
type noReceipts struct{ notification.Journal }

func (j noReceipts) Read(ctx context.Context, id string, part int) (stream.PartLog, error) {
	log, err := j.Journal.Read(ctx, id, part)
	for _, e := range log.Entries {
		for i := range e.Begun {
			e.Begun[i].Receipts = false
		}
	}
	return log, err
}

func TestUnderHoldTheReceiptDecides(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(events.MaxPart)
	begun := killed(t, h, q, c, holding)
	arrived := ""
	for place := range events.MaxPart {
		id := events.MessageID(q.ID, 0, place)
		switch {
		case begun[id] == 0:
		case arrived == "":
			arrived = id
			h.receive(q, events.MessageReceipt{Place: place, Attempt: 1, Status: events.DeliveryDelivered, Provider: "twilio"})
		default: // of a provider that was not called
			h.receive(q, events.MessageReceipt{Place: place, Attempt: 1, Status: events.DeliveryDelivered, Provider: "acme"})
		}
	}
	h.later(h.handler(h.js, twilio(c), holding), q)
	for id, n := range c.counts() {
		switch {
		case id == arrived:
			require.Equal(t, 1, n, "it arrived")
		case begun[id] > 0:
			require.Equal(t, 2, n, "its receipt never came")
		default:
			require.Equal(t, 1, n)
		}
	}
}

func TestAKilledWorkersPartGoesToAnotherByItself(t *testing.T) {
	t.Parallel()
	h := build(t)
	js := embednatstest.Connect(t, h.server)
	calling, release := make(chan struct{}, events.MaxPart), make(chan struct{})
	quick := func(n *notification.Handler) { n.Policy.SendTimeout = time.Second }
	c := &carrier{}
	stop := h.workOn(js, twilio(&carrier{answer: func(ctx context.Context, m delivery.Message) error {
		_, _ = c.Send(ctx, m)
		calling <- struct{}{}
		<-release
		return nil
	}}), quick)
	t.Cleanup(func() { close(release); stop() })
	q := h.part(events.MaxPart)
	h.publish(q)
	next(t, calling)
	js.Conn().Close()
	h.work(twilio(c), quick)
	h.acked()
	require.Len(t, h.ends(q), events.MaxPart)
	require.Len(t, c.counts(), events.MaxPart)
}

func TestAnotherWorkersPartIsLeftToIt(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(events.MaxPart)
	calling, release := make(chan struct{}, events.MaxPart), make(chan struct{})
	first := h.handler(h.js, twilio(&carrier{answer: func(ctx context.Context, m delivery.Message) error {
		_, _ = c.Send(ctx, m)
		calling <- struct{}{}
		<-release
		return nil
	}}))
	done := make(chan error, 1)
	go func() {
		_, err := first.Visit(t.Context(), q, 1)
		done <- err
	}()
	next(t, calling)
	second := &carrier{}
	after, err := h.handler(h.js, twilio(second)).Visit(t.Context(), q, 1)
	require.ErrorContains(t, err, "another worker goes on")
	require.Greater(t, after, time.Second)
	require.LessOrEqual(t, after, delivery.DefaultSendTimeout)
	require.Empty(t, second.counts())
	close(release)
	require.NoError(t, next(t, done))
	require.Len(t, h.ends(q), events.MaxPart)
	for _, n := range c.counts() {
		require.Equal(t, 1, n)
	}
}

// shaky is a journal whose broker does not answer every time: before it stored an entry, or after.
type shaky struct {
	notification.Journal
	mu   sync.Mutex
	draw func() int // 0: works; 1: fails before, 2: after; 3: the process dies
	dies func()
	dead bool
}

var errNoAnswer = errors.New("no answer")

func (s *shaky) Append(ctx context.Context, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := s.draw()
	if s.dead || what == 1 {
		return 0, errNoAnswer
	}
	sequence, err := s.Journal.Append(ctx, e, after, life)
	switch what {
	case 3:
		s.dead = true
		s.dies()
		return 0, errNoAnswer
	case 2:
		return 0, errNoAnswer
	}
	return sequence, err
}

func (s *shaky) Read(ctx context.Context, id string, part int) (stream.PartLog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return stream.PartLog{}, errNoAnswer
	}
	return s.Journal.Read(ctx, id, part)
}

func TestAnEntryWhoseAnswerWasLostIsKnownAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(events.MaxPart)
	writes := 0
	n := h.handler(h.js, twilio(c), func(n *notification.Handler) {
		n.Journal = &shaky{Journal: n.Journal, draw: func() int { // every second entry is stored, and not answered
			writes++
			return 2 * (writes % 2)
		}}
	})
	_, err := n.Visit(t.Context(), q, 1)
	require.NoError(t, err)
	require.Len(t, h.ends(q), events.MaxPart)
	for id, n := range c.counts() {
		require.Equal(t, 1, n, id)
	}
}

// Whatever carriers answer, however often the broker fails to, and wherever a process dies: each message has
// one end or an unknown fate, and under hold nobody is sent a message twice.
func TestEveryMessageHasOneEndAndUnderHoldIsSentOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	rapid.Check(t, func(rt *rapid.T) {
		const size = 12
		q := h.part(size)
		outcomes := map[string][]int{}
		for place := range size {
			outcomes[events.MessageID(q.ID, 0, place)] = rapid.SliceOfN(rapid.IntRange(0, 9), 0, 3).Draw(rt, fmt.Sprintf("outcomes of %d", place))
		}
		faults := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3}), 0, 10).Draw(rt, "faults of the broker")
		cancelAt := rapid.IntRange(-10, size-1).Draw(rt, "canceled")

		var mu sync.Mutex
		taken := map[string]int{}
		answer := func(_ context.Context, m delivery.Message) error {
			mu.Lock()
			defer mu.Unlock()
			rest := outcomes[m.ID]
			if len(rest) == 0 {
				taken[m.ID]++
				return nil
			}
			outcomes[m.ID] = rest[1:]
			switch rest[0] {
			case 0:
				return errCarrier
			case 1:
				return delivery.RetryAfter(time.Millisecond, errCarrier)
			case 2:
				return delivery.Permanent(events.ReasonUndeliverable, errCarrier)
			case 3:
				return delivery.Permanent(events.ReasonMessageRefused, errCarrier)
			case 4: // taken, and the answer was lost
				taken[m.ID]++
				return delivery.Unknown(errCarrier)
			case 5: // not taken, and nobody knows
				return delivery.Unknown(errCarrier)
			case 6:
				taken[m.ID]++
				panic("sender")
			default:
				taken[m.ID]++
				return nil
			}
		}
		one, two := &carrier{answer: answer}, &carrier{answer: answer}
		routes := carried{{Provider: "twilio", Sender: one}, {Provider: "acme", Sender: two}}
		for attempt := 1; ; attempt++ {
			if attempt == 100 {
				rt.Fatal("the part never ends")
			}
			if attempt == 2 && cancelAt >= 0 {
				h.cancel(q, func(e *events.NotificationProgressed) { e.Canceled = []int{cancelAt} })
			}
			ctx, kill := context.WithCancel(t.Context())
			n := h.handler(h.js, routes, holding, func(n *notification.Handler) {
				n.Journal = &shaky{Journal: n.Journal, dies: kill, draw: func() int {
					if len(faults) == 0 {
						return 0
					}
					f := faults[0]
					faults = faults[1:]
					return f
				}}
			})
			after, err := n.Visit(ctx, q, attempt)
			kill()
			if err == nil {
				break
			}
			h.clock.advance(max(after, delivery.DefaultSendTimeout))
		}

		log := h.told(q)
		ends, unknown, canceled := map[int]int{}, map[int]bool{}, map[int]bool{}
		for _, e := range log.Entries {
			for _, end := range e.Ended {
				switch end.Status {
				case events.DeliverySent, events.DeliveryFailed, events.DeliveryExpired:
					ends[end.Place]++
				case events.DeliveryUnknown:
					unknown[end.Place] = true
				}
			}
			for _, b := range e.Begun {
				if canceled[b.Place] && withdrawn(log, b.Place) {
					rt.Fatalf("message %d was begun after it was withdrawn", b.Place)
				}
			}
			for _, place := range e.Canceled {
				canceled[place] = true
			}
		}
		for place := range size {
			id := events.MessageID(q.ID, 0, place)
			if ends[place] != 1 && !unknown[place] && !withdrawn(log, place) || ends[place] > 1 {
				rt.Fatalf("message %d has %d ends", place, ends[place])
			}
			if taken[id] > 1 {
				rt.Fatalf("message %d was sent %d times", place, taken[id])
			}
		}
	})
}

// withdrawn tells whether a cancel found the message where it could be withdrawn.
func withdrawn(log stream.PartLog, place int) bool {
	open := map[int]bool{}
	for _, e := range log.Entries {
		for _, end := range e.Ended {
			if end.Place == place {
				if end.Status != events.DeliveryRetrying {
					return false
				}
				delete(open, end.Attempt)
			}
		}
		for _, p := range e.Canceled {
			if p == place {
				return len(open) == 0
			}
		}
		for _, b := range e.Begun {
			if b.Place == place {
				open[b.Attempt] = true
			}
		}
	}
	return false
}
