package notification_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/governor"
	"github.com/assent-io/assent/workers/notification"
)

// appending is a journal whose entries go through a function.
type appending struct {
	notification.Journal
	append func(context.Context, events.NotificationProgressed, uint64, time.Duration) (uint64, error)
}

func (a appending) Append(ctx context.Context, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error) {
	return a.append(ctx, e, after, life)
}

func TestAfterAStallOfTheStreamTheRateStillHolds(t *testing.T) {
	t.Parallel()
	const rate, parts, each, held = 100, 80, 2, 80
	h := build(t)
	client, err := governor.Start(t.Context(), h.js, governor.Config{
		Process: "p1", Shares: governor.DefaultShares(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	var mu sync.Mutex
	var calls []time.Time
	c := &carrier{answer: func(context.Context, delivery.Message) error {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, time.Now())
		return nil
	}}
	gate := client.Gate(events.ProviderKey{Channel: events.SMS, Provider: "twilio"}, governor.Quota{Rate: rate})
	routes := carried{{
		Provider: "twilio", Sender: c, Paced: gate.Paced,
		Admit: func(ctx context.Context, patience time.Duration) (func(error), delivery.Refusal) {
			return gate.Admit(ctx, events.LaneBulk, 1, patience)
		},
	}}

	release, stalled := make(chan struct{}), atomic.Int64{}
	n := h.handler(h.js, routes, func(n *notification.Handler) {
		n.Slots = notification.NewSlots(40000, shares)
		store := n.Journal.Append
		n.Journal = appending{n.Journal, func(ctx context.Context, e events.NotificationProgressed, after uint64, life time.Duration) (uint64, error) {
			stalled.Add(int64(len(e.Begun)))
			<-release
			return store(ctx, e, after, life)
		}}
	})
	var workers sync.WaitGroup
	for range parts {
		q := h.part(each)
		workers.Go(func() { h.drive(t.Context(), n, q) })
	}
	require.Eventually(t, func() bool { return stalled.Load() >= held }, waitLong, time.Millisecond)
	ended := time.Now()
	close(release)
	workers.Wait()

	require.Len(t, c.counts(), parts*each, "everything is sent")
	require.Len(t, calls, parts*each, "once")
	slices.SortFunc(calls, time.Time.Compare)
	for i, at := range calls {
		// What may be granted at once, and what was granted just before the end of the stall; a machine that is slow
		// makes calls late, never more of them.
		const once, before = 7, 400 * time.Millisecond
		require.LessOrEqual(t, float64(i+1), 1.1*rate*(at.Sub(ended)+before).Seconds()+once, "%s after the stall", at.Sub(ended))
	}
}
