package notification_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// BenchmarkParts tells how many messages a worker sends in a second to a carrier that takes 20 ms, and how many
// entries it writes for each.
func BenchmarkParts(b *testing.B) {
	h := build(b)
	const parts = 40
	for b.Loop() {
		c := &carrier{answer: func(ctx context.Context, _ delivery.Message) error {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
			return nil
		}}
		var all []events.NotificationQueued
		for range parts {
			q := h.part(events.MaxPart)
			h.publish(q)
			all = append(all, q)
		}
		began := time.Now()
		stop := h.work(twilio(c))
		for range parts {
			h.acked()
		}
		took := time.Since(began)
		stop()
		entries := 0
		for _, q := range all {
			entries += len(h.told(q).Entries)
		}
		require.Len(b, c.counts(), parts*events.MaxPart)
		b.ReportMetric(parts*events.MaxPart/took.Seconds(), "messages/s")
		b.ReportMetric(float64(entries)/(parts*events.MaxPart), "entries/message")
	}
}
