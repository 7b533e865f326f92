package notification_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/notification"
)

var errCarrier = errors.New("carrier is down")

func twilio(c *carrier) carried {
	return carried{{Provider: "twilio", Sender: c, Route: "+1", Receipts: true}}
}

func TestAllMessagesOfAPartAreSentOnceWithTheirOwnText(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	h.work(twilio(c))
	q := h.part(events.MaxPart)
	h.publish(q)
	require.Empty(t, h.acked())

	ends := h.ends(q)
	require.Len(t, ends, events.MaxPart)
	counts := c.counts()
	require.Len(t, counts, events.MaxPart)
	for place := range events.MaxPart {
		id := events.MessageID(q.ID, 0, place)
		require.Equal(t, 1, counts[id])
		require.Equal(t, fmt.Sprintf("%s %d, %s is here", secretName, place, secretText), c.texts[id])
		require.Equal(t, events.DeliverySent, ends[place].Status)
		require.Equal(t, "SM-"+id, ends[place].ProviderID)
		require.Equal(t, "twilio", ends[place].Provider)
		require.Equal(t, 1, ends[place].Attempt)
	}
	entries := h.told(q).Entries
	require.Less(t, len(entries), events.MaxPart/2, "one write stands for several messages")
	for _, e := range entries {
		for _, b := range e.Begun {
			require.Equal(t, events.MessageBegun{Place: b.Place, Attempt: 1, Provider: "twilio", Route: "+1", Receipts: true}, b)
		}
	}
	require.InDelta(t, events.MaxPart, h.counted("twilio", "sent"), 0)
	for _, secret := range []string{secretName, secretText, "14155500"} {
		require.NotContains(t, h.lines.String(), secret)
	}
	require.Equal(t, 1, strings.Count(h.lines.String(), `"level":"INFO"`), "one line for a part")
}

func TestTheMessagesOfAPartAreCalledForWithinTheSharesOfTheirLane(t *testing.T) {
	t.Parallel()
	h := build(t)
	var c *carrier
	full := make(chan struct{}, events.MaxPart)
	release := make(chan struct{})
	c = &carrier{answer: func(context.Context, delivery.Message) error {
		full <- struct{}{}
		<-release
		return nil
	}}
	slots := notification.NewSlots(100, shares)
	h.work(twilio(c), func(n *notification.Handler) { n.Slots = slots })
	q := h.part(events.MaxPart)
	h.publish(q)
	for range 15 {
		next(t, full)
	}
	close(release)
	h.acked()
	require.Len(t, h.ends(q), events.MaxPart)
	require.Equal(t, 15, c.most, "bulk has 15 of 100")
}

func TestASlowCallHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	slow, release := make(chan struct{}), make(chan struct{})
	var q events.NotificationQueued
	var others sync.WaitGroup
	others.Add(events.MaxPart - 1)
	c := &carrier{answer: func(_ context.Context, m delivery.Message) error {
		if m.ID == events.MessageID(q.ID, 0, 0) {
			close(slow)
			<-release
			return nil
		}
		others.Done()
		return nil
	}}
	q = h.part(events.MaxPart)
	h.work(twilio(c))
	h.publish(q)
	next(t, slow)
	done := make(chan struct{})
	go func() { others.Wait(); close(done) }()
	next(t, done)
	require.Eventually(t, func() bool { return len(h.ends(q)) == events.MaxPart-1 }, waitLong, 20*time.Millisecond,
		"what has ended is written while the slow call is on its way")
	close(release)
	h.acked()
	require.Len(t, h.ends(q), events.MaxPart)
}

func TestTwoWorkersOnOnePartSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(events.MaxPart)
	var wg sync.WaitGroup
	for range 2 {
		js := embednatstest.Connect(t, h.server)
		n := h.handler(js, twilio(c), func(n *notification.Handler) { n.Slots = notification.NewSlots(64, shares) })
		wg.Go(func() { h.drive(t.Context(), n, q) })
	}
	wg.Wait()
	require.Len(t, h.ends(q), events.MaxPart)
	for id, n := range c.counts() {
		require.Equal(t, 1, n, id)
	}
	require.Len(t, c.counts(), events.MaxPart)
}

func TestACanceledMessageIsNotSent(t *testing.T) {
	t.Parallel()
	h := build(t)
	calling, release := make(chan string, events.MaxPart), make(chan struct{})
	c := &carrier{answer: func(_ context.Context, m delivery.Message) error {
		calling <- m.ID
		<-release
		return nil
	}}
	h.work(twilio(c))
	q := h.part(events.MaxPart)
	h.publish(q)
	begun := next(t, calling)
	h.cancel(q, func(e *events.NotificationProgressed) { e.All = true })
	close(release)
	h.acked()

	log := h.told(q)
	sent := map[int]bool{}
	for i, e := range log.Entries {
		if e.All {
			for _, later := range log.Entries[i:] {
				require.Empty(t, later.Begun, "nothing is begun after the cancel")
			}
		}
		for _, b := range e.Begun {
			sent[b.Place] = true
		}
	}
	require.NotEmpty(t, sent)
	require.Less(t, len(sent), events.MaxPart)
	require.Contains(t, c.counts(), begun)
	require.Len(t, c.counts(), len(sent))
	require.Len(t, h.ends(q), len(sent), "what was begun has an end all the same")
}

func TestWhatWasCanceledBeforeTheWorkerCameIsNotSent(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(3)
	h.cancel(q, func(e *events.NotificationProgressed) { e.Canceled = []int{1} })
	h.publish(q)
	h.work(twilio(c))
	h.acked()
	require.Len(t, c.counts(), 2)
	require.NotContains(t, c.counts(), events.MessageID(q.ID, 0, 1))
}

func TestWhatCameTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	q := h.part(3)
	h.clock.advance(life)
	h.publish(q)
	h.work(twilio(c))
	h.acked()
	require.Empty(t, c.counts())
	for place := range 3 {
		require.Equal(t, events.DeliveryExpired, h.ends(q)[place].Status)
		require.Zero(t, h.ends(q)[place].Attempt)
	}
}

func TestASuppressedAddressGetsNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	h.work(twilio(c), func(n *notification.Handler) { n.Suppressions = suppressed{"hash-1": events.CauseStop} })
	q := h.part(3)
	h.publish(q)
	h.acked()
	require.Len(t, c.counts(), 2)
	end := h.ends(q)[1]
	require.Equal(t, events.DeliveryFailed, end.Status)
	require.Equal(t, events.ReasonSuppressed, end.Reason)
	require.Equal(t, events.CauseStop, end.Detail)
}

type unreadable struct{ fails atomic.Int32 }

func (u *unreadable) Suppressed(context.Context, string, string, string, events.Lane) (string, bool, error) {
	if u.fails.Add(-1) >= 0 {
		return "", false, errors.New("no answer")
	}
	return "", false, nil
}

func TestNothingIsSentWhileTheListOfTheSuppressedCannotBeRead(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	u := &unreadable{}
	u.fails.Store(1)
	h.work(twilio(c), func(n *notification.Handler) { n.Suppressions = u })
	q := h.part(3)
	h.publish(q)
	v := next(t, h.verdicts)
	require.Equal(t, "-NAK", v.word)
	require.Empty(t, c.counts())
	h.acked()
	require.Len(t, h.ends(q), 3)
}

// garbled has an entry for the second recipient that nobody can read, for the first visits.
type garbled struct{ looks *atomic.Int32 }

func (g garbled) Suppressed(_ context.Context, _, _, destination string, _ events.Lane) (string, bool, error) {
	if destination == "hash-1" && g.looks.Add(-1) >= 0 {
		return "", false, fmt.Errorf("look: %w", events.ErrUndecodable)
	}
	return "", false, nil
}

func TestAnEntryOfTheSuppressedThatNobodyCanReadKeepsBackItsMessageOnly(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	var looks atomic.Int32
	looks.Store(2)
	n := h.handler(h.js, twilio(c), func(n *notification.Handler) { n.Suppressions = garbled{&looks} })
	q := h.part(3)
	after, err := n.Visit(t.Context(), q, 5)
	require.Error(t, err)
	require.Positive(t, after)
	require.Len(t, c.counts(), 2)
	require.NotContains(t, c.counts(), events.MessageID(q.ID, 0, 1))
	require.Contains(t, h.lines.String(), "look: ")
	looks.Store(0)
	h.visits(n, q, 20)
	require.Len(t, h.ends(q), 3)
	require.Equal(t, 1, c.counts()[events.MessageID(q.ID, 0, 1)])
}

func TestATextThatCannotBeFilledFailsAlone(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	h.work(twilio(c))
	q := h.part(4, func(_ *events.NotificationQueued, c *events.NotificationContent) {
		c.Recipients[1].Variables = nil
		c.Bodies = append(c.Bodies, events.NotificationBody{Text: "broken"})
		c.Recipients[2].Body = 1
	})
	h.publish(q)
	h.acked()
	require.Len(t, c.counts(), 2)
	for _, place := range []int{1, 2} {
		require.Equal(t, events.ReasonMessageRefused, h.ends(q)[place].Reason)
	}
}

func TestAPausedProviderIsToldOfOnceAndThePartIsGivenBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	var paused atomic.Bool
	paused.Store(true)
	routes := carried{{Provider: "twilio", Sender: c, Admit: func(ctx context.Context, d time.Duration) (func(error), delivery.Refusal) {
		if paused.Load() {
			return nil, delivery.Refusal{Wait: 1100 * time.Millisecond, Reason: events.WaitPaused}
		}
		return open(ctx, d)
	}}}
	h.work(routes)
	q := h.part(events.MaxPart)
	h.publish(q)
	for range 2 {
		v := next(t, h.verdicts)
		require.Equal(t, "-NAK", v.word)
		require.Greater(t, v.delay, time.Second)
	}
	log := h.told(q)
	require.Len(t, log.Entries, 1, "it is said once")
	require.Equal(t, events.WaitPaused, log.Entries[0].Waiting)
	require.Equal(t, "twilio", log.Entries[0].Provider)
	require.Empty(t, c.counts())

	paused.Store(false)
	h.acked()
	require.Len(t, h.ends(q), events.MaxPart)
	entries := h.told(q).Entries
	require.Empty(t, entries[len(entries)-1].Waiting, "who goes on does not wait")
}

func TestAWaitEndsWithTheLifeOfThePart(t *testing.T) {
	t.Parallel()
	h := build(t)
	routes := carried{{Provider: "twilio", Admit: func(context.Context, time.Duration) (func(error), delivery.Refusal) {
		return nil, delivery.Refusal{Wait: time.Hour, Reason: events.WaitPaused}
	}}}
	h.work(routes)
	q := h.part(2, func(q *events.NotificationQueued, _ *events.NotificationContent) {
		q.ExpiresAt = q.CreatedAt.Add(3 * time.Second)
	})
	h.publish(q)
	for _, v := range h.acked() {
		require.LessOrEqual(t, v.delay, 3*time.Second)
	}
	require.Equal(t, events.DeliveryExpired, h.ends(q)[0].Status)
	require.Equal(t, events.DeliveryExpired, h.ends(q)[1].Status)
}

func TestTheNextProviderIsAskedAtOnce(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"where the first fails":            errCarrier,
		"where the first throttles":        delivery.RetryAfter(time.Minute, errCarrier),
		"where the first is misconfigured": delivery.Misconfigured(errCarrier),
		"where the first refuses the text": delivery.Permanent(events.ReasonMessageRefused, errCarrier),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			first, second := &carrier{answer: func(context.Context, delivery.Message) error { return err }}, &carrier{}
			h.work(carried{{Provider: "twilio", Sender: first}, {Provider: "acme", Sender: second}})
			q := h.part(10)
			h.publish(q)
			require.Empty(t, h.acked())
			for place, end := range h.ends(q) {
				require.Equal(t, "acme", end.Provider)
				require.Equal(t, 2, end.Attempt)
				require.Equal(t, 1, first.counts()[events.MessageID(q.ID, 0, place)])
				require.Equal(t, 1, second.counts()[events.MessageID(q.ID, 0, place)])
			}
			require.Len(t, h.ends(q), 10)
		})
	}
}

func TestAnAddressThatNobodyReachesFailsWithItsReason(t *testing.T) {
	t.Parallel()
	h := build(t)
	first, second := &carrier{answer: func(context.Context, delivery.Message) error {
		return delivery.Permanent(events.ReasonUnsubscribed, errCarrier)
	}}, &carrier{}
	h.work(carried{{Provider: "twilio", Sender: first}, {Provider: "acme", Sender: second}})
	q := h.part(1)
	h.publish(q)
	h.acked()
	require.Equal(t, events.ReasonUnsubscribed, h.ends(q)[0].Reason)
	require.Empty(t, second.counts(), "no other provider reaches it either")
}

func TestNobodyCarriesAMessage(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.work(carried{})
	q := h.part(2)
	h.publish(q)
	h.acked()
	require.Equal(t, events.ReasonRegionBlocked, h.ends(q)[1].Reason)
}

func TestThrottlingUsesUpNoAttempts(t *testing.T) {
	t.Parallel()
	h := build(t)
	var refused atomic.Int32
	c := &carrier{answer: func(context.Context, delivery.Message) error {
		if refused.Add(1) <= 4 {
			return delivery.RetryAfter(20*time.Millisecond, errCarrier)
		}
		return nil
	}}
	q := h.part(1)
	h.visits(h.handler(h.js, twilio(c), func(n *notification.Handler) { n.Policy.MaxAttempts = 1 }), q, 20)
	require.Equal(t, events.DeliverySent, h.ends(q)[0].Status)
	require.Equal(t, 5, h.ends(q)[0].Attempt)
}

func TestAMessageIsGivenUpAfterAsManyAttemptsAsAreAllowed(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{answer: func(context.Context, delivery.Message) error { return errCarrier }}
	h.work(twilio(c), func(n *notification.Handler) { n.Policy.MaxAttempts = 2 })
	q := h.part(3)
	h.publish(q)
	h.acked()
	for place := range 3 {
		require.Equal(t, events.ReasonProviderUnavailable, h.ends(q)[place].Reason)
		require.Equal(t, 2, c.counts()[events.MessageID(q.ID, 0, place)])
	}
}

func TestAPartThatNobodyCanReadIsPutAside(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*events.NotificationQueued){
		"sealed for another part": func(q *events.NotificationQueued) { q.Part = 1 },
		"of another channel":      func(q *events.NotificationQueued) { q.Channel = events.Email },
		"of no lane":              func(q *events.NotificationQueued) { q.Lane = events.LaneVerification },
		"without recipients":      func(q *events.NotificationQueued) { q.Recipients = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			c := &carrier{}
			h.work(twilio(c))
			q := h.part(2)
			change(&q)
			data, err := events.Encode(q)
			require.NoError(t, err)
			_, err = h.pub.Put(t.Context(), events.NotificationSubject(events.LaneBulk, events.SMS, q.ID, q.Part), data)
			require.NoError(t, err)
			require.Equal(t, "+TERM", next(t, h.verdicts).word)
			require.Empty(t, c.counts())
		})
	}
}

func TestAProcessThatIsAskedToEndBeginsNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	closing, calling, release := make(chan struct{}), make(chan string, events.MaxPart), make(chan struct{})
	c := &carrier{answer: func(_ context.Context, m delivery.Message) error {
		calling <- m.ID
		<-release
		return nil
	}}
	stop := h.work(twilio(c), func(n *notification.Handler) { n.Closing = closing })
	q := h.part(events.MaxPart)
	h.publish(q)
	next(t, calling)
	close(closing)
	go stop()
	close(release)
	require.Equal(t, "-NAK", next(t, h.verdicts).word)
	sent := len(h.ends(q))
	require.Len(t, c.counts(), sent, "what was begun is reported")
	require.Less(t, sent, events.MaxPart)

	h.work(twilio(&carrier{}))
	h.acked()
	require.Len(t, h.ends(q), events.MaxPart)
}

// counted is how many messages came to this, by the metric.
func (h *house) counted(provider, result string) float64 {
	h.t.Helper()
	families, err := h.registry.Gather()
	require.NoError(h.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "assent_notifications_total" && labels["provider"] == provider && labels["result"] == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// drive visits a part as a broker would, until it has ended.
func (h *house) drive(ctx context.Context, n *notification.Handler, q events.NotificationQueued) {
	for attempt := 1; ; attempt++ {
		after, err := n.Visit(ctx, q, attempt)
		if err == nil {
			return
		}
		select {
		case <-time.After(min(after, 20*time.Millisecond)):
		case <-ctx.Done():
			return
		}
	}
}
