package notification_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/notification"
)

func TestATransactionalPartWaitsForNoPlaceWhileThereAreSlots(t *testing.T) {
	t.Parallel()
	for maxInFlight, want := range map[int]int{16: 64, 256: 64, 4000: 1000} {
		of := map[string]int{}
		for _, c := range notification.NewSlots(maxInFlight, shares).Consumers(events.SMS) {
			of[c.Name] = c.MaxInFlight
		}
		require.Equal(t, map[string]int{"sms-transactional": want, "sms-bulk": 32}, of)
	}
}

// The parts that wait for a provider that is away are many, and must not keep the parts of others with the broker.
func TestMorePartsMayWaitThanAnyLaneHas(t *testing.T) {
	t.Parallel()
	h := build(t)
	all := notification.NewSlots(256, shares).Consumers(events.SMS)
	for _, c := range all { // as an earlier state of this version made them
		_, err := h.js.CreateOrUpdateConsumer(t.Context(), c.Stream, jetstream.ConsumerConfig{
			Durable: c.Name, FilterSubjects: c.Filters, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, MaxAckPending: 4096, MaxDeliver: -1,
		})
		require.NoError(t, err)
	}
	sub := stream.NewSubscriber(h.js, stream.SubscriberConfig{Grace: time.Second, Log: slog.New(slog.DiscardHandler)}, all...)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); _ = sub.Close() })
	for _, c := range all {
		_, err := sub.Subscribe(ctx, c.Name)
		require.NoError(t, err)
		cons, err := h.js.Consumer(t.Context(), c.Stream, c.Name)
		require.NoError(t, err)
		require.Equal(t, 1<<20, cons.CachedInfo().Config.MaxAckPending)
	}
}
