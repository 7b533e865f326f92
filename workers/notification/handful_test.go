package notification_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/notification"
)

// gated is a provider that lets messages while there are tokens, and says no with this refusal else.
func gated(name string, c *carrier, tokens *atomic.Int64, no delivery.Refusal) delivery.Candidate {
	return delivery.Candidate{Provider: name, Sender: c, Admit: func(ctx context.Context, d time.Duration) (func(error), delivery.Refusal) {
		if tokens.Add(-1) < 0 {
			return nil, no
		}
		return open(ctx, d)
	}}
}

func TestAProviderWithoutQuotaIsWaitedForByBulkAndLeftByTheOthers(t *testing.T) {
	t.Parallel()
	h := build(t)
	short := delivery.Refusal{Wait: 30 * time.Millisecond, Reason: events.WaitThrottled}
	for lane, atSecond := range map[events.Lane]int{events.LaneBulk: 0, events.LaneTransactional: 10} {
		first, second := &carrier{}, &carrier{}
		var tokens atomic.Int64
		var asked atomic.Bool
		routes := carried{{Provider: "twilio", Sender: first, Admit: func(ctx context.Context, d time.Duration) (func(error), delivery.Refusal) {
			if asked.CompareAndSwap(false, true) { // the quota is used up when the first asks
				tokens.Store(1000)
				return nil, short
			}
			if lane == events.LaneTransactional || tokens.Add(-1) < 0 {
				return nil, short
			}
			return open(ctx, d)
		}}, {Provider: "acme", Sender: second}}
		q := h.part(10, func(q *events.NotificationQueued, _ *events.NotificationContent) { q.Lane = lane })
		_, err := h.handler(h.js, routes).Visit(t.Context(), q, 1)
		require.NoError(t, err)
		require.Len(t, second.counts(), atSecond, lane)
		require.Len(t, first.counts(), 10-atSecond, lane)
	}
}

func TestAQuotaThatComesInDropsIsUsedAsItComes(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	var tokens atomic.Int64
	tokens.Store(5)
	c.answer = func(context.Context, delivery.Message) error {
		tokens.Store(5)
		return nil
	}
	routes := carried{gated("twilio", c, &tokens, delivery.Refusal{Wait: 5 * time.Millisecond, Reason: events.WaitThrottled})}
	q := h.part(events.MaxPart)
	_, err := h.handler(h.js, routes).Visit(t.Context(), q, 1)
	require.NoError(t, err, "a part is kept while its provider takes some of it")
	require.Len(t, h.ends(q), events.MaxPart)
	require.Len(t, c.counts(), events.MaxPart)
	for _, e := range h.told(q).Entries {
		require.Empty(t, e.Waiting, "who goes on does not wait")
	}
}

// mixed sends the first of two numbers by one provider, and all others by the second.
type mixed struct {
	odd, even carried
	filled    *atomic.Int64
}

func (m mixed) Candidates(msg delivery.Message, avoid []string) []delivery.Candidate {
	if msg.Notice != nil {
		m.filled.Add(1)
	}
	if last := msg.To.Reveal(); strings.ContainsAny(last[len(last)-1:], "13579") {
		return m.odd.Candidates(msg, avoid)
	}
	return m.even.Candidates(msg, avoid)
}

func TestAProviderThatIsLeftAloneHoldsNobodyElseBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := &carrier{}
	var none, filled atomic.Int64
	paused := carried{gated("acme", nil, &none, delivery.Refusal{Wait: time.Minute, Reason: events.WaitPaused})}
	q := h.part(events.MaxPart)
	after, err := h.handler(h.js, mixed{odd: paused, even: twilio(c), filled: &filled}).Visit(t.Context(), q, 2)
	require.ErrorContains(t, err, events.WaitPaused)
	require.Greater(t, after, 50*time.Second)
	require.Len(t, h.ends(q), events.MaxPart/2)
	require.LessOrEqual(t, none.Load(), int64(-1))
	require.Less(t, filled.Load(), int64(events.MaxPart/2+10), "no text is made for those who must wait")
	entries := h.told(q).Entries
	last := entries[len(entries)-1]
	require.Equal(t, events.WaitPaused, last.Waiting)
	require.Equal(t, "acme", last.Provider)
}

func TestAPartWhoseProviderPutsItOffAgainAndAgainIsGivenBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	var none atomic.Int64
	routes := carried{gated("twilio", nil, &none, delivery.Refusal{Wait: 50 * time.Millisecond, Reason: events.WaitThrottled})}
	q := h.part(3)
	n := h.handler(h.js, routes, func(n *notification.Handler) {
		began := time.Now()
		n.Now = func() time.Time { return began.Add(40 * h.clock.now().Sub(began)) } // time flies
	})
	after, err := n.Visit(t.Context(), q, 1)
	require.ErrorContains(t, err, events.WaitThrottled)
	require.Greater(t, after, time.Second)
	require.Equal(t, events.WaitThrottled, h.told(q).Entries[0].Waiting)
}

// Parts whose provider's quota others use up come back before new ones do: kept for long, they would take all places
// of the process.
func TestAPartThatBeginsNothingGivesItsPlaceBackSoon(t *testing.T) {
	t.Parallel()
	for name, calls := range map[string]int64{"without a call": 0, "after a call": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			var tokens atomic.Int64
			tokens.Store(calls)
			crowded := delivery.Refusal{Wait: 10 * time.Millisecond, Reason: events.WaitThrottled}
			asks := 0
			routes := carried{{Provider: "twilio", Sender: &carrier{}, Admit: func(ctx context.Context, d time.Duration) (func(error), delivery.Refusal) {
				if tokens.Add(-1) >= 0 {
					return open(ctx, d)
				}
				asks++
				h.clock.advance(600 * time.Millisecond)
				return nil, crowded
			}}}
			q := h.part(1 + int(calls))
			slots := notification.NewSlots(1, shares) // one message at a time
			_, err := h.handler(h.js, routes, func(n *notification.Handler) { n.Slots = slots }).Visit(t.Context(), q, 1)
			require.ErrorContains(t, err, events.WaitThrottled)
			if calls == 0 {
				require.LessOrEqual(t, asks, 2)
			} else {
				require.Greater(t, asks, 3, "it is there when the next of the quota comes")
			}
		})
	}
}

func TestAPartThatGetsCrumbsLetsOthersHaveItsTurn(t *testing.T) {
	t.Parallel()
	h := build(t)
	slots := notification.NewSlots(100, shares) // one part of the bulk lane begins calls at once
	own := func(n *notification.Handler) { n.Slots = slots }
	crumbs := time.NewTicker(20 * time.Millisecond)
	t.Cleanup(crumbs.Stop)
	fed := make(chan struct{}, events.MaxPart)
	hungry := &carrier{answer: func(context.Context, delivery.Message) error {
		fed <- struct{}{}
		return nil
	}}
	routes := carried{{Provider: "twilio", Sender: hungry, Admit: func(ctx context.Context, d time.Duration) (func(error), delivery.Refusal) {
		limit := time.NewTimer(d)
		defer limit.Stop()
		select {
		case <-crumbs.C:
			return open(ctx, d)
		case <-limit.C:
		case <-ctx.Done():
		}
		return nil, delivery.Refusal{Wait: 100 * time.Millisecond, Reason: events.WaitThrottled}
	}}}
	large, small := h.part(events.MaxPart), h.part(10)
	done := make(chan error, 1)
	go func() {
		_, err := h.handler(h.js, routes, own).Visit(t.Context(), large, 1)
		done <- err
	}()
	next(t, fed)
	healthy := &carrier{}
	_, err := h.handler(h.js, carried{{Provider: "acme", Sender: healthy}}, own).Visit(t.Context(), small, 1)
	require.NoError(t, err)
	require.Len(t, healthy.counts(), 10)
	require.Less(t, len(hungry.counts()), events.MaxPart, "the other still waits for its provider")
	require.NoError(t, next(t, done))
	require.Len(t, hungry.counts(), events.MaxPart)
}
